"""Losses of given probabilities by other probabilities: in place, and what the definition says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from harness import Framework
from test_by_rows import CUTS
from test_options import as_arrays

import xentropy as xe
from xentropy import _visits

pytestmark = pytest.mark.backends("numpy", "torch", "tensorflow")

RNG = np.random.default_rng(23)
X = RNG.normal(size=(9, 5)) * 2
P = np.exp(X) / np.exp(X).sum(1, keepdims=True)
P[2, 1] = P[7, 4] = 0.0
T = RNG.uniform(0.1, 1.5, size=P.shape)
T[P == 0] = T[4, 2] = T[5] = 0.0
CLASSES = np.array([0.5, 1.5, 0.0, 2.0, 1.0])
SAMPLES = RNG.uniform(size=9) + 0.1
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "log-probabilities": (xe.nll_loss, {}),
    "probabilities": (xe.cross_entropy, {"from_logits": False}),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sum": {"reduction": "sum"},
    "rows": {"reduction": "none"},
    "weights": {"class_weights": CLASSES, "sample_weights": SAMPLES},
    "batch": {"class_weights": CLASSES, "normalizer": "batch"},
    "valid": {"sample_weights": SAMPLES, "normalizer": "valid"},
}
cuts = pytest.mark.parametrize("cut", CUTS, ids=str)
kinds = pytest.mark.parametrize("name", KINDS)


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """No block of rows is visited in the general form."""
    monkeypatch.setattr(_visits, "_visit_any", None)


def definition(
    name: str, p: np.ndarray, given: np.ndarray, options: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """The loss, and its gradient by what is given: 0 where a class has no share."""
    e, rows = options.get("label_smoothing", 0.0), p.shape[0]
    t = (1 - e) * given + e * given.sum(1, keepdims=True) / p.shape[1]
    scale = np.asarray(options.get("sample_weights", np.ones(rows)))
    t = scale[:, None] * t * np.asarray(options.get("class_weights", 1.0))
    number = {"weights": t.sum(), "batch": rows, "valid": (scale != 0).sum()}
    divisor = number[options.get("normalizer", "weights")]
    divisor = divisor if options.get("reduction", "mean") == "mean" else 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        losses = -np.where(t == 0, 0.0, t * np.log(np.where(t == 0, 1.0, p))).sum(1) / divisor
        slopes = -t if name == "log-probabilities" else -np.where(t == 0, 0.0, t / p)
    return losses if options.get("reduction") == "none" else losses.sum(), slopes / divisor


def arrays(framework: Framework, name: str, p: np.ndarray, t: np.ndarray, dtype: str) -> list[Any]:
    with np.errstate(divide="ignore", invalid="ignore"):
        given = p.copy() if name == "probabilities" else np.log(p)
    return [framework.array(given, dtype), framework.array(t, dtype)]


@pytest.mark.usefixtures("never")
@cuts
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("how", OPTIONS.values(), ids=OPTIONS)
@kinds
def test_loss_and_gradient(
    framework: Framework, name: str, how: dict[str, Any], dtype: str, cut: Any
) -> None:
    loss, own = KINDS[name]
    given = arrays(framework, name, P, T, dtype)
    options = own | as_arrays(framework, how, dtype)
    wanted, slopes = definition(name, P, T, how)
    near = {"rtol": 1e-12 if dtype == "float64" else 1e-5, "atol": 1e-15}
    with xe.options(**cut):
        alone = framework.numpy(loss(*given, **options))
        value, grad = framework.value_and_grad(loss, *given, **options)
    np.testing.assert_allclose(alone, wanted, **near)
    np.testing.assert_allclose(value, wanted, **near)
    np.testing.assert_allclose(grad, slopes, **near)
    assert not np.signbit(grad[slopes == 0]).any()


@pytest.mark.usefixtures("never")
@cuts
@kinds
def test_smoothing(framework: Framework, name: str, cut: Any) -> None:
    """It gives every class a share, so none may be 0."""
    loss, own = KINDS[name]
    p, how = np.where(P == 0, 0.25, P), {"label_smoothing": 0.2, "class_weights": CLASSES}
    given = arrays(framework, name, p, T, "float64")
    wanted, slopes = definition(name, p, T, how)
    with xe.options(**cut):
        found = framework.value_and_grad(
            loss, *given, **own, **as_arrays(framework, how, "float64")
        )
    for made, exact in zip(found, (wanted, slopes), strict=True):
        np.testing.assert_allclose(made, exact, rtol=1e-12, atol=1e-15)


@pytest.mark.usefixtures("never")
@kinds
def test_half_types(framework: Framework, name: str) -> None:
    loss, own = KINDS[name]
    given = arrays(framework, name, P, T, "bfloat16")
    first, t = (framework.numpy(x).astype(float) for x in given)
    wanted, slopes = definition(name, first if name == "probabilities" else np.exp(first), t, {})
    value, grad = framework.value_and_grad(loss, *given, **own)
    np.testing.assert_allclose(value.astype(float), wanted, rtol=2e-6)
    np.testing.assert_allclose(grad.astype(float), slopes, rtol=4e-3)


@pytest.mark.usefixtures("never")
@kinds
def test_classes_first(framework: Framework, name: str) -> None:
    loss, own = KINDS[name]
    given = arrays(framework, name, P.T.copy(), T.T.copy(), "float64")
    wanted, slopes = definition(name, P, T, {})
    with xe.options(block_size=12):
        value, grad = framework.value_and_grad(loss, *given, axis=0, **own)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    np.testing.assert_allclose(grad, slopes.T, rtol=1e-12, atol=1e-15)


@cuts
@pytest.mark.parametrize(
    ("place", "p", "t", "loss"),
    [
        ((2, 1), 0.0, 0.5, math.inf),
        ((3, 3), math.nan, 0.5, math.nan),
        ((3, 3), 0.25, math.nan, math.nan),
        ((3, 3), math.inf, 0.5, -math.inf),
        ((4, 2), -0.5, 1.0, math.nan),
    ],
    ids=["no probability", "no number", "no target", "without end", "below 0"],
)
@kinds
def test_strange_rows_disturb_no_other(
    framework: Framework, name: str, place: Any, p: float, t: float, loss: float, cut: Any
) -> None:
    call, own = KINDS[name]
    probabilities, targets = P.copy(), T.copy()
    probabilities[place], targets[place] = p, t
    given = arrays(framework, name, probabilities, targets, "float64")
    with xe.options(**cut):
        value, grad = framework.value_and_grad(call, *given, reduction="none", **own)
    wanted, slopes = definition(name, P, T, {"reduction": "none"})
    others = np.arange(9) != place[0]
    np.testing.assert_allclose(value[others], wanted[others], rtol=1e-12)
    np.testing.assert_allclose(grad[others], slopes[others], rtol=1e-12, atol=1e-15)
    np.testing.assert_equal(float(value[place[0]]), loss)
    slope = t if name == "log-probabilities" else t / p if p else math.inf
    np.testing.assert_equal(float(grad[place]), -slope)


@pytest.mark.backends("numpy", "torch")
@pytest.mark.parametrize("over", [0, 1])
@cuts
@kinds
def test_over_what_was_given(framework: Framework, name: str, over: int, cut: Any) -> None:
    """Over the probabilities, or the targets."""
    loss, own = KINDS[name]
    given = arrays(framework, name, P, T.copy(), "float64")
    wanted, slopes = definition(name, P, T, {})
    with xe.options(**cut):
        value, grad = xe.value_and_grad(loss)(*given, out=given[over], **own)
    assert grad is given[over]
    np.testing.assert_allclose(float(value), wanted, rtol=1e-12)
    np.testing.assert_allclose(framework.numpy(grad), slopes, rtol=1e-12, atol=1e-15)


@kinds
def test_a_mask_goes_another_way(framework: Framework, name: str) -> None:
    """A masked class may hold anything, and is a constant."""
    loss, own = KINDS[name]
    p, mask = P.copy(), np.array([True, True, True, False, True])
    p[1:, 3] = math.nan
    t = np.where(mask, T, 0.0)
    wanted, slopes = definition(name, np.where(mask, p, 1.0), t, {})
    t[0, 3] = 0.5
    given = arrays(framework, name, p, t, "float64")
    how = {"where": framework.array(mask, "bool"), "reduction": "none", **own}
    with xe.options(block_size=1):
        value, grad = framework.value_and_grad(loss, *given, **how)
    assert value[0] == math.inf
    np.testing.assert_allclose(value[1:].sum() / t[:, mask].sum(), wanted - first(p, t, mask))
    np.testing.assert_allclose(grad / t[:, mask].sum(), slopes, rtol=1e-12, atol=1e-15)


def first(p: np.ndarray, t: np.ndarray, mask: np.ndarray) -> float:
    """What the first row has of the mean."""
    return float(-(t[0, mask] * np.log(p[0, mask])).sum() / t[:, mask].sum())
