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
        return "tf.reduce_logsumexp", _logsumexp(case)
    return _map(case) if case.function in MAPS else None


def _map(case: Case) -> Twin | None:
    function = MAPS[case.function]
    if "sigmoid" in case.function:
        return f"tf.math.{case.function}", by_place(function)
    if not fits(case, "axis"):
        return None
    return f"tf.nn.{case.function}", lambda x: function(x, axis=axis_of(case))


def _logsumexp(case: Case) -> Any:
    keep = bool(case.options.get("keepdims", False))
    return lambda x: tf.reduce_logsumexp(x, axis=axis_of(case), keepdims=keep)


def _cross_entropy(case: Case) -> Twin | None:
    if not fits(case, "axis", "reduction"):
        return None
    if not has_labels(case):
        return "tf.nn.softmax_cross_entropy_with_logits", partial(_soft, case)
    if not is_last(case):
        return None
    return "tf.nn.sparse_softmax_cross_entropy_with_logits", partial(_sparse, case)


def _sparse(case: Case, logits: Any, targets: Any) -> Any:
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)
    return reduced(case, REDUCTIONS)(losses)


def _soft(case: Case, logits: Any, targets: Any) -> Any:
    losses = tf.nn.softmax_cross_entropy_with_logits(targets, logits, axis=axis_of(case))
    return reduced(case, REDUCTIONS)(losses)


def _binary(case: Case) -> Twin | None:
    if fits(case, "reduction"):
        return "tf.nn.sigmoid_cross_entropy_with_logits", partial(_plain, case)
    if fits(case, "reduction", "pos_weight"):
        return "tf.nn.weighted_cross_entropy_with_logits", partial(_weighted, case)
    return None


def _plain(case: Case, logits: Any, targets: Any) -> Any:
    truths = tf.cast(targets, logits.dtype)
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=truths, logits=logits)
    return reduced(case, REDUCTIONS)(losses)


def _weighted(case: Case, logits: Any, targets: Any, pos_weight: Any = None) -> Any:
    favour = case.options.get("pos_weight", pos_weight)
    truths = tf.cast(targets, logits.dtype)
    losses = tf.nn.weighted_cross_entropy_with_logits(truths, logits, favour)
    return reduced(case, REDUCTIONS)(losses)
