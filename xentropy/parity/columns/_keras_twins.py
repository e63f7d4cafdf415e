"""Keras' own losses."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import tensorflow as tf

from xentropy.parity._case import Case
from xentropy.parity.columns._twins import Twin, axis_of, fits, has_labels, is_last, reduction_of

REDUCTIONS = {"mean": "sum_over_batch_size", "sum": "sum", "none": None}


def twin(case: Case) -> Twin | None:
    """Keras' loss for a case, where there is one."""
    makers = {
        "cross_entropy": _cross_entropy,
        "binary_cross_entropy": _binary,
        "focal_loss": _focal,
        "generalized_cross_entropy": _generalized,
    }
    return makers[case.function](case) if case.function in makers else None


def _named(name: str, call: Any) -> Twin:
    return Twin(f"keras.losses.{name}", getattr(keras.losses, name), call)


def _common(case: Case) -> dict[str, Any]:
    """Keras casts the predictions to the dtype of the loss: float32 unless it is told otherwise."""
    wide = case.first.dtype == "float64"
    return {"reduction": _reduction(case), "dtype": "float64" if wide else None}


def _reduction(case: Case) -> str | None:
    if "sample_weights" in case.arrays and reduction_of(case) == "mean":
        return "mean_with_sample_weight"
    return REDUCTIONS.get(reduction_of(case), reduction_of(case))  # Keras refuses others itself


def _cross_entropy(case: Case) -> Twin | None:
    known = ("axis", "reduction", "from_logits", "sample_weights")
    if has_labels(case):
        return _sparse(case) if fits(case, *known, "ignore_index") and is_last(case) else None
    if not fits(case, *known, "label_smoothing"):
        return None
    options = _common(case) | {
        "from_logits": case.options.get("from_logits", True),
        "label_smoothing": case.options.get("label_smoothing", 0.0),
        "axis": axis_of(case),
    }
    return _named("CategoricalCrossentropy", partial(_called, options=options))


def _sparse(case: Case) -> Twin:
    options = _common(case) | {
        "from_logits": case.options.get("from_logits", True),
        "ignore_class": case.options.get("ignore_index"),
    }
    return _named("SparseCategoricalCrossentropy", partial(_called, options=options))


def _binary(case: Case) -> Twin | None:
    """Keras averages over the last axis before it reduces."""
    if (
        not fits(case, "reduction", "from_logits", "label_smoothing")
        or reduction_of(case) != "mean"
    ):
        return None
    options = _common(case) | {
        "from_logits": case.options.get("from_logits", True),
        "label_smoothing": case.options.get("label_smoothing", 0.0),
    }
    return _named("BinaryCrossentropy", partial(_called, options=options))


def _focal(case: Case) -> Twin | None:
    if not fits(case, "form", "gamma", "alpha", "reduction") or reduction_of(case) != "mean":
        return None
    given = {n: v for n, v in case.options.items() if n in ("gamma", "alpha")}
    options = _common(case) | given | {"from_logits": True}
    if case.options.get("form") != "sigmoid":
        fitting = not has_labels(case) and "alpha" in given
        return _named("CategoricalFocalCrossentropy", _of(options)) if fitting else None
    balanced = {"apply_class_balancing": "alpha" in given}
    return _named("BinaryFocalCrossentropy", _of(options | balanced))


def _of(options: dict[str, Any]) -> Any:
    return partial(_called, options=options)


def _generalized(case: Case) -> Twin | None:
    if not fits(case, "q", "reduction", "from_logits") or case.options.get("from_logits", True):
        return None
    options = {"q": case.options.get("q", 0.7), "reduction": _reduction(case)}
    fitting = has_labels(case) and is_last(case)
    return _named("CategoricalGeneralizedCrossEntropy", _of(options)) if fitting else None


def _called(
    loss: Any, options: dict[str, Any], logits: Any, targets: Any, sample_weights: Any = None
) -> Any:
    found: Any = loss(**options)(targets, logits, sample_weight=sample_weights)
    return tf.convert_to_tensor(found)
