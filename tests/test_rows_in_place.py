"""What is told of rows in place: that it is, and that it is what the definitions say."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from harness import Framework
from test_by_rows import Rows, everywhere, sigmoid

import xentropy as xe
from xentropy._divergence import Divergence
from xentropy._maps import Entropy, LogSumExp, Sigmoid, Softmax
from xentropy._pair import PairLoss
from xentropy._score import RowScore

pytestmark = pytest.mark.backends("numpy", "torch", "tensorflow")

__all__ = ["everywhere"]  # a fixture

RNG = np.random.default_rng(12)
INF, NAN = math.inf, math.nan
X = RNG.normal(size=(9, 5)) * 3
X[::3, 2] += 18
X[-1, :2] = X[-1].max() + 1
LABELS = RNG.integers(0, 5, 9)
SHARES = np.exp(X[::-1] / 4) / np.exp(X[::-1] / 4).sum(1, keepdims=True)

# A function, its rule, and what it takes beside the entries.
KINDS: dict[str, tuple[Callable[..., Any], type, np.ndarray | None]] = {
    "softmax": (xe.softmax, Softmax, None),
    "log_softmax": (xe.log_softmax, Softmax, None),
    "logsumexp": (partial(xe.logsumexp, axis=-1), LogSumExp, None),
    "entropy": (xe.entropy, Entropy, None),
    "sigmoid": (xe.sigmoid, Sigmoid, None),
    "log_sigmoid": (xe.log_sigmoid, Sigmoid, None),
    "score": (xe.score, RowScore, LABELS),
    "binary": (partial(xe.binary_cross_entropy, reduction="none"), PairLoss, SHARES),
    "divergence": (partial(xe.kl_divergence, reduction="none"), Divergence, SHARES),
    "mean divergence": (xe.kl_divergence, Divergence, SHARES),
}
# Whose gradients are made in place too.
PULLED = [
    "softmax",
    "log_softmax",
    "logsumexp",
    "entropy",
    "sigmoid",
    "log_sigmoid",
    "binary",
    "divergence",
    "mean divergence",
]


def arrays_of(framework: Framework, *arrays: np.ndarray | None, dtype: str) -> list[Any]:
    return [
        framework.array(x, "int64" if x.dtype.kind == "i" else dtype)
        for x in arrays
        if x is not None
    ]


def general(monkeypatch: pytest.MonkeyPatch, rule: type, name: str) -> list[int]:
    """How many entries the rule is asked for, each time that it is."""
    inner, sizes = getattr(rule, name), []

    def noted(self: Any, xp: Any, leaves: Any, *args: Any, **how: Any) -> Any:
        sizes.append(math.prod(leaves[0].shape))
        return inner(self, xp, leaves, *args, **how)

    monkeypatch.setattr(rule, name, noted)
    return sizes


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", KINDS)
def test_finite_rows_are_made_in_place(
    framework: Framework, monkeypatch: pytest.MonkeyPatch, name: str, dtype: str
) -> None:
    """But for a first row, or entry, which may tell what there will be."""
    call, rule, other = KINDS[name]
    sizes = general(monkeypatch, rule, "forward")
    with xe.options(block_size=12):
        call(*arrays_of(framework, X, other, dtype=dtype))
    assert sum(sizes) <= 5


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
@pytest.mark.parametrize("name", PULLED)
def test_and_so_are_gradients(
    framework: Framework, monkeypatch: pytest.MonkeyPatch, name: str, dtype: str
) -> None:
    call, rule, other = KINDS[name]
    sizes = general(monkeypatch, rule, "pullback")
    with xe.options(block_size=12):
        framework.value_and_grad(call, *arrays_of(framework, X, other, dtype=dtype))
        xe.value_and_grad(call)(*arrays_of(framework, X, other, dtype=dtype))
    assert sizes == []


# Sigmoids.


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_sigmoids_far_from_0(framework: Framework, dtype: str) -> None:
    far = [0.0, 1e-30, 3.0, 17.0, 50.0, 87.0, 88.0, 89.0, 100.0, 103.0, 700.0, 720.0, INF]
    x = framework.array([*far, *(-e for e in far), NAN], dtype)
    wide = framework.numpy(x).astype(np.longdouble)
    with np.errstate(over="ignore"):
        p, q, log_p = sigmoid(wide), sigmoid(-wide), -np.log1p(np.exp(-wide))
    log_p = np.where(wide < -11000, wide, log_p)
    wanted = [(xe.sigmoid, p, p * q), (xe.log_sigmoid, log_p, q)]
    # Below the normal numbers there are fewer digits: twice what lies beside 0.
    least = {"float64": 1e-323, "float32": 3e-45, "bfloat16": 2e-40}[dtype]
    near = {"float64": 1e-15, "float32": 5e-7, "bfloat16": 4e-3}[dtype]
    for size in (1, 4, 999):
        for function, value, slope in wanted:
            with xe.options(block_size=size):
                found = framework.value_and_grad(function, x)
            for made, exact in zip(found, (value, slope), strict=True):
                wider = made.astype(np.longdouble)
                np.testing.assert_allclose(wider, exact, rtol=near, atol=least)


# Divergences.


def rows_of(x: np.ndarray, temperature: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """The softmax of rows and its logarithm."""
    rows = Rows(x, -1, temperature)
    return rows.softmax(), rows.log_softmax()


def test_targets_of_0_and_near_it(framework: Framework, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels as probabilities, and such as have few digits."""
    t = np.eye(5)[LABELS]
    t[1] = (0.5, 0, 0.5, 1e-40, 0)
    t[2] = 0
    t[3] = (0, 4e-45, 0, 0, 2e-38)
    x, t32 = X.astype(np.float32), t.astype(np.float32).astype(np.longdouble)
    p, log_p = rows_of(x)
    safe = np.where(t32 == 0, 1, t32)
    wanted = (t32 * (np.log(safe) - log_p)).sum(1)
    slope = t32.sum(1, keepdims=True) * p - t32
    sizes = general(monkeypatch, Divergence, "forward")
    arrays = arrays_of(framework, x, t, dtype="float32")
    call = partial(xe.kl_divergence, reduction="none")
    with xe.options(block_size=12):
        found = framework.value_and_grad(call, *arrays)
        kept = framework.numpy(call(*arrays))
    assert sum(sizes) <= 2 * 5
    for value in (found[0], kept):
        np.testing.assert_allclose(value.astype(np.longdouble), wanted, rtol=1e-6, atol=1e-44)
    np.testing.assert_allclose(found[1].astype(np.longdouble), slope, rtol=1e-6, atol=1e-9)
    # Of a sure row that is right, what is left of 1 - 1 is the sum of all others.
    sure = (p.max(1) > 1 - 1e-6) & (p.argmax(1) == LABELS) & (t[:, 0] != 0.5) & (t.sum(1) == 1)
    top = np.flatnonzero(sure), LABELS[sure]
    np.testing.assert_allclose(found[1][top].astype(np.longdouble), slope[top], rtol=1e-5)


def test_what_is_no_probability_is_the_rules_own(framework: Framework) -> None:
    t = SHARES.copy()
    t[4, 1] = -0.25
    arrays = arrays_of(framework, X, t, dtype="float64")
    with xe.options(block_size=12):
        found = framework.numpy(xe.kl_divergence(*arrays, reduction="none"))
    wanted = (SHARES * (np.log(SHARES) - rows_of(X)[1])).sum(1)
    others = np.arange(9) != 4
    np.testing.assert_allclose(found[others], wanted[others].astype(float), rtol=1e-12)
    assert np.isnan(found[4])


# Scores, entropies and sums.


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_scores_with_rows_that_are_ignored(
    framework: Framework, dtype: str, temperature: float
) -> None:
    """In some blocks and not in others; the first of equal classes is the prediction."""
    x = framework.array(X, dtype)
    wide, labels = framework.numpy(x).astype(float), LABELS.copy()
    wide[4, 3] = -INF
    wide[2] = np.array([1, 2, 4, 3, 0]) * 1e-20  # whose exponentials are all 1
    x = framework.array(wide, dtype)
    labels[[4, 7]] = (2, -100)
    given = framework.array(labels, "int64")
    with xe.options(block_size=12, threads=1):
        found = xe.score(x, given, ignore_index=-100, temperature=temperature)
    p, log_p = rows_of(wide, temperature)
    kept = np.arange(9) != 7
    at = np.arange(9), np.where(kept, labels, 0)
    surprisal = np.where(kept, -log_p[at], 0)
    entropy = np.where(kept, -(p * np.where(p == 0, 0, log_p)).sum(1), 0)
    near = 1e-13 if dtype == "float64" else 2e-6
    for value, exact in (
        (found.loss, surprisal),
        (-found.log_prob, surprisal),
        (found.entropy, entropy),
        (found.lse, np.where(kept, wide.max(1) / temperature - log_p.max(1), 0)),
    ):
        made = framework.numpy(value).astype(np.longdouble)
        np.testing.assert_allclose(made, exact, rtol=near, atol=1e-30)
    assert framework.numpy(found.prediction)[kept].tolist() == wide.argmax(1)[kept].tolist()
    correct = (wide.argmax(1) == labels) & kept
    assert framework.numpy(found.correct).tolist() == correct.tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_gradients_of_entropies(framework: Framework, dtype: str, temperature: float) -> None:
    """Times a factor of each row; of sure rows too, whose entropy is small."""
    bars = np.random.default_rng(2).normal(size=9)
    x = framework.array(X, dtype)

    def total(x: Any) -> Any:
        return xe.entropy(x, temperature=temperature) * framework.array(bars, dtype)

    p, log_p = rows_of(framework.numpy(x), temperature)
    wanted = -p * (log_p - (p * log_p).sum(1, keepdims=True)) / temperature * bars[:, None]
    size = np.abs(wanted).max(1, keepdims=True)
    for cut in (12, 999):
        with xe.options(block_size=cut):
            if framework.name == "numpy":
                _, found = xe.value_and_grad(xe.entropy)(x, temperature=temperature)
                found = found * bars[:, None]
            else:
                found = framework.value_and_grad(total, x)[1]
        near = 4e-6 if dtype == "float32" else 1e-14
        assert (np.abs(found - wanted) <= near * size).all()


def of_softmax(p: np.ndarray, bar: np.ndarray) -> np.ndarray:
    """Of every class, the sum over all others of p_i p_j (b_i - b_j): nothing cancels at a top."""
    return (p[..., None] * p[..., None, :] * (bar[..., None] - bar[..., None, :])).sum(-1)


def of_log_softmax(p: np.ndarray, bar: np.ndarray) -> np.ndarray:
    """b_i (1 - p_i) - p_i times the other b, with the sum of the other p for 1 - p_i."""
    others = p.sum(-1, keepdims=True) - p
    top = np.arange(p.shape[-1]) == p.argmax(-1)[..., None]
    others = np.where(top, np.where(top, 0, p).sum(-1, keepdims=True), others)
    return bar * others - p * (bar.sum(-1, keepdims=True) - bar)


@pytest.mark.backends("torch")
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("axis", [1, 0])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_gradients_of_softmaxes(framework: Framework, name: str, axis: int, dtype: str) -> None:
    """Of every bar; the top of a confident row, which is nearly 1, has its digits."""
    import torch

    exact = of_softmax if name == "softmax" else of_log_softmax
    x = framework.array(X if axis else np.ascontiguousarray(X.T), dtype).requires_grad_()
    bars = [np.random.default_rng(2).normal(size=X.shape), np.ones(X.shape), np.eye(5)[X.argmax(1)]]
    wide = framework.numpy(x.detach()).astype(float)
    for temperature, size in ((1.0, 12), (0.7, 999)):
        p, _ = rows_of(wide if axis else wide.T, temperature)
        with xe.options(block_size=size):
            value = KINDS[name][0](x, axis=axis, temperature=temperature)
            for bar in bars:
                given = framework.array(bar if axis else np.ascontiguousarray(bar.T), dtype)
                (made,) = torch.autograd.grad(value, x, given, retain_graph=True)
                found = framework.numpy(made).astype(np.longdouble)
                found = found if axis else found.T
                used = framework.numpy(given).astype(np.longdouble)
                wanted = exact(p, used if axis else used.T) / temperature
                near = {"float32": 3e-6, "float64": 1e-14, "bfloat16": 8e-3}[dtype]
                # What a sum of terms of both signs loses, each no more than 1 - p of its class.
                least = near * np.abs(used).max() * (1 - p.max(1, keepdims=True) + 1e-9)
                at_top = np.arange(5) == X.argmax(1)[:, None]
                least = np.where(at_top, least, near)
                assert (np.abs(found - wanted) <= near * np.abs(wanted) + least).all()


@pytest.mark.parametrize("keepdims", [False, True])
def test_gradients_of_sums_with_classes_that_take_no_part(
    framework: Framework, keepdims: bool
) -> None:
    x = X.copy()
    x[1, 3], x[5], x[6, 0] = -INF, -INF, INF
    call = partial(xe.logsumexp, axis=1, keepdims=keepdims)
    with xe.options(block_size=12):
        found = framework.value_and_grad(call, framework.array(x, "float64"))[1]
    fine = [0, 1, 2, 3, 4, 7, 8]
    np.testing.assert_allclose(found[fine], rows_of(x[fine])[0].astype(float), rtol=1e-13)
    assert found[5].tolist() == [0] * 5
    assert found[6].tolist() == [1, 0, 0, 0, 0]


# On TensorFlow a tape decides who makes the gradient.


def hessian_of_entropy(x: np.ndarray) -> np.ndarray:
    """The derivatives of p_j (-log p_j - H), of one row."""
    p, log_p = (each[0].astype(float) for each in rows_of(x[None]))
    entropy = -(p * log_p).sum()
    gap = -log_p - entropy
    slope = p * gap
    # dp_j = p_j ([j = k] - p_k), d(-log p_j) = p_k - [j = k], dH = p_k gap_k.
    eye = np.eye(len(p))
    return (p[:, None] * (eye - p)) * gap[:, None] + p[:, None] * (p - eye - slope)


@pytest.mark.backends("tensorflow")
@pytest.mark.usefixtures("framework")
def test_tapes_around_tapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is differentiated again is made of TensorFlow's operations; what is not, in place."""
    import tensorflow as tf

    row = X[1]
    p, log_p = (each[0].astype(float) for each in rows_of(row[None]))
    slope = -p * (log_p - (p * log_p).sum())
    x = tf.Variable(row)
    sizes = general(monkeypatch, Entropy, "pullback")
    with tf.GradientTape(persistent=True) as tape:
        value = xe.entropy(x)
    for factor in (1.0, 2.0):
        made = tape.gradient(value, x, output_gradients=tf.constant(factor, tf.float64))
        np.testing.assert_allclose(made, factor * slope, rtol=1e-12, atol=1e-15)
    assert sizes == []
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            value = xe.entropy(x)
        made = inner.gradient(value, x)
    np.testing.assert_allclose(made, slope, rtol=1e-12, atol=1e-15)
    wanted = hessian_of_entropy(row)
    np.testing.assert_allclose(outer.jacobian(made, x), wanted, rtol=1e-10, atol=1e-14)
    assert sizes
    bar = tf.Variable(3.0, dtype=tf.float64)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            value = xe.entropy(x)
        made = inner.gradient(value, x, output_gradients=bar)
    by_bar = outer.gradient(made, bar, output_gradients=tf.ones(5, tf.float64))
    np.testing.assert_allclose(by_bar, slope.sum(), rtol=1e-10, atol=1e-15)
