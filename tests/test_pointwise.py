"""What the drop-ins need of the core beside the public functions."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import xentropy as xe
from xentropy._call import call_of
from xentropy._pointwise import faded, relative_entropy

KINDS = ("probabilities", "log_probabilities")
# Far apart, nearly equal, equal, tiny, zero beside something, both zero.
P = np.array([0.25, 0.5, 0.125, 1e-30, 0.75, 0.0, 2.5])
T = np.array([0.5, 0.5000001, 0.125, 0.5, 0.0, 0.0, 1.25])


def exact(p: float, t: float, generalized: bool) -> tuple[Any, Any, Any]:
    """The definition, and its derivatives by p and t."""
    p, t = mp.mpf(p), mp.mpf(t)
    if t == 0:
        value, by_t = mp.mpf(0), (mp.nan if p == 0 else -mp.inf)
    else:
        value, by_t = t * mp.log(t / p), mp.log(t / p) + 1
    by_p = -t / p if p else mp.mpf(0)
    if generalized:
        value, by_t = value + p - t, by_t - 1
        by_p = 1 - t / p if p else mp.mpf(0)
    return value, by_p, by_t


def held(values: np.ndarray, kind: str) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(values) if kind == "log_probabilities" else values


@pytest.mark.parametrize("generalized", [False, True])
@pytest.mark.parametrize("targets_are", KINDS)
@pytest.mark.parametrize("source", KINDS)
def test_relative_entropy(framework, mode, source, targets_are, generalized):
    x, y = held(P, source), held(T, targets_are)
    arrays = framework.array(x, "float64"), framework.array(y, "float64")
    options = {"source": source, "targets_are": targets_are, "generalized": generalized}
    value, grads = framework.value_and_grads(
        relative_entropy, *arrays, wrt=(0, 1), mode=mode, **options
    )
    with mp.workdps(50):
        # What the arrays hold, not what they were made of.
        p = [mp.exp(v) if source == "log_probabilities" else mp.mpf(v) for v in x.tolist()]
        t = [mp.exp(v) if targets_are == "log_probabilities" else mp.mpf(v) for v in y.tolist()]
        wanted = [exact(a, b, generalized) for a, b in zip(p, t, strict=True)]
        logs = (source == "log_probabilities", targets_are == "log_probabilities")
        by_x = [w[1] * a if logs[0] else w[1] for w, a in zip(wanted, p, strict=True)]
        by_y = [(w[2] * b if b else 0) if logs[1] else w[2] for w, b in zip(wanted, t, strict=True)]
        lists = [[float(v) for v in column] for column in ([w[0] for w in wanted], by_x, by_y)]
    # Logarithms as given are rounded by an ulp of theirs, which is all that is left of close ones.
    close = 1e-15 if any(logs) else 0.0
    tolerance = {"rtol": 1e-14, "atol": close if generalized else 1e-15}
    for found, column in zip((value, *grads), lists, strict=True):
        np.testing.assert_allclose(framework.numpy(found), column, **tolerance)


def test_nearly_equal_keeps_its_digits(framework):
    x = framework.array([0.5], "float32")
    y = framework.array([0.5 + 2.0**-24], "float32")
    found = relative_entropy(x, y, source="probabilities", generalized=True)
    with mp.workdps(50):
        wanted = float(exact(0.5, 0.5 + 2.0**-24, generalized=True)[0])
    assert wanted > 0
    np.testing.assert_allclose(framework.numpy(found), [wanted], rtol=1e-6)


def test_shapes_and_dtypes_are_checked():
    x = np.zeros(3)
    with pytest.raises(ValueError, match=r"targets has shape \(2,\).*x of shape \(3,\)"):
        relative_entropy(x, np.zeros(2))
    with pytest.raises(TypeError, match="targets must be floating where they are log_prob"):
        relative_entropy(x, np.zeros(3, int), targets_are="log_probabilities")


@pytest.mark.parametrize(
    ("targets", "normalizer"),
    [
        ([-1, -1], "weights"),
        ([-1, -1], "valid"),
        ([-1, -1], 0.0),
        ([[0.0, 0.0, 0.0]] * 2, "weights"),
    ],
)
def test_what_an_empty_mean_is(framework, mode, targets, normalizer):
    def loss(x, t):
        ignored = -1 if isinstance(targets[0], int) else None
        call = call_of(xe.cross_entropy, x, t, ignore_index=ignored, normalizer=normalizer)
        return call.changed(empty=math.nan).value()

    x = framework.array([[1.0, 2.0, 3.0]] * 2)
    t = framework.array(targets, "int64" if isinstance(targets[0], int) else "float32")
    assert np.isnan(framework.numpy(framework.call(loss, x, t, mode=mode)))
    if framework.autograd:
        _, (slope,) = framework.value_and_grads(loss, x, t, mode=mode)
        np.testing.assert_array_equal(framework.numpy(slope), np.zeros((2, 3)))


def test_an_empty_binary_mean(framework):
    x = framework.array([], "float32")
    call = call_of(xe.binary_cross_entropy, x, x)
    assert framework.numpy(call.value()) == 0
    assert np.isnan(framework.numpy(call.changed(empty=math.nan).value()))


def floored(p: Any, t: Any, *, reduction: str = "none") -> Any:
    call = call_of(xe.binary_cross_entropy, p, t, from_logits=False, reduction=reduction)
    return call.changed(floor=-100.0).value()


@pytest.mark.parametrize(
    ("p", "t"),
    [
        ([0.0, 1.0, 0.0, 1.0, 0.25, 1e-13, 0.5], [1.0, 0.0, 0.0, 1.0, 0.75, 1.0, 0.25]),
        ([1e-50, 0.5], [1.0, 0.25]),  # a finite logarithm below the floor
    ],
)
def test_logarithms_with_a_floor(framework, mode, p, t):
    """As PyTorch's binary_cross_entropy: -100 at least, gradients over 1e-12 at least."""
    p, t = np.array(p), np.array(t)
    with np.errstate(divide="ignore"):
        value = -t * np.maximum(np.log(p), -100) - (1 - t) * np.maximum(np.log1p(-p), -100)
    slope = (p - t) / np.maximum(p * (1 - p), 1e-12)
    arrays = framework.array(p, "float64"), framework.array(t, "float64")
    if framework.autograd:
        found, (by_p,) = framework.value_and_grads(floored, *arrays, mode=mode)
        np.testing.assert_allclose(framework.numpy(by_p), slope, rtol=1e-14)
    else:
        found = framework.call(floored, *arrays, mode=mode)
    np.testing.assert_allclose(framework.numpy(found), value, rtol=1e-14)


@pytest.mark.parametrize("shape", [(), (1,), (4,), (3, 1), (1, 4), (3, 4), (2, 1, 1), (2, 3, 4)])
def test_pos_weight_spreads_over_the_logits(framework, mode, shape):
    draw = np.random.default_rng(0)
    x, t, w = draw.normal(size=(2, 3, 4)), draw.uniform(size=(2, 3, 4)), draw.uniform(size=shape)
    arrays = [framework.array(v, "float64") for v in (x, t, w)]
    function = partial(_weighted, xe.binary_cross_entropy)
    if framework.autograd:
        value, grads = framework.value_and_grads(function, *arrays, wrt=(2,), mode=mode)
    else:
        function = partial(xe.binary_cross_entropy, reduction="sum")
        value, grads = xe.value_and_grad(function, wrt=("pos_weight",))(
            arrays[0], arrays[1], pos_weight=arrays[2]
        )
    positive = t * np.logaddexp(0, -x)
    np.testing.assert_allclose(
        framework.numpy(value), (w * positive + (1 - t) * np.logaddexp(0, x)).sum(), rtol=1e-14
    )
    sums = positive
    while sums.ndim > w.ndim:
        sums = sums.sum(0)
    ones = tuple(i for i, n in enumerate(shape) if n == 1)
    np.testing.assert_allclose(
        framework.numpy(grads[0]), sums.sum(axis=ones, keepdims=True).reshape(shape), rtol=1e-13
    )


def _weighted(function: Any, x: Any, t: Any, w: Any) -> Any:
    return function(x, t, pos_weight=w, reduction="sum")


@pytest.mark.parametrize("shape", [(3,), (2, 4), (1, 2, 3, 4)])
def test_a_pos_weight_that_does_not_fit(shape):
    x = np.zeros((2, 3, 4))
    with pytest.raises(ValueError, match=r"pos_weight has shape .* of shape \(2, 3, 4\)"):
        xe.binary_cross_entropy(x, x, pos_weight=np.ones(shape))


def test_faded(framework, mode):
    """Its definition, and where the factor is 0, or too small for anything but its logarithm."""
    value = np.array([0.5, -2.0, 3.0, 1e4, 0.0, 2.0, 0.0, np.inf])
    log = np.array([-0.1, -2.0, -1e-3, -400.0, -5.0, -np.inf, -np.inf, -0.1])
    power = np.array([2.0, 0.5, 0.0, 2.0, 1.5, 0.0, 2.0, 2.0])
    arrays = [framework.array(x, "float64") for x in (value, log, power)]
    got, grads = framework.value_and_grads(faded, *arrays, wrt=(0, 1, 2), mode=mode)
    weight = np.exp(np.where(power == 0, 0.0, power * np.where(power == 0, 0.0, log)))
    fading = value * weight
    by_power = np.where(fading == 0, 0.0, fading * np.where(fading == 0, 0.0, log))
    np.testing.assert_allclose(framework.numpy(got), fading, rtol=1e-13)
    # An infinite loss is that of a certain and wrong entry, whose factor no longer moves.
    by_log = power * np.where(np.isinf(fading), 0.0, fading)
    for grad, exact in zip(grads, (weight, by_log, by_power), strict=True):
        np.testing.assert_allclose(framework.numpy(grad), exact, rtol=1e-13)


def test_faded_checks_its_shapes():
    with pytest.raises(ValueError, match=r"power has shape \(2,\).*value of shape \(3,\)"):
        faded(np.zeros(3), np.zeros(3), np.zeros(2))
