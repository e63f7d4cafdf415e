"""The Keras drop-ins against float64 formulas where Keras' own losses lose their digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras_backend import grad, needs_gradients, numpy, tensor

import xentropy_keras as xk

MARGINS = np.array([1.0, 5.0, 15.0, 20.0, 40.0, 80.0, -5.0, -20.0, -60.0, -100.0])
LOGITS = np.stack([MARGINS, np.zeros_like(MARGINS)], -1).astype("float32")
HOT = np.tile(np.array([1.0, 0.0], "float32"), (len(MARGINS), 1))
LABELS = np.zeros(len(MARGINS), "int32")
LOSS = np.logaddexp(0, -MARGINS)  # -log p of the true class
WRONG = np.exp(-np.logaddexp(0, MARGINS))  # 1 - p
RIGHT = np.exp(-LOSS)
CLOSE = {"rtol": 2e-6, "atol": 1e-38}


def slopes(function: Any, x: np.ndarray) -> np.ndarray:
    return numpy(grad(function, x))


@pytest.mark.parametrize("kind", ["one-hot", "labels"])
def test_cross_entropy(kind) -> None:
    function = xk.categorical_crossentropy if kind == "one-hot" else _sparse
    true = tensor(HOT if kind == "one-hot" else LABELS)
    got = numpy(function(true, tensor(LOGITS), from_logits=True))
    np.testing.assert_allclose(got, LOSS, **CLOSE)


_sparse = xk.sparse_categorical_crossentropy


@needs_gradients
def test_the_gradient_of_cross_entropy() -> None:
    true = tensor(LABELS)
    got = slopes(lambda x: _sparse(true, x, from_logits=True), LOGITS)
    np.testing.assert_allclose(got, np.stack([-WRONG, WRONG], -1), **CLOSE)


def test_focal_loss() -> None:
    got = xk.categorical_focal_crossentropy(tensor(HOT), tensor(LOGITS), from_logits=True)
    wanted = 0.25 * WRONG**2 * LOSS
    np.testing.assert_allclose(numpy(got), wanted, rtol=1e-5, atol=1e-36)


@needs_gradients
def test_the_gradient_of_focal_loss() -> None:
    true = tensor(HOT)
    focal = xk.categorical_focal_crossentropy
    got = slopes(lambda x: focal(true, x, alpha=1.0, from_logits=True), LOGITS)
    wanted = -(WRONG**2) * (WRONG + 2 * RIGHT * LOSS)
    np.testing.assert_allclose(got, np.stack([wanted, -wanted], -1), rtol=1e-5, atol=1e-36)


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_binary_losses(target) -> None:
    # Each row is one entry, so the mean over the axis is the entry.
    x = (MARGINS if target else -MARGINS).astype("float32")[:, None]
    true = tensor(np.full_like(x, target))
    got = xk.binary_crossentropy(true, tensor(x), from_logits=True)
    np.testing.assert_allclose(numpy(got), LOSS, **CLOSE)
    got = xk.binary_focal_crossentropy(true, tensor(x), from_logits=True)
    np.testing.assert_allclose(numpy(got), WRONG**2 * LOSS, rtol=1e-5, atol=1e-36)


@needs_gradients
@pytest.mark.parametrize("target", [0.0, 1.0])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_gradients_of_binary_losses(gamma, target) -> None:
    sign = 1 if target else -1
    x = (sign * MARGINS).astype("float32")[:, None]
    true = tensor(np.full_like(x, target))
    got = slopes(lambda x: xk.binary_crossentropy(true, x, from_logits=True), x)
    np.testing.assert_allclose(got[:, 0], -sign * WRONG, **CLOSE)
    focal = xk.binary_focal_crossentropy
    got = slopes(lambda x: focal(true, x, gamma=gamma, from_logits=True), x)
    wanted = -sign * WRONG**gamma * (WRONG + gamma * RIGHT * LOSS)
    np.testing.assert_allclose(got[:, 0], wanted, rtol=1e-5, atol=1e-36)


def test_soft_targets_of_binary_focal_loss() -> None:
    x = np.linspace(-9, 9, 7, dtype="float32")[:, None]
    p = 1 / (1 + np.exp(-x.astype("float64")))
    t = np.linspace(0, 1, 7)[:, None]
    got = xk.binary_focal_crossentropy(tensor(t, "float32"), tensor(x), from_logits=True)
    bce = t * np.logaddexp(0, -x) + (1 - t) * np.logaddexp(0, x)
    wanted = (t * (1 - p) + (1 - t) * p) ** 2 * bce
    np.testing.assert_allclose(numpy(got), wanted[:, 0], rtol=1e-5)


@needs_gradients
@pytest.mark.parametrize("rows", [[0.5, 0.5, 0.5], [0.0, 0.0, 0.0], [2.0, 0.0, 1.0]])
def test_gradients_of_targets_of_any_sum(rows) -> None:
    x, t = np.array([1.0, 2.0, 3.0]), np.array(rows)
    true = tensor(t[None], "float32")
    got = slopes(lambda x: xk.categorical_crossentropy(true, x, True), x[None].astype("float32"))
    wanted = t.sum() * np.exp(x) / np.exp(x).sum() - t
    np.testing.assert_allclose(got[0], wanted, rtol=1e-5, atol=1e-6)


@needs_gradients
def test_ignored_rows_have_no_gradient_whatever_they_hold() -> None:
    labels = tensor(np.array([0, 9, 9, 1]))
    rows = [[0.1, 0.9], [np.nan, np.inf], [0.0, 0.0], [0.5, 0.5]]
    for from_logits in (True, False):
        got = slopes(
            lambda x, from_logits=from_logits: _sparse(labels, x, from_logits, ignore_class=9),
            np.array(rows, "float32"),
        )
        assert (got[[1, 2]] == 0).all()
        assert np.isfinite(got).all()
        assert (got[[0, 3]] != 0).all()


@pytest.mark.parametrize("count", [257, 2049])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_label_of_a_narrow_loss_is_its_own_class(dtype, count) -> None:
    logits = np.zeros((count, count), "float32") + 10 * np.eye(count, dtype="float32")
    loss = xk.SparseCategoricalCrossentropy(from_logits=True, reduction="none", dtype=dtype)
    got = numpy(loss(tensor(np.arange(count)), tensor(logits)))
    np.testing.assert_allclose(got, np.log1p((count - 1) * np.exp(-10.0)), rtol=4e-3)


def test_an_ignored_class_of_a_narrow_loss_is_one_class() -> None:
    loss = xk.SparseCategoricalCrossentropy(True, 257, reduction="none", dtype="bfloat16")
    got = numpy(loss(tensor([256, 257, 258]), tensor(np.zeros((3, 300), "float32"))))
    np.testing.assert_allclose(got, [np.log(300), 0, np.log(300)], rtol=4e-3)
