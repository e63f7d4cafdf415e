"""TensorFlow's own functions."""

from __future__ import annotations

from functools import partial
from typing import Any

import tensorflow as tf

from xentropy.parity._case import Case
from xentropy.parity.columns._twins import (
    Twin,
    axis_of,
    by_place,
    fits,
    has_labels,
    is_last,
    reduced,
)

REDUCTIONS = {"mean": tf.reduce_mean, "sum": tf.reduce_sum, "none": tf.identity}
MAPS = {
    "softmax": tf.nn.softmax,
    "log_softmax": tf.nn.log_softmax,
    "sigmoid": tf.math.sigmoid,
    "log_sigmoid": tf.math.log_sigmoid,
}


def twin(case: Case) -> Twin | None:
    """TensorFlow's function for a case, where there is one."""
    if case.function == "cross_entropy":
        return _cross_entropy(case)
    if case.function == "binary_cross_entropy":
        return _binary(case)
    if case.function == "logsumexp" and fits(case, "axis", "keepdims"):
        return Twin("tf.reduce_logsumexp", tf.reduce_logsumexp, partial(_logsumexp, case=case))
    return _map(case) if case.function in MAPS else None


def _map(case: Case) -> Twin | None:
    function = MAPS[case.function]
    if "sigmoid" in case.function:
        return Twin(f"tf.math.{case.function}", function, by_place)
    if not fits(case, "axis"):
        return None
    return Twin(f"tf.nn.{case.function}", function, partial(_along, axis=axis_of(case)))


def _along(function: Any, x: Any, axis: int) -> Any:
    return function(x, axis=axis)


def _logsumexp(function: Any, x: Any, case: Case) -> Any:
    keep = bool(case.options.get("keepdims", False))
    return function(x, axis=axis_of(case), keepdims=keep)


def _cross_entropy(case: Case) -> Twin | None:
    if not fits(case, "axis", "reduction"):
        return None
    if not has_labels(case):
        name, call = "softmax_cross_entropy_with_logits", partial(_soft, case=case)
    elif is_last(case):
        name, call = "sparse_softmax_cross_entropy_with_logits", partial(_plain, case=case)
    else:
        return None
    return Twin(f"tf.nn.{name}", getattr(tf.nn, name), call)


def _plain(function: Any, case: Case, logits: Any, targets: Any) -> Any:
    return reduced(case, REDUCTIONS)(function(labels=targets, logits=logits))


def _soft(function: Any, case: Case, logits: Any, targets: Any) -> Any:
    # Of the ways to name the last axis, -1 is the one that takes labels of another rank.
    losses = function(targets, logits, axis=-1 if is_last(case) else axis_of(case))
    return reduced(case, REDUCTIONS)(losses)


def _binary(case: Case) -> Twin | None:
    if fits(case, "reduction"):
        name, call = "sigmoid_cross_entropy_with_logits", partial(_truths, case=case)
    elif fits(case, "reduction", "pos_weight"):
        name, call = "weighted_cross_entropy_with_logits", partial(_weighted, case=case)
    else:
        return None
    return Twin(f"tf.nn.{name}", getattr(tf.nn, name), call)


def _truths(function: Any, case: Case, logits: Any, targets: Any) -> Any:
    return _plain(function, case, logits, tf.cast(targets, logits.dtype))


def _weighted(function: Any, case: Case, logits: Any, targets: Any, pos_weight: Any = None) -> Any:
    favour = case.options.get("pos_weight", pos_weight)
    losses = function(tf.cast(targets, logits.dtype), logits, favour)
    return reduced(case, REDUCTIONS)(losses)
