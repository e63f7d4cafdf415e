"""The public names as a type checker sees them, with arrays of PyTorch; run by test_typed.py."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from holds import assert_type
from torch import Tensor
from torch.nn import Parameter

import xentropy as xe

x = torch.ones((2, 3))
weight = torch.ones((4, 3))
y = torch.tensor([0, 1])
parameter = Parameter(x)


def maps() -> None:
    assert_type(xe.softmax(x, axis=0, temperature=2.0), Tensor)
    assert_type(xe.log_softmax(x=x, where=[True, True, False]), Tensor)
    assert_type(xe.sigmoid(x), Tensor)
    assert_type(xe.log_sigmoid(x), Tensor)


def sums() -> None:
    assert_type(xe.entropy(x), Tensor)
    assert_type(xe.entropy(x[0]), Tensor)
    assert_type(xe.logsumexp(x, axis=(0, 1)), Tensor)
    assert_type(xe.logsumexp(x, axis=None, keepdims=True, b=2.0), Tensor)
    value, sign = xe.logsumexp(x, return_sign=True)
    assert_type(value, Tensor)
    assert_type(sign, Tensor)


def losses() -> None:
    assert_type(xe.cross_entropy(x, y), Tensor)
    assert_type(xe.cross_entropy(logits=x, targets=y, reduction="none"), Tensor)
    assert_type(xe.cross_entropy(x, [0, 1], reduction="sum", ignore_index=0), Tensor)
    assert_type(xe.cross_entropy(x, y, normalizer="batch", class_weights=[1, 2, 3]), Tensor)
    assert_type(xe.cross_entropy(x, y, normalizer=7, softcap=30.0), Tensor)
    assert_type(xe.nll_loss(x, y), Tensor)
    assert_type(xe.nll_loss(log_probs=x, targets=y, reduction="none"), Tensor)
    assert_type(xe.binary_cross_entropy(x, x, pos_weight=2.0), Tensor)
    assert_type(xe.kl_divergence(x, x, targets_are="logits"), Tensor)
    assert_type(xe.focal_loss(x, x, form="sigmoid", gamma=1.0, alpha=0.25), Tensor)
    assert_type(xe.poly_loss(x, y, epsilon=1.0, label_smoothing=0.1), Tensor)
    assert_type(xe.generalized_cross_entropy(x, y, q=0.5, z_loss=1e-4), Tensor)


def heads() -> None:
    assert_type(xe.linear_cross_entropy(x, weight, y, reduction="sum"), Tensor)
    assert_type(xe.linear_cross_entropy(hidden=x, weight=weight, targets=y), Tensor)
    assert_type(xe.linear_score(x, weight, y, temperature=2.0), xe.Score[Tensor])
    assert_type(xe.linear_score(hidden=x, weight=weight, targets=y), xe.Score[Tensor])


def scores() -> None:
    assert_type(xe.score(x, y), xe.Score[Tensor])
    assert_type(xe.score(logits=x, targets=y, ignore_index=-1), xe.Score[Tensor])
    assert_type(xe.score(x, y).prediction, Tensor)
    assert_type(xe.Score(x, x, x, x, x, x), xe.Score[Tensor])


def gradients() -> None:
    assert_type(xe.value_and_grad(xe.cross_entropy)(x, y), tuple[Tensor, Tensor])
    assert_type(xe.value_and_grad(xe.sigmoid)(x), tuple[Tensor, Tensor])
    assert_type(xe.value_and_grad(xe.entropy, wrt="logits")(x), tuple[Tensor, Tensor])
    assert_type(xe.value_and_grad(xe.score, of="entropy")(x, y), tuple[xe.Score[Tensor], Tensor])
    assert_type(xe.value_and_grad(xe.linear_score)(x, weight, y), tuple[xe.Score[Tensor], Tensor])
    several = xe.value_and_grad(xe.linear_cross_entropy, wrt=("hidden", "weight"))
    assert_type(several(x, weight, y), tuple[Any, tuple[Any, ...]])
    signed = xe.value_and_grad(xe.logsumexp)
    assert_type(signed(x, return_sign=True), tuple[Any, Any])
    fixed = xe.value_and_grad(partial(xe.cross_entropy, reduction="sum"))
    assert_type(fixed(x, y), tuple[Any, Any])


def parameters() -> None:
    assert_type(xe.softmax(parameter), Tensor)
    assert_type(xe.logsumexp(parameter, axis=0), Tensor)
    value, sign = xe.logsumexp(parameter, return_sign=True)
    assert_type(value, Tensor)
    assert_type(sign, Tensor)
    assert_type(xe.entropy(parameter), Tensor)
    assert_type(xe.cross_entropy(parameter, y), Tensor)
    assert_type(xe.cross_entropy(logits=parameter, targets=y, reduction="sum"), Tensor)
    assert_type(xe.nll_loss(parameter, y), Tensor)
    assert_type(xe.linear_cross_entropy(parameter, weight, y), Tensor)
    assert_type(xe.linear_score(parameter, weight, y), xe.Score[Tensor])
    assert_type(xe.score(parameter, y), xe.Score[Tensor])
    assert_type(xe.value_and_grad(xe.cross_entropy)(parameter, y), tuple[Tensor, Tensor])
    found = xe.value_and_grad(xe.score)(parameter, y)
    assert_type(found, tuple[xe.Score[Tensor], Tensor])


def streams() -> None:
    classes: xe.ClassStream[Tensor] = xe.ClassStream(y, label_smoothing=0.1)
    assert_type(classes.update(x, 0), xe.ClassStream[Tensor])
    assert_type(classes.result(), xe.Score[Tensor])
    assert_type(xe.ClassStream(y), xe.ClassStream[Any])
    rows = xe.RowStream(xe.linear_score, ignore_index=-1)
    assert_type(rows.update(x, weight, y), xe.RowStream)
    assert_type(rows.result(), xe.Totals)
    assert_type(xe.RowStream().update(x, y).result().perplexity, float)


def options() -> None:
    with xe.options(threads=1, block_size=4096) as held:
        assert_type(held.threads, int | None)
