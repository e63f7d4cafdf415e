"""Scores of labels and their gradients are made in place, and are what the definitions say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from harness import Framework
from test_by_rows import CUTS, Rows, everywhere
from test_rows_in_place import general

import xentropy as xe
from xentropy._score import RowScore

pytestmark = pytest.mark.backends("numpy", "torch", "tensorflow")

__all__ = ["everywhere"]  # a fixture

RNG = np.random.default_rng(5)
FIELDS = ("loss", "log_prob", "lse", "entropy")
K = 5
LABELS = np.array([2, 0, 4, 1, 2, 3, 3, 0])
X = RNG.normal(size=(8, K)) * 2
X[0, 2] += 30  # the label is all but certain
X[6, 1] += 30  # and here another class
X[7, :2] = X[7].max() + 1  # two share the top
NEAR = {"float64": 1e-13, "float32": 2e-5, "bfloat16": 2e-2}
WAYS: list[dict[str, Any]] = [{}, {"ignore_index": 3}, {"temperature": 0.7, "ignore_index": 0}]
cuts = pytest.mark.parametrize("cut", CUTS, ids=str)
dtypes = pytest.mark.parametrize("dtype", NEAR)
options = pytest.mark.parametrize("own", WAYS, ids=str)


class Exact:
    """The definitions in long double; what 1 - p is, is what all other classes have."""

    def __init__(self, x: np.ndarray, temperature: float = 1.0, ignore_index: Any = None) -> None:
        rows = Rows(x, -1, temperature)
        self.p, self.log_p, self.entropy = rows.softmax(), rows.log_softmax(), rows.entropy()
        self.lse = rows.below[:, 0] - self.log_p[:, 0] + rows.peak[:, 0] / temperature
        self.on = np.eye(K)[LABELS]
        self.kept = (ignore_index != LABELS).astype(np.longdouble)
        self.temperature = temperature

    def values(self) -> dict[str, np.ndarray]:
        log_prob = (self.on * self.log_p).sum(-1)
        found = {"log_prob": log_prob, "lse": self.lse, "entropy": self.entropy}
        return {name: self.kept * value for name, value in {"loss": -log_prob, **found}.items()}

    def slopes(self) -> dict[str, np.ndarray]:
        others = np.where(self.on == 1, 0, self.p)
        near = self.p - self.on
        near[self.on == 1] = -others.sum(-1)
        mean = self.entropy[:, None]
        found = {"loss": near, "log_prob": -near, "lse": self.p}
        found["entropy"] = -self.p * (self.log_p + mean)
        return {n: self.kept[:, None] * s / self.temperature for n, s in found.items()}


def close(found: Any, wanted: np.ndarray, dtype: str) -> None:
    near = NEAR[dtype]
    np.testing.assert_allclose(found.astype(np.longdouble), wanted, rtol=near, atol=near * 1e-8)


def given(framework: Framework, dtype: str) -> tuple[list[Any], np.ndarray]:
    arrays = [framework.array(X, dtype), framework.array(LABELS, "int64")]
    return arrays, framework.numpy(arrays[0])


@cuts
@dtypes
@options
def test_values(framework: Framework, own: dict[str, Any], dtype: str, cut: Any) -> None:
    arrays, x = given(framework, dtype)
    with xe.options(**cut):
        found = xe.score(*arrays, **own)
    exact = Exact(x, **own)
    for name, value in exact.values().items():
        close(
            framework.numpy(getattr(found, name)), value, "float32" if dtype != "float64" else dtype
        )
    best = x.astype(np.float64).argmax(-1)
    assert framework.numpy(found.prediction).tolist() == best.tolist()
    right = (best == LABELS) & (exact.kept == 1)
    assert framework.numpy(found.correct).tolist() == right.tolist()


@cuts
@dtypes
@options
@pytest.mark.parametrize("field", FIELDS)
def test_gradients(
    framework: Framework, field: str, own: dict[str, Any], dtype: str, cut: Any
) -> None:
    arrays, x = given(framework, dtype)
    with xe.options(**cut):
        _, grad = xe.value_and_grad(xe.score, of=field)(*arrays, **own)
    wanted = Exact(x, **own).slopes()[field]
    near = NEAR[dtype]
    # That of an entropy is a difference of numbers that have errors of their own.
    least = near * (1e-3 if field == "entropy" else 1e-10)
    found = framework.numpy(grad).astype(np.longdouble)
    np.testing.assert_allclose(found, wanted, rtol=near, atol=least)


@options
def test_of_all_at_once(framework: Framework, own: dict[str, Any]) -> None:
    """As autograd asks for them: each field is worth something else in each row."""
    if not framework.autograd:
        pytest.skip("asks for one at a time")
    arrays, x = given(framework, "float64")
    bars = RNG.normal(size=(4, 8))
    weights = [framework.array(bar, "float64") for bar in bars]

    def weighed(x: Any, labels: Any) -> Any:
        found = xe.score(x, labels, **own)
        return sum(getattr(found, n) * w for n, w in zip(FIELDS, weights, strict=True))

    slopes = Exact(x, **own).slopes()
    wanted = sum(bar[:, None] * slopes[n] for n, bar in zip(FIELDS, bars, strict=True))
    for cut in CUTS:
        with xe.options(**cut):
            _, grad = framework.value_and_grad(weighed, *arrays)
        np.testing.assert_allclose(grad, wanted, rtol=1e-12, atol=1e-15)


@dtypes
@pytest.mark.parametrize("own", [{}, {"ignore_index": 3}], ids=str)
def test_they_are_made_in_place(
    framework: Framework, monkeypatch: pytest.MonkeyPatch, own: dict[str, Any], dtype: str
) -> None:
    arrays, _ = given(framework, dtype)
    forward = general(monkeypatch, RowScore, "forward")
    pullback = general(monkeypatch, RowScore, "pullback")
    with xe.options(block_size=10):
        for field in FIELDS:
            xe.value_and_grad(xe.score, of=field)(*arrays, **own)
    assert forward == pullback == []


def test_few_rows_are_in_place_too(framework: Framework, monkeypatch: pytest.MonkeyPatch) -> None:
    from xentropy import _by_sums

    monkeypatch.setattr(_by_sums, "FEW", 1 << 16)
    forward = general(monkeypatch, RowScore, "forward")
    arrays, x = given(framework, "float64")
    close(framework.numpy(xe.score(*arrays).loss), Exact(x).values()["loss"], "float64")
    assert forward == []


@cuts
def test_classes_first(framework: Framework, cut: Any) -> None:
    arrays = framework.array(X.T, "float64"), framework.array(LABELS, "int64")
    with xe.options(**cut):
        value, grad = xe.value_and_grad(xe.score, of="entropy")(*arrays, axis=0)
    exact = Exact(X)
    close(framework.numpy(value.entropy), exact.entropy, "float64")
    slopes = exact.slopes()["entropy"].T
    np.testing.assert_allclose(framework.numpy(grad), slopes, rtol=1e-12, atol=1e-15)


@cuts
@pytest.mark.parametrize("field", FIELDS)
def test_a_label_that_is_out(framework: Framework, field: str, cut: Any) -> None:
    """Its loss is infinite; other rows, and what is told without labels, are as ever."""
    x = X.copy()
    x[4, 2] = x[1, 3] = -math.inf
    arrays = framework.array(x, "float64"), framework.array(LABELS, "int64")
    with xe.options(**cut):
        value, grad = xe.value_and_grad(xe.score, of=field)(*arrays)
    with np.errstate(invalid="ignore"):
        exact = Exact(x)
        exact.entropy = np.array([Rows(r[np.isfinite(r)][None], -1).entropy()[0] for r in x])
        values, slopes = exact.values(), exact.slopes()
    assert (framework.numpy(value.loss)[4], framework.numpy(value.log_prob)[4]) == (
        math.inf,
        -math.inf,
    )
    others = np.arange(8) != 4
    if field in ("lse", "entropy"):
        close(framework.numpy(getattr(value, field))[4], values[field][4], "float64")
        others[:] = True
    wanted = np.where(np.isneginf(x), 0.0, slopes[field])
    found = framework.numpy(grad)
    np.testing.assert_allclose(found[others], wanted[others], rtol=1e-12, atol=1e-15)
