"""Entropy and the Kullback-Leibler divergence: definitions, precision, corner cases, errors."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from harness import Framework
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracle import precise_row, precise_softmax, spread, ulps
from test_options import FULL_WHERE, SAMPLE_WEIGHTS, WHERE, K, N, X, close

import xentropy as xe

INF, NAN = float("inf"), float("nan")
Y = np.random.default_rng(21).standard_normal((N, K)) * 2
SHARES = np.random.default_rng(22).random((N, K)) * 1.5
KINDS = ["probabilities", "log_probabilities", "logits"]


def softmax(x: np.ndarray, where: Any = None, temperature: float = 1.0) -> np.ndarray:
    e = np.exp(x / temperature)
    e = e if where is None else np.where(spread(where, x.shape, -1), e, 0.0)
    return e / e.sum(-1, keepdims=True)


def log_of(p: np.ndarray) -> np.ndarray:
    """The logarithm; 0 where its factor is 0."""
    return np.log(np.where(p == 0, 1.0, p))


def entropy(x: np.ndarray, **options: Any) -> np.ndarray:
    p = softmax(x, **options)
    return -(p * log_of(p)).sum(-1)


def exact_entropy(x: list[Any]) -> Any:
    return mpmath.fsum(-p * mpmath.log(p) for p in precise_softmax(x))


# Entropy.


@pytest.mark.parametrize("where", [None, WHERE, FULL_WHERE], ids=["all", "classes", "mask"])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_entropy(framework: Framework, where: Any, temperature: float, dtype: str) -> None:
    mask = None if where is None else framework.array(where, "bool")
    value, grad = framework.value_and_grad(
        xe.entropy, framework.array(X, dtype), where=mask, temperature=temperature
    )
    p = softmax(X, where, temperature)
    expected = entropy(X, where=where, temperature=temperature)
    close(value, expected, dtype)
    close(grad, p * (-log_of(p) - expected[:, None]) / temperature, dtype)
    assert value.dtype == dtype


@pytest.mark.parametrize("axis", [0, 1, -2])
def test_entropy_along_an_axis(framework: Framework, axis: int) -> None:
    x = np.stack([X, X[::-1] * 0.5, Y])
    value = framework.numpy(xe.entropy(framework.array(x, "float64"), axis=axis))
    close(value, entropy(np.moveaxis(x, axis, -1)), "float64")


@pytest.mark.parametrize("margin", [0.0, 1.0, 10.0, 20.0, 40.0, 80.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_entropy_of_confident_rows(framework: Framework, margin: float, dtype: str) -> None:
    for row in ([margin, 0.0, 0.0], [0.0, margin, -1.0, 0.5]):
        exact, slopes = precise_row(exact_entropy, row, digits=240)
        value, grad = framework.value_and_grad(xe.entropy, framework.array(row, dtype))
        assert ulps(value, exact, dtype) <= 4 + margin
        for j, slope in enumerate(slopes):
            scale = abs(slope) if margin else 1.0
            assert ulps(grad[j], slope, dtype, scale) <= 8 + 2 * margin, j


def test_entropy_compiled(framework: Framework, mode: str) -> None:
    row = [30.0, 0.0, NAN, 1.0]
    exact, _ = precise_row(exact_entropy, [30.0, 0.0, 1.0])
    mask = framework.array([True, True, False, True], "bool")
    value, grad = framework.value_and_grad(xe.entropy, framework.array(row), mode=mode, where=mask)
    assert ulps(value, exact, "float32") <= 34
    assert grad[2] == 0
    assert np.isfinite(grad).all()


def test_entropy_of_equal_logits(framework: Framework) -> None:
    for classes in (1, 2, 1000):
        value, grad = framework.value_and_grad(xe.entropy, framework.array(np.full(classes, 3.0)))
        np.testing.assert_allclose(value, np.log(classes), rtol=3e-7)
        np.testing.assert_allclose(grad, 0.0, atol=1e-9)


def test_entropy_of_infinities(framework: Framework, mode: str) -> None:
    rows = [[-INF] * 3, [INF, 1.0, 2.0], [INF, INF, 1.0], [NAN, 1.0, 2.0], [-INF, 1.0, 2.0]]
    value, grad = framework.value_and_grad(xe.entropy, framework.array(rows), mode=mode)
    np.testing.assert_allclose(
        value, [NAN, 0.0, NAN, NAN, entropy(np.array([1.0, 2.0]))], rtol=1e-6
    )
    assert (grad[1] == 0).all()
    assert np.isnan(grad[3]).all()
    assert grad[4, 0] == 0
    assert np.isfinite(grad[4]).all()


def test_entropy_of_what_the_mask_leaves(framework: Framework) -> None:
    mask = framework.array([False, True, True], "bool")
    for filler in (NAN, INF, -INF, 5.0):
        value, grad = framework.value_and_grad(
            xe.entropy, framework.array([filler, 1.0, 2.0]), where=mask
        )
        np.testing.assert_allclose(value, entropy(np.array([1.0, 2.0])), rtol=1e-6)
        assert grad[0] == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types(framework: Framework, dtype: str) -> None:
    if dtype not in framework.floats:
        pytest.skip(f"{framework.name} has no {dtype}")
    row, other = [9.0, 0.0, 1.0], [0.0, 1.0, 2.0]
    x, y = framework.array(row, dtype), framework.array(other, dtype)
    for function, arguments, wide in (
        (xe.entropy, (x,), (row,)),
        (xe.kl_divergence, (x, y), (row, other)),
    ):
        value, (grad,) = framework.value_and_grads(function, *arguments)
        assert framework.dtype(value) == "float32"
        assert framework.dtype(grad) == dtype
        exact = function(*(framework.array(v) for v in wide))
        assert framework.numpy(value) == framework.numpy(exact)


# The divergence by its definition.


def targets_of(kind: str, where: Any = None) -> np.ndarray:
    """Targets without a share of masked classes, where the divergence is infinite."""
    if kind == "logits":
        return Y
    shares = SHARES if where is None else np.where(spread(where, X.shape, -1), SHARES, 0.0)
    with np.errstate(divide="ignore"):
        return shares if kind == "probabilities" else np.log(shares)


def divergence(
    x: np.ndarray,
    targets: np.ndarray,
    kind: str,
    *,
    where: Any = None,
    sample_weights: Any = None,
    temperature: float = 1.0,
    reduction: str = "mean",
    normalizer: Any = "weights",
) -> Any:
    p, t = softmax(x, where, temperature), targets
    if kind == "logits":
        t = softmax(targets, where, temperature)
    elif kind == "log_probabilities":
        t = np.exp(targets)
    scale = np.ones(len(x)) if sample_weights is None else sample_weights
    rows = scale * (t * (log_of(t) - log_of(p))).sum(-1)
    if reduction != "mean":
        return rows if reduction == "none" else rows.sum()
    counts = {"weights": (scale[:, None] * t).sum(), "valid": (scale != 0).sum(), "batch": len(x)}
    return rows.sum() / (counts[normalizer] if isinstance(normalizer, str) else normalizer)


KL_OPTIONS: list[dict[str, Any]] = [
    {},
    {"reduction": "sum"},
    {"reduction": "none", "temperature": 0.7},
    {"temperature": 3.0},
    {"sample_weights": SAMPLE_WEIGHTS},
    {"sample_weights": SAMPLE_WEIGHTS, "normalizer": "valid"},
    {"sample_weights": SAMPLE_WEIGHTS, "normalizer": "batch"},
    {"normalizer": 2.5},
    {"where": WHERE},
    {"where": FULL_WHERE, "sample_weights": SAMPLE_WEIGHTS, "reduction": "none"},
]


def prepared(framework: Framework, options: dict[str, Any]) -> dict[str, Any]:
    kinds = {"where": "bool", "sample_weights": "float64"}
    return {
        name: framework.array(value, kinds[name]) if name in kinds else value
        for name, value in options.items()
    }


@pytest.mark.parametrize(
    ("kind", "options"),
    [("logits", options) for options in KL_OPTIONS]
    + [(kind, options) for kind in KINDS[:2] for options in KL_OPTIONS[4::2] + KL_OPTIONS[-1:]],
    ids=lambda value: value if isinstance(value, str) else ",".join(value),
)
def test_divergence(framework: Framework, kind: str, options: dict[str, Any]) -> None:
    targets = targets_of(kind, options.get("where"))
    value = xe.kl_divergence(
        framework.array(X, "float64"),
        framework.array(targets, "float64"),
        targets_are=kind,
        **prepared(framework, options),
    )
    close(framework.numpy(value), divergence(X, targets, kind, **options), "float64")


@pytest.mark.parametrize("kind", KINDS)
def test_divergence_compiled(framework: Framework, mode: str, kind: str) -> None:
    targets = targets_of(kind)
    value, grads = framework.value_and_grads(
        xe.kl_divergence,
        framework.array(X),
        framework.array(targets),
        wrt=(0, 1),
        mode=mode,
        targets_are=kind,
        temperature=0.7,
        reduction="sum",
    )
    expected = divergence(X, targets, kind, temperature=0.7, reduction="sum")
    np.testing.assert_allclose(framework.numpy(value), expected, rtol=3e-6)
    t = softmax(Y, None, 0.7) if kind == "logits" else SHARES
    by_logits = (t.sum(-1, keepdims=True) * softmax(X, None, 0.7) - t) / 0.7
    np.testing.assert_allclose(framework.numpy(grads[0]), by_logits, rtol=1e-5, atol=1e-5)
    assert np.isfinite(framework.numpy(grads[1])).all()


@pytest.mark.parametrize("kind", KINDS)
def test_divergence_along_an_axis(framework: Framework, kind: str) -> None:
    x, t = (framework.array(v.T, "float64") for v in (X, targets_of(kind)))
    value = xe.kl_divergence(x, t, targets_are=kind, axis=0, reduction="none")
    expected = divergence(X, targets_of(kind), kind, reduction="none")
    close(framework.numpy(value), expected, "float64")


def test_cross_entropy_less_the_entropy_of_the_targets(framework: Framework) -> None:
    for where in (None, FULL_WHERE):
        mask = None if where is None else framework.array(where, "bool")
        x, y = framework.array(X, "float64"), framework.array(Y, "float64")
        t = framework.array(softmax(Y, where), "float64")
        options = {"where": mask, "reduction": "none"}
        both = xe.cross_entropy(x, t, **options) - xe.entropy(y, where=mask)
        for targets, kind in ((t, "probabilities"), (y, "logits")):
            value = xe.kl_divergence(x, targets, targets_are=kind, **options)
            close(framework.numpy(value), framework.numpy(both), "float64")


@pytest.mark.parametrize("dtype", ["int32", "bool", "uint8"])
def test_targets_that_are_a_one_hot(framework: Framework, dtype: str) -> None:
    """Without an entropy of their own they leave the cross-entropy."""
    x = framework.array(X)
    one_hot = framework.array(np.eye(K)[[1, 0, 3, 2, 1]].astype(int), dtype)
    labels = framework.array([1, 0, 3, 2, 1], "int64")
    value = xe.kl_divergence(x, one_hot, reduction="none")
    loss = xe.cross_entropy(x, labels, reduction="none")
    np.testing.assert_allclose(framework.numpy(value), framework.numpy(loss), rtol=1e-6)


# Corner cases of the divergence.


def test_targets_of_zero(framework: Framework) -> None:
    row, t = [[1.0, 2.0, -INF]], [[0.75, 0.25, 0.0]]
    expected = divergence(np.array([[1.0, 2.0]]), np.array([[0.75, 0.25]]), "probabilities")
    with np.errstate(divide="ignore"):
        cases = [("probabilities", np.array(t)), ("log_probabilities", np.log(t))]
        cases.append(("logits", cases[1][1]))
    for kind, targets in cases:
        value, grad = framework.value_and_grad(
            xe.kl_divergence, framework.array(row), framework.array(targets), targets_are=kind
        )
        np.testing.assert_allclose(value, expected, rtol=1e-6)
        p = softmax(np.array([1.0, 2.0]))
        np.testing.assert_allclose(grad, [[*(p - t[0][:2]), 0.0]], rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_target_on_a_class_that_is_out(framework: Framework, kind: str) -> None:
    value = xe.kl_divergence(
        framework.array([[1.0, 2.0, -INF]]), framework.array([[0.2, 0.3, 0.5]]), targets_are=kind
    )
    assert framework.numpy(value) == INF


def test_a_probability_on_a_masked_class(framework: Framework) -> None:
    mask = framework.array([True, True, False], "bool")
    x, t = framework.array([[1.0, 2.0, 3.0]]), framework.array([[0.2, 0.3, 0.5]])
    assert framework.numpy(xe.kl_divergence(x, t, where=mask)) == INF


def test_masked_classes_of_both_sides(framework: Framework) -> None:
    """The softmax of targets that are logits is over the classes that take part, too."""
    mask = framework.array([True, True, False], "bool")
    expected = divergence(np.array([[1.0, 2.0]]), np.array([[0.5, 0.1]]), "logits")
    for filler in (NAN, INF, -INF, 9.0):
        value, grads = framework.value_and_grads(
            xe.kl_divergence,
            framework.array([[1.0, 2.0, filler]]),
            framework.array([[0.5, 0.1, filler]]),
            wrt=(0, 1),
            targets_are="logits",
            where=mask,
        )
        np.testing.assert_allclose(framework.numpy(value), expected, rtol=1e-5)
        for grad in map(framework.numpy, grads):
            assert grad[0, 2] == 0
            assert np.isfinite(grad).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("filler", [NAN, INF, -INF])
def test_a_row_of_weight_zero(framework: Framework, kind: str, filler: float) -> None:
    rows, t = [[1.0, 2.0, 3.0], [filler] * 3], [[0.2, 0.3, 0.5], [filler] * 3]
    alone = xe.kl_divergence(framework.array(rows[:1]), framework.array(t[:1]), targets_are=kind)
    for normalizer in ("weights", "valid"):
        expected = framework.numpy(alone)
        if normalizer == "valid" and kind == "log_probabilities":
            expected = expected * np.exp(t[0]).sum()
        value, grads = framework.value_and_grads(
            xe.kl_divergence,
            framework.array(rows),
            framework.array(t),
            wrt=(0, 1),
            targets_are=kind,
            sample_weights=framework.array([1.0, 0.0]),
            normalizer=normalizer,
        )
        np.testing.assert_allclose(framework.numpy(value), expected, rtol=1e-6)
        for grad in map(framework.numpy, grads):
            assert np.isfinite(grad[0]).all()
            assert (grad[1] == 0).all()


def test_a_row_of_minus_infinity(framework: Framework) -> None:
    x, t = [[-INF] * 3, [1.0, 2.0, 3.0]], [[0.2, 0.3, 0.5]] * 2
    for kind in KINDS:
        value = xe.kl_divergence(
            framework.array(x), framework.array(t), targets_are=kind, reduction="none"
        )
        value = framework.numpy(value)
        assert np.isnan(value[0])
        assert np.isfinite(value[1])


def test_weights_that_sum_to_zero_and_no_rows(framework: Framework) -> None:
    x, none = framework.array([[1.0, 2.0]]), framework.array(np.zeros((0, 2)))
    zero = framework.array([0.0])
    assert framework.numpy(xe.kl_divergence(x, x, targets_are="logits", sample_weights=zero)) == 0
    assert framework.numpy(xe.kl_divergence(none, none)) == 0


# Nearly equal logits.


def exact_divergence(x: list[Any], y: list[Any]) -> Any:
    p, t = precise_softmax(x), precise_softmax(y)
    return mpmath.fsum(a * mpmath.log(a / b) for a, b in zip(t, p, strict=True))


def exact_slopes(x: Any, y: Any, temperature: float = 1.0) -> tuple[Any, list[Any], list[Any]]:
    """Value, gradients by logits and by targets, and nothing rounded, in 60 digits."""
    x, y = ([mpmath.mpf(float(v)) / mpmath.mpf(temperature) for v in row] for row in (x, y))
    p, t = precise_softmax(x), precise_softmax(y)
    ratio = [mpmath.log(a / b) for a, b in zip(t, p, strict=True)]
    value = mpmath.fsum(a * c for a, c in zip(t, ratio, strict=True))
    by_logits = [(b - a) / temperature for a, b in zip(t, p, strict=True)]
    by_targets = [a * (c - value) / temperature for a, c in zip(t, ratio, strict=True)]
    return value, by_logits, by_targets


def check_close(
    framework: Framework,
    x: np.ndarray,
    y: np.ndarray,
    *,
    mode: str = "eager",
    temperature: float = 1.0,
    bound: float = 64.0,
) -> None:
    """Relative to the largest of the differences, which all the entries are made of."""
    value, grads = framework.value_and_grads(
        xe.kl_divergence,
        framework.array(x),
        framework.array(y),
        wrt=(0, 1),
        mode=mode,
        targets_are="logits",
        temperature=temperature,
    )
    with mpmath.workdps(60):
        exact, *slopes = exact_slopes(x, y, temperature)
    assert ulps(framework.numpy(value), exact, "float32") <= bound
    for grad, wanted in zip(grads, slopes, strict=True):
        error = max(
            abs(mpmath.mpf(float(got)) - slope)
            for got, slope in zip(framework.numpy(grad), wanted, strict=True)
        )
        assert error <= bound * 2**-24 * max(map(abs, wanted))


@pytest.mark.parametrize("difference", [1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6])
@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize("classes", [2, 5, 1000])
def test_nearly_equal_logits(
    framework: Framework, difference: float, offset: float, classes: int
) -> None:
    rng = np.random.default_rng(classes)
    x = (rng.standard_normal(classes) * 2).astype(np.float32)
    y = (x + difference * rng.standard_normal(classes) + offset).astype(np.float32)
    check_close(framework, x, y)


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_nearly_equal_logits_compiled(framework: Framework, mode: str, offset: float) -> None:
    x = np.float32([3.0, -1.0, 0.5, 2.0])
    y = (x + np.float32([1e-3, -2e-3, 0.0, 5e-4]) + offset).astype(np.float32)
    check_close(framework, x, y, mode=mode, temperature=2.0)


@pytest.mark.parametrize("temperature", [0.5, 4.0])
def test_nearly_equal_logits_of_a_temperature(framework: Framework, temperature: float) -> None:
    x = np.float32([3.0, -1.0, 0.5, 2.0])
    y = (x + np.float32([1e-4, -2e-4, 0.0, 5e-5])).astype(np.float32)
    check_close(framework, x, y, temperature=temperature)


@pytest.mark.parametrize(("classes", "shift"), [(1, 0.0), (3, 8.0), (1000, 0.0)])
def test_equal_logits(framework: Framework, mode: str, classes: int, shift: float) -> None:
    """Exactly 0, also where the two differ by a constant that floats hold."""
    x = np.round(np.random.default_rng(5).standard_normal((2, classes)) * 64) / 16
    value, grads = framework.value_and_grads(
        xe.kl_divergence,
        framework.array(x),
        framework.array(x + shift),
        wrt=(0, 1),
        mode=mode,
        targets_are="logits",
        reduction="none",
    )
    assert (framework.numpy(value) == 0).all()
    for grad in grads:
        assert (framework.numpy(grad) == 0).all()


def rows(limit: float) -> st.SearchStrategy[np.ndarray]:
    return arrays(
        np.float32,
        4,
        elements=st.floats(-limit, limit, width=32, allow_nan=False, allow_subnormal=False),
    )


ANY_FRAMEWORK = settings(
    deadline=None,
    max_examples=100,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@ANY_FRAMEWORK
@given(x=rows(50), moves=rows(4), digits=st.integers(-1, 7))
def test_never_negative(
    framework: Framework, x: np.ndarray, moves: np.ndarray, digits: int
) -> None:
    """And its gradient sums to about 0, down to the numbers that XLA takes for 0."""
    y = x + moves * np.float32(10.0**-digits)
    value, grad = framework.value_and_grad(
        xe.kl_divergence, framework.array(x), framework.array(y), targets_are="logits"
    )
    assert value >= 0
    allowed = 1e-5 * np.abs(grad).max() + 4 * np.finfo(np.float32).tiny
    assert abs(grad.astype(np.float64).sum()) <= allowed


@pytest.mark.parametrize("margin", [5.0, 20.0, 60.0, 200.0])
def test_far_apart(framework: Framework, margin: float) -> None:
    x, y = [margin, 0.0, -1.0], [0.0, margin, 1.0]
    with mpmath.workdps(300):
        exact, *slopes = exact_slopes(x, y)
    value, grads = framework.value_and_grads(
        xe.kl_divergence,
        framework.array(x),
        framework.array(y),
        wrt=(0, 1),
        targets_are="logits",
    )
    np.testing.assert_allclose(framework.numpy(value), float(exact), rtol=1e-6)
    np.testing.assert_allclose(
        framework.numpy(grads[0]), [float(s) for s in slopes[0]], rtol=3e-5, atol=1e-37
    )


# Bad input.


def test_errors_of_entropy(framework: Framework) -> None:
    x = framework.array([[1.0, 2.0, 3.0]])
    with pytest.raises(ValueError, match=r"axis must be an axis of logits of shape \(1, 3\)"):
        xe.entropy(x, axis=2)
    with pytest.raises(ValueError, match="temperature must be a finite number above 0, got 0"):
        xe.entropy(x, temperature=0)
    with pytest.raises(TypeError, match=r"where must be boolean, got dtype .*int32"):
        xe.entropy(x, where=framework.array([1, 0, 1], "int32"))
    with pytest.raises(ValueError, match=r"where has shape \(2,\).*\(1, 3\)"):
        xe.entropy(x, where=framework.array([True, False], "bool"))
    with pytest.raises(TypeError, match=r"logits must be real floating, got dtype .*int32"):
        xe.entropy(framework.array([1, 2], "int32"))
    with pytest.raises(ValueError, match=r"logits has shape \(2, 0\).*at least one class"):
        xe.entropy(framework.array(np.zeros((2, 0))))
    with pytest.raises(TypeError, match=r"entropy\(\) got an unexpected keyword argument 'foo'"):
        xe.entropy(x, foo=1)  # type: ignore[call-arg]


KL_ERRORS: list[tuple[dict[str, Any], str]] = [
    ({"targets_are": "labels"}, "targets_are must be one of 'probabilities', .*got 'labels'"),
    ({"targets_are": None}, "targets_are .*got None"),
    ({"axis": 5}, "axis must be an axis of logits"),
    ({"temperature": -1.0}, "temperature .*got -1.0"),
    ({"reduction": "batchmean"}, "reduction must be one of .*got 'batchmean'"),
    ({"normalizer": "rows"}, "normalizer must be one of .*got 'rows'"),
    ({"normalizer": -1}, "normalizer must be a finite number of at least 0, got -1"),
    ({"normalizer": 2, "reduction": "sum"}, "normalizer must be left out unless reduction is"),
    ({"sample_weights": [1.0]}, r"sample_weights has shape \(1,\).*\(2, 3\)"),
]


@pytest.mark.parametrize(("options", "message"), KL_ERRORS)
def test_options_of_the_divergence(
    framework: Framework, options: dict[str, Any], message: str
) -> None:
    x = framework.array([[1.0, 2.0, 3.0]] * 2)
    with pytest.raises(ValueError, match=message):
        xe.kl_divergence(x, x, **options)


def test_targets_of_the_divergence(framework: Framework) -> None:
    x = framework.array([[1.0, 2.0, 3.0]] * 2)
    with pytest.raises(ValueError, match=r"targets has shape \(2,\).*\(2, 3\).*same shape"):
        xe.kl_divergence(x, framework.array([0, 1], "int64"))
    with pytest.raises(ValueError, match=r"targets has shape \(1, 3\).*\(2, 3\)"):
        xe.kl_divergence(x, framework.array([[1.0, 0.0, 0.0]]))
    whole = framework.array([[1, 0, 0]] * 2, "int32")
    for kind in ("logits", "log_probabilities"):
        with pytest.raises(
            TypeError, match=f"targets must be floating where they are {kind}, .*in"
        ):
            xe.kl_divergence(x, whole, targets_are=kind)
    with pytest.raises(TypeError, match=r"targets must be real, got dtype .*complex64"):
        xe.kl_divergence(x, framework.array([[1, 0, 0]] * 2, "complex64"))
    with pytest.raises(TypeError, match="logits must be real floating"):
        xe.kl_divergence(whole, x)


@pytest.mark.backends("torch")
@pytest.mark.parametrize("function", ["entropy", "score"])
def test_second_derivatives_are_those_without_the_class_that_is_out(function: str) -> None:
    import torch

    x = torch.tensor([1.0, 3.0, 2.0, 5.0], dtype=torch.float64)
    mask, label = torch.tensor([True, True, True, False]), torch.tensor(0)

    def of(x: Any, **options: Any) -> Any:
        return xe.entropy(x, **options) if function == "entropy" else told(x, **options)

    def told(x: Any, **options: Any) -> Any:
        return xe.score(x, label, **options).entropy

    found = torch.autograd.functional.hessian(lambda x: of(x, where=mask), x)
    wanted = torch.autograd.functional.hessian(of, x[:3])
    np.testing.assert_allclose(found[:3, :3], wanted, rtol=1e-12, atol=1e-15)
    assert not found[3].any()
