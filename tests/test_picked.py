"""Losses of labels by probabilities as given: one entry of a row is read, and has a gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from harness import Framework
from test_options import as_arrays

import xentropy as xe
from xentropy import _visits

IN_BLOCKS = ("numpy", "torch", "tensorflow")
pytestmark = pytest.mark.backends(*IN_BLOCKS)

RNG = np.random.default_rng(17)
X = RNG.normal(size=(8, 5)) * 2
LOG_P = X - np.log(np.exp(X).sum(1, keepdims=True))
LABELS = np.array([0, 4, 2, 2, 1, 3, 0, 4])
CLASSES = np.array([0.5, 1.5, 0.0, 2.0, 1.0])
SAMPLES = RNG.uniform(size=8) + 0.1

Curve = Callable[[np.ndarray], np.ndarray]
# A loss, its options, f of q = -log p, and its derivative.
KINDS: dict[str, tuple[Callable[..., Any], dict[str, Any], Curve, Curve]] = {
    "nll": (xe.nll_loss, {}, lambda q: q, np.ones_like),
    "of probabilities": (xe.cross_entropy, {"from_logits": False}, lambda q: q, np.ones_like),
    "focal": (
        xe.focal_loss,
        {"from_logits": False, "gamma": 2.0},
        lambda q: (1 - np.exp(-q)) ** 2 * q,
        lambda q: (1 - np.exp(-q)) * (1 - np.exp(-q) + 2 * np.exp(-q) * q),
    ),
    "balanced": (
        xe.focal_loss,
        {"from_logits": False, "gamma": 0.0, "alpha": 0.25},
        lambda q: 0.25 * q,
        lambda q: np.full_like(q, 0.25),
    ),
    "generalized": (
        xe.generalized_cross_entropy,
        {"from_logits": False},
        lambda q: (1 - np.exp(-0.7 * q)) / 0.7,
        lambda q: np.exp(-0.7 * q),
    ),
}
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sum": {"reduction": "sum"},
    "rows": {"reduction": "none"},
    "weights": {"class_weights": CLASSES, "sample_weights": SAMPLES},
    "ignored": {"ignore_index": 2},
    "valid": {"ignore_index": 4, "sample_weights": SAMPLES, "normalizer": "valid"},
    "batch": {"class_weights": CLASSES, "normalizer": "batch"},
    "number": {"normalizer": 3.0, "ignore_index": 0},
}


@pytest.fixture(autouse=True)
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """No block of rows is visited in the general form."""
    monkeypatch.setattr(_visits, "_visit_any", None)


def definition(name: str, log_p: np.ndarray, how: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The loss, and its gradient by what is given, in float64."""
    _, options, curve, slope = KINDS[name]
    rows = np.arange(len(LABELS))
    q = -log_p[rows, LABELS]
    kept = np.where(how.get("ignore_index") == LABELS, 0.0, 1.0)
    scale = kept * np.asarray(how.get("sample_weights", 1.0))
    t = scale * np.asarray(how.get("class_weights", np.ones(5)))[LABELS]
    divisor = {"weights": t.sum(), "batch": 8.0, "valid": float((scale != 0).sum())}
    number = how.get("normalizer", "weights")
    number = divisor[number] if isinstance(number, str) else number
    number = 1.0 if how.get("reduction", "mean") != "mean" else number
    losses = t * curve(q) / number
    gradient = np.zeros_like(log_p)
    by = np.exp(q) if options.get("from_logits") is False else 1.0
    gradient[rows, LABELS] = -t * slope(q) * by / number
    return losses if how.get("reduction") == "none" else losses.sum(), gradient


def arrays(framework: Framework, name: str, dtype: str) -> tuple[Any, Any]:
    given = LOG_P.copy() if name == "nll" else np.exp(LOG_P)
    return framework.array(given, dtype), framework.array(LABELS, "int64")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("how", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("name", KINDS)
def test_loss_and_gradient(
    framework: Framework, name: str, how: dict[str, Any], dtype: str
) -> None:
    loss, own, _, _ = KINDS[name]
    given = arrays(framework, name, dtype)
    options = own | as_arrays(framework, how, dtype)
    exact = framework.numpy(given[0]).astype(float)
    exact = exact if name == "nll" else np.log(exact)
    value, gradient = definition(name, exact, how)
    near = {"rtol": 1e-12 if dtype == "float64" else 1e-5, "atol": 1e-15}
    np.testing.assert_allclose(framework.numpy(loss(*given, **options)), value, **near)
    found, grad = framework.value_and_grad(loss, *given, **options)
    np.testing.assert_allclose(found, value, **near)
    np.testing.assert_allclose(grad, gradient, **near)
    found, grad = xe.value_and_grad(loss)(*given, **options)
    np.testing.assert_allclose(framework.numpy(grad), gradient, **near)
    assert not np.signbit(framework.numpy(grad)[gradient == 0]).any()


@pytest.mark.parametrize("name", ["nll", "of probabilities"])
def test_half_types(framework: Framework, name: str) -> None:
    """The loss is computed in float32 of what is given, and the gradient rounded once."""
    loss, own, _, _ = KINDS[name]
    given = arrays(framework, name, "bfloat16")
    exact = framework.numpy(given[0]).astype(float)
    value, gradient = definition(name, exact if name == "nll" else np.log(exact), {})
    found, grad = framework.value_and_grad(loss, *given, **own)
    np.testing.assert_allclose(found.astype(float), value, rtol=1e-6)
    np.testing.assert_allclose(grad.astype(float), gradient, rtol=4e-3)


def test_classes_within(framework: Framework) -> None:
    """Along an axis that is not the last one."""
    log_p = np.moveaxis(LOG_P.reshape(2, 4, 5), -1, 1).copy()
    given = framework.array(log_p, "float64"), framework.array(LABELS.reshape(2, 4), "int64")
    value, grad = framework.value_and_grad(xe.nll_loss, *given, axis=1)
    wanted, gradient = definition("nll", LOG_P, {})
    np.testing.assert_allclose(value, wanted, rtol=1e-13)
    np.testing.assert_allclose(np.moveaxis(grad, 1, -1).reshape(8, 5), gradient, rtol=1e-13)


def test_what_is_not_finite(framework: Framework) -> None:
    """Only the label's own entry counts, and none of a row that weighs nothing."""
    log_p = LOG_P.copy()
    log_p[0] = math.nan  # ignored
    log_p[1, 0], log_p[2, 2], log_p[4, 1], log_p[5, 3] = math.nan, -math.inf, 0.0, math.nan
    labels = LABELS.copy()
    labels[0] = -1
    given = framework.array(log_p, "float64"), framework.array(labels, "int64")
    value, grad = framework.value_and_grad(xe.nll_loss, *given, ignore_index=-1, reduction="none")
    wanted = [0.0, -log_p[1, 4], math.inf, -log_p[3, 2], 0.0, math.nan, -log_p[6, 0], -log_p[7, 4]]
    np.testing.assert_array_equal(value, wanted)
    assert not np.signbit(value[[0, 4]]).any()
    slopes = -np.eye(5)[LABELS]
    slopes[0] = 0.0
    np.testing.assert_array_equal(grad, slopes)


def test_a_probability_of_0(framework: Framework) -> None:
    """Its loss is infinite and so is its slope; without a weight it has neither."""
    p = np.exp(LOG_P)
    p[0, 0] = p[1, 4] = 0.0
    given = framework.array(p, "float64"), framework.array(LABELS, "int64")
    weights = framework.array(np.array([1.0, 1.0, 1.0, 1.0, 0.0]), "float64")
    value, grad = framework.value_and_grad(
        xe.cross_entropy, *given, from_logits=False, class_weights=weights, reduction="none"
    )
    assert value[:2].tolist() == [math.inf, 0.0]
    assert grad[0].tolist() == [-math.inf, 0, 0, 0, 0]
    assert grad[1].tolist() == [0.0] * 5


def test_a_mean_over_nothing(framework: Framework) -> None:
    given = framework.array(LOG_P, "float64"), framework.array(np.full(8, 3), "int64")
    value, grad = framework.value_and_grad(xe.nll_loss, *given, ignore_index=3)
    assert value == 0
    assert not grad.any()


@pytest.mark.backends("numpy", "torch")
@pytest.mark.parametrize("name", ["nll", "focal"])
def test_over_what_was_given(framework: Framework, name: str) -> None:
    loss, own, _, _ = KINDS[name]
    given = arrays(framework, name, "float64")
    _, gradient = definition(name, LOG_P, {})
    value, grad = xe.value_and_grad(loss)(*given, out=given[0], **own)
    assert grad is given[0]
    np.testing.assert_allclose(framework.numpy(grad), gradient, rtol=1e-12)
    np.testing.assert_allclose(float(value), definition(name, LOG_P, {})[0], rtol=1e-12)


def test_a_mask_goes_another_way(framework: Framework, monkeypatch: pytest.MonkeyPatch) -> None:
    """A label whose class takes no part has an infinite loss, and is a constant."""
    monkeypatch.undo()
    given = arrays(framework, "nll", "float64")
    mask = framework.array(np.array([True, True, True, True, False]), "bool")
    value, grad = framework.value_and_grad(xe.nll_loss, *given, where=mask, reduction="none")
    np.testing.assert_allclose(value, np.where(LABELS == 4, math.inf, -LOG_P[range(8), LABELS]))
    np.testing.assert_array_equal(grad, np.where(LABELS == 4, 0, -np.eye(5)[:, LABELS]).T)


@pytest.mark.parametrize("given", [True, False], ids=["probabilities", "logits"])
def test_a_balance_of_0(framework: Framework, given: bool) -> None:
    """It has no loss and no gradient, though the label has no probability."""
    x = np.array([[-math.inf, 0.0, 1.0], [0.5, 2.0, 0.25]])
    first = np.exp(x) / np.exp(x).sum(1, keepdims=True) if given else x
    arrays = framework.array(first, "float64"), framework.array(np.array([0, 1]), "int64")
    how = {"alpha": 0.0, "reduction": "none", "from_logits": not given}
    value, grad = framework.value_and_grad(xe.focal_loss, *arrays, **how)
    assert value.tolist() == [0.0, 0.0]
    assert not grad.any()
