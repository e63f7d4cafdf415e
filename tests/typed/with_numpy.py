"""The public names as a type checker sees them, with arrays of NumPy; run by test_typed.py."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from holds import assert_type
from numpy.typing import NDArray

import xentropy as xe

Numbers = NDArray[np.floating[Any]] | Any
Scored = NDArray[Any] | Any
Gradient = NDArray[np.floating[Any]]

x: NDArray[np.float32] = np.ones((2, 3), np.float32)
row: NDArray[np.float32] = np.ones(3, np.float32)
weight: NDArray[np.float32] = np.ones((4, 3), np.float32)
y: NDArray[np.int64] = np.asarray([0, 1])


def maps() -> None:
    assert_type(xe.softmax(x, axis=0, temperature=2.0), NDArray[np.float32])
    assert_type(xe.log_softmax(x=x, where=[True, True, False]), NDArray[np.float32])
    assert_type(xe.sigmoid(x), NDArray[np.float32])
    assert_type(xe.log_sigmoid(x), NDArray[np.float32])


def sums() -> None:
    assert_type(xe.entropy(x), Numbers)
    assert_type(xe.entropy(row), Numbers)
    assert_type(xe.logsumexp(x, axis=(0, 1)), Numbers)
    assert_type(xe.logsumexp(x, axis=None, keepdims=True, b=2.0), Numbers)
    value, sign = xe.logsumexp(x, return_sign=True)
    assert_type(value, Numbers)
    assert_type(sign, Numbers)


def losses() -> None:
    assert_type(xe.cross_entropy(x, y), Numbers)
    assert_type(xe.cross_entropy(logits=x, targets=y, reduction="none"), Numbers)
    assert_type(xe.cross_entropy(x, [0, 1], reduction="sum", ignore_index=0), Numbers)
    assert_type(xe.cross_entropy(x, y, normalizer="batch", class_weights=[1, 2, 3]), Numbers)
    assert_type(xe.cross_entropy(x, y, normalizer=7, softcap=30.0), Numbers)
    assert_type(xe.nll_loss(x, y), Numbers)
    assert_type(xe.nll_loss(log_probs=x, targets=y, reduction="none"), Numbers)
    assert_type(xe.binary_cross_entropy(x, x, pos_weight=2.0), Numbers)
    assert_type(xe.kl_divergence(x, x, targets_are="logits"), Numbers)
    assert_type(xe.focal_loss(x, x, form="sigmoid", gamma=1.0, alpha=0.25), Numbers)
    assert_type(xe.poly_loss(x, y, epsilon=1.0, label_smoothing=0.1), Numbers)
    assert_type(xe.generalized_cross_entropy(x, y, q=0.5, z_loss=1e-4), Numbers)


def heads() -> None:
    assert_type(xe.linear_cross_entropy(x, weight, y, reduction="sum"), Numbers)
    assert_type(xe.linear_cross_entropy(hidden=x, weight=weight, targets=y), Numbers)
    assert_type(xe.linear_score(x, weight, y, temperature=2.0), xe.Score[Scored])
    assert_type(xe.linear_score(hidden=x, weight=weight, targets=y), xe.Score[Scored])


def scores() -> None:
    assert_type(xe.score(x, y), xe.Score[Scored])
    assert_type(xe.score(logits=x, targets=y, ignore_index=-1), xe.Score[Scored])
    assert_type(xe.score(x, y).prediction, Scored)
    assert_type(xe.Score(x, x, x, x, x, x), xe.Score[NDArray[np.float32]])


def gradients() -> None:
    assert_type(xe.value_and_grad(xe.cross_entropy)(x, y), tuple[Numbers, Gradient])
    assert_type(xe.value_and_grad(xe.sigmoid)(x), tuple[Numbers, Gradient])
    assert_type(xe.value_and_grad(xe.entropy, wrt="logits")(x), tuple[Numbers, Gradient])
    assert_type(xe.value_and_grad(xe.score, of="entropy")(x, y), tuple[xe.Score[Scored], Gradient])
    assert_type(xe.value_and_grad(xe.linear_score)(x, weight, y), tuple[xe.Score[Scored], Gradient])
    several = xe.value_and_grad(xe.linear_cross_entropy, wrt=("hidden", "weight"))
    assert_type(several(x, weight, y), tuple[Any, tuple[Any, ...]])
    signed = xe.value_and_grad(xe.logsumexp)
    assert_type(signed(x, return_sign=True), tuple[Any, Any])
    fixed = xe.value_and_grad(partial(xe.cross_entropy, reduction="sum"))
    assert_type(fixed(x, y), tuple[Any, Any])


def streams() -> None:
    classes: xe.ClassStream[NDArray[Any]] = xe.ClassStream(y, label_smoothing=0.1)
    assert_type(classes.update(x, 0), xe.ClassStream[NDArray[Any]])
    assert_type(classes.result(), xe.Score[NDArray[Any]])
    assert_type(xe.ClassStream(y), xe.ClassStream[Any])
    rows = xe.RowStream(xe.linear_score, ignore_index=-1)
    assert_type(rows.update(x, weight, y), xe.RowStream)
    assert_type(rows.result(), xe.Totals)
    assert_type(xe.RowStream().update(x, y).result().perplexity, float)


def options() -> None:
    with xe.options(threads=1, block_size=4096) as held:
        assert_type(held.threads, int | None)
