"""Focal, poly and generalized cross-entropy against their definitions, on every backend."""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath
import numpy as np
import oracle
import pytest
from harness import Framework
from oracle import Curve, precise_row, precise_softmax, ulps
from test_options import (
    CLASS_WEIGHTS,
    FULL_WHERE,
    HARD_OPTIONS,
    OPTIONS,
    SOFT,
    K,
    N,
    X,
    as_arrays,
    close,
    filled,
    show,
    soft_targets,
)

import xentropy as xe

INF, NAN = float("inf"), float("nan")
ALPHA = np.array([0.25, 1.0, 0.0, 2.0])


class Variant(NamedTuple):
    """A loss with its own options, and the loss of a class by its probability."""

    function: Callable[..., Any]
    own: dict[str, Any]
    curve: Curve

    def expected(self, x: np.ndarray, targets: np.ndarray, **options: Any) -> Any:
        """The loss by its definition."""
        alpha = self.own.get("alpha", 1.0)
        return oracle.cross_entropy(x, targets, curve=self.curve, alpha=alpha, **options)


def focal(gamma: float) -> Curve:
    return lambda p: (1 - p) ** gamma * -np.log(p)


def poly(epsilon: float) -> Curve:
    return lambda p: -np.log(p) + epsilon * (1 - p)


def generalized(q: float) -> Curve:
    return lambda p: (1 - p**q) / q


FOCAL = Variant(xe.focal_loss, {}, focal(2.0))
POLY = Variant(xe.poly_loss, {}, poly(2.0))
GENERALIZED = Variant(xe.generalized_cross_entropy, {}, generalized(0.7))
BALANCED = Variant(xe.focal_loss, {"gamma": 1.5, "alpha": ALPHA}, focal(1.5))
VARIANTS = [FOCAL, BALANCED, POLY, GENERALIZED]
OTHERS = [
    Variant(xe.focal_loss, {"gamma": 0.0}, focal(0.0)),
    Variant(xe.focal_loss, {"gamma": 0.5}, focal(0.5)),
    Variant(xe.focal_loss, {"gamma": 5, "alpha": 0.25}, focal(5.0)),
    Variant(xe.poly_loss, {"epsilon": -1.0}, poly(-1.0)),
    Variant(xe.poly_loss, {"epsilon": 0.5}, poly(0.5)),
    Variant(xe.generalized_cross_entropy, {"q": 1.0}, generalized(1.0)),
    Variant(xe.generalized_cross_entropy, {"q": 0.01}, generalized(0.01)),
]


def title(variant: Variant) -> str:
    return ",".join([variant.function.__name__, *variant.own])


def value_of(
    framework: Framework, function: Callable[..., Any], x: Any, targets: Any, **options: Any
) -> np.ndarray:
    """The value of a loss of float64 logits; targets and options are NumPy's."""
    kind = "float64" if targets.dtype.kind == "f" else "int64"
    arrays = framework.array(x, "float64"), framework.array(targets, kind)
    return framework.numpy(function(*arrays, **as_arrays(framework, options, "float64")))


def check(
    framework: Framework,
    variant: Variant,
    targets: np.ndarray,
    options: dict[str, Any],
    dtype: str = "float64",
    mode: str = "eager",
) -> None:
    """Value and gradient by the logits, and by probabilities, against the definition."""
    hard = targets.ndim == 1
    value, grads = framework.value_and_grads(
        variant.function,
        framework.array(X, dtype),
        framework.array(targets, "int64" if hard else dtype),
        wrt=(0,) if hard else (0, 1),
        mode=mode,
        **as_arrays(framework, {**variant.own, **options}, dtype),
    )
    close(framework.numpy(value), variant.expected(X, targets, **options), dtype)
    by_x = oracle.gradient(lambda x: variant.expected(x, targets, **options), X)
    close(framework.numpy(grads[0]), by_x, dtype)
    if not hard and "where" not in options:
        by_t = oracle.gradient(lambda t: variant.expected(X, t, **options), targets)
        close(framework.numpy(grads[1]), by_t, dtype)


# The options act on the coefficients, which all variants have in common: one has them all.
MIXED: list[dict[str, Any]] = [
    {"normalizer": "valid", "sample_weights": True},
    {"label_smoothing": 0.3, "class_weights": True, "sample_weights": True},
    {"temperature": 2.0, "softcap": 3.0, "z_loss": 0.02, "label_smoothing": 0.2},
    {"where": FULL_WHERE, "class_weights": True, "reduction": "none"},
]
EVERY = [(BALANCED, options) for options in OPTIONS + HARD_OPTIONS]
SOME = [(variant, options) for variant in (POLY, GENERALIZED) for options in MIXED]


def case_title(case: Any) -> str:
    return title(case) if isinstance(case, Variant) else show(case)


@pytest.mark.parametrize(("variant", "options"), EVERY + SOME, ids=case_title)
def test_labels(framework: Framework, variant: Variant, options: dict[str, Any]) -> None:
    rest, labels = filled(options)
    check(framework, variant, labels, rest)


@pytest.mark.parametrize("options", MIXED, ids=show)
def test_probabilities(framework: Framework, options: dict[str, Any]) -> None:
    rest, _ = filled(options)
    check(framework, BALANCED, soft_targets(rest), rest)


@pytest.mark.parametrize("variant", OTHERS, ids=lambda v: f"{title(v)}={v.own}")
def test_parameters(framework: Framework, variant: Variant) -> None:
    check(framework, variant, SOFT, {"class_weights": CLASS_WEIGHTS, "label_smoothing": 0.1})


@pytest.mark.parametrize("variant", [BALANCED, POLY, GENERALIZED], ids=title)
def test_compiled(framework: Framework, mode: str, variant: Variant) -> None:
    options = {
        "class_weights": CLASS_WEIGHTS,
        "label_smoothing": 0.1,
        "ignore_index": 1,
        "z_loss": 0.1,
        "temperature": 0.7,
        "softcap": 4.0,
    }
    check(framework, variant, np.array([1, 0, 3, 2, 1]), options, "float32", mode)


@pytest.mark.parametrize("variant", [BALANCED, POLY], ids=title)
def test_axis(framework: Framework, variant: Variant) -> None:
    x = np.stack([X, X[::-1]], axis=2)
    labels = np.array([[1, 0, 3, 2, 1], [1, 2, 3, 0, 1]]).T
    options = {"axis": 1, "reduction": "none"}
    value = value_of(framework, variant.function, x, labels, **variant.own, **options)
    close(value, variant.expected(x, labels, **options), "float64")


@pytest.mark.parametrize("variant", [BALANCED, GENERALIZED], ids=title)
def test_probabilities_instead_of_logits(framework: Framework, variant: Variant) -> None:
    """They are taken as given, normalized or not."""
    p = np.random.default_rng(3).uniform(0.05, 0.9, (N, K))
    labels = np.array([1, 0, 3, 2, 1])
    for targets in (labels, SOFT):
        value, (grad,) = framework.value_and_grads(
            variant.function,
            framework.array(p, "float64"),
            framework.array(targets, "int64" if targets.ndim == 1 else "float64"),
            **as_arrays(framework, variant.own, "float64"),
            from_logits=False,
        )
        expected = functools.partial(variant.expected, source="probabilities", targets=targets)
        close(framework.numpy(value), expected(p), "float64")
        close(framework.numpy(grad), oracle.gradient(expected, p), "float64")


REDUCTIONS: list[dict[str, Any]] = [
    {},
    {"reduction": "sum"},
    {"reduction": "none"},
    {"normalizer": "valid"},
    {"normalizer": "batch"},
    {"normalizer": 2.5},
]
WEIGHTS: list[dict[str, Any]] = [
    {},
    {"class_weights": True},
    {"sample_weights": True, "label_smoothing": 0.2},
]


@pytest.mark.parametrize(
    ("weights", "reduction"),
    [(WEIGHTS[-1], reduction) for reduction in REDUCTIONS]
    + [(weights, REDUCTIONS[0]) for weights in WEIGHTS[:-1]],
    ids=show,
)
def test_a_label_is_its_one_hot(
    framework: Framework, weights: dict[str, Any], reduction: dict[str, Any]
) -> None:
    options, labels = filled({**weights, **reduction})
    loss = functools.partial(value_of, framework, xe.focal_loss, X, alpha=ALPHA)
    hard = loss(targets=labels, **options)
    soft = loss(targets=np.eye(K)[labels], **options)
    np.testing.assert_allclose(hard, soft, rtol=1e-14)


@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("own", [(xe.focal_loss, "gamma"), (xe.poly_loss, "epsilon")])
def test_a_parameter_of_zero_is_cross_entropy(
    framework: Framework, own: tuple[Callable[..., Any], str], reduction: str
) -> None:
    function, parameter = own
    loss = functools.partial(value_of, framework, x=X, reduction=reduction)
    # Few logits with labels alone have a way of their own; several classes another order.
    for targets, last_places in ((np.array([1, 0, 3, 2, 1]), 1), (SOFT, 2)):
        exact = loss(xe.cross_entropy, targets=targets)
        value = loss(function, targets=targets, **{parameter: 0.0})
        np.testing.assert_array_max_ulp(value, exact, maxulp=last_places)


def test_a_small_exponent_is_nearly_cross_entropy(framework: Framework) -> None:
    labels = np.array([1, 0, 3, 2, 1])
    value = value_of(framework, xe.generalized_cross_entropy, X, labels, q=1e-9)
    np.testing.assert_allclose(value, value_of(framework, xe.cross_entropy, X, labels), rtol=1e-7)


# Alpha.


def test_one_alpha_is_a_factor(framework: Framework) -> None:
    labels = np.array([1, 0, 3, 2, 1])
    loss = functools.partial(value_of, framework, xe.focal_loss, X, labels)
    for options in ({}, {"class_weights": CLASS_WEIGHTS}, {"reduction": "none"}):
        np.testing.assert_allclose(loss(alpha=0.25, **options), 0.25 * loss(**options), rtol=1e-14)
        every = loss(alpha=np.full(K, 0.25), **options)
        np.testing.assert_allclose(every, 0.25 * loss(**options), rtol=1e-14)


def test_alpha_is_no_part_of_the_count(framework: Framework) -> None:
    labels = np.array([1, 0, 3, 3, 1])
    loss = functools.partial(value_of, framework, xe.focal_loss, X, labels)
    total = loss(alpha=ALPHA, reduction="sum")
    np.testing.assert_allclose(loss(alpha=ALPHA), total / N, rtol=1e-14)
    by_weights = loss(class_weights=ALPHA, reduction="sum")
    np.testing.assert_allclose(by_weights, total, rtol=1e-14)
    np.testing.assert_allclose(
        loss(class_weights=ALPHA), by_weights / ALPHA[labels].sum(), rtol=1e-14
    )


def test_the_gradient_by_alpha(framework: Framework) -> None:
    labels = np.array([1, 0, 3, 2, 1])
    x, t = framework.array(X, "float64"), framework.array(labels, "int64")
    alpha = framework.array(ALPHA, "float64")
    if framework.autograd:
        _, (grad,) = framework.value_and_grads(
            lambda a, x, t: xe.focal_loss(x, t, alpha=a, label_smoothing=0.1), alpha, x, t
        )
    else:
        with_grad = xe.value_and_grad(xe.focal_loss, wrt="alpha")
        _, grad = with_grad(x, t, alpha=alpha, label_smoothing=0.1)
    wanted = oracle.gradient(
        lambda a: oracle.cross_entropy(X, labels, curve=focal(2.0), alpha=a, label_smoothing=0.1),
        ALPHA,
    )
    close(framework.numpy(grad), wanted, "float64")


# The sigmoid form.

ELEMENTS = np.random.default_rng(11).standard_normal((3, 4)) * 2
POSITIVE = (np.random.default_rng(12).random((3, 4)) < 0.5).astype(int)
SHARES = np.random.default_rng(13).random((3, 4))
SIGMOID_OPTIONS: list[dict[str, Any]] = [
    {},
    {"alpha": 0.25},
    {"alpha": 0.0, "gamma": 0.5},
    {"alpha": 1.0, "gamma": 0.0},
    {"pos_weight": np.array([0.5, 1.0, 2.0, 3.0]), "alpha": 0.3},
    {"sample_weights": np.array([[0.0, 1.0, 2.0, 1.0]] * 3), "label_smoothing": 0.1},
    {"sample_weights": np.array([[0.0, 1.0, 2.0, 1.0]] * 3), "normalizer": "valid"},
    {"reduction": "none", "alpha": 0.75, "gamma": 3.0},
    {"reduction": "sum"},
    {"normalizer": "batch", "label_smoothing": 0.2},
]


@pytest.mark.parametrize("options", SIGMOID_OPTIONS, ids=show)
@pytest.mark.parametrize("targets", [POSITIVE, SHARES], ids=["labels", "probabilities"])
def test_sigmoid(framework: Framework, targets: np.ndarray, options: dict[str, Any]) -> None:
    rest = {name: value for name, value in options.items() if name != "gamma"}
    expected = functools.partial(
        oracle.binary_cross_entropy,
        targets=targets,
        curve=focal(options.get("gamma", 2.0)),
        **rest,
    )
    value, (grad,) = framework.value_and_grads(
        xe.focal_loss,
        framework.array(ELEMENTS, "float64"),
        framework.array(targets, "int64" if targets.dtype.kind == "i" else "float64"),
        form="sigmoid",
        **as_arrays(framework, options, "float64"),
    )
    close(framework.numpy(value), expected(ELEMENTS), "float64")
    close(framework.numpy(grad), oracle.gradient(expected, ELEMENTS), "float64")


def test_sigmoid_is_two_classes(framework: Framework, mode: str) -> None:
    """The softmax form of the logits (0, x) with the weights (1 - alpha, alpha)."""
    flat, labels = ELEMENTS.reshape(-1), POSITIVE.reshape(-1)
    pairs = np.stack([np.zeros_like(flat), flat], axis=-1)
    t = framework.array(labels, "int64")
    one, one_grad = framework.value_and_grad(
        xe.focal_loss, framework.array(flat), t, mode=mode, form="sigmoid", alpha=0.3
    )
    alpha = framework.array([0.7, 0.3])
    two, two_grad = framework.value_and_grad(
        xe.focal_loss, framework.array(pairs), t, mode=mode, alpha=alpha
    )
    close(one, two, "float32")
    close(one_grad, two_grad[:, 1], "float32")


def test_sigmoid_of_probabilities(framework: Framework) -> None:
    p = np.random.default_rng(14).uniform(0.05, 0.95, (3, 4))
    options = {"from_logits": False, "alpha": 0.25}
    value, (grad,) = framework.value_and_grads(
        xe.focal_loss,
        framework.array(p, "float64"),
        framework.array(SHARES, "float64"),
        form="sigmoid",
        **options,
    )
    expected = functools.partial(
        oracle.binary_cross_entropy, targets=SHARES, curve=focal(2.0), **options
    )
    close(framework.numpy(value), expected(p), "float64")
    close(framework.numpy(grad), oracle.gradient(expected, p), "float64")


# Confident rows keep their relative precision.

# (the loss, its own options, its definition from the probabilities p and 1 - p of the label)
PRECISE: list[tuple[Callable[..., Any], dict[str, Any], Callable[..., Any]]] = [
    (xe.focal_loss, {}, lambda p: (1 - p) ** 2 * -mpmath.log(p)),
    (xe.focal_loss, {"gamma": 0.5}, lambda p: mpmath.sqrt(1 - p) * -mpmath.log(p)),
    (xe.poly_loss, {}, lambda p: -mpmath.log(p) + 2 * (1 - p)),
    (xe.poly_loss, {"epsilon": -1.0}, lambda p: -mpmath.log(p) - (1 - p)),
    (
        xe.generalized_cross_entropy,
        {"q": 0.75},
        lambda p: (1 - p ** mpmath.mpf(0.75)) / mpmath.mpf(0.75),
    ),
]


@pytest.mark.parametrize("margin", [0.0, 1.0, 5.0, 10.0, 15.0, 20.0])
@pytest.mark.parametrize("case", PRECISE, ids=lambda case: f"{case[0].__name__},{case[1]}")
def test_confident_rows(framework: Framework, case: Any, margin: float) -> None:
    function, own, curve = case
    for label, row in ((0, [margin, 0.0, 0.0]), (1, [0.0, margin, -1.0])):
        exact, slopes = precise_row(lambda x, i=label: curve(precise_softmax(x)[i]), row)
        value, grad = framework.value_and_grad(
            function, framework.array(row), framework.array(label, "int64"), **own
        )
        # Focal loss has three factors, each as small and as precise as cross-entropy.
        bound = 3 * (4 + margin)
        assert ulps(value, exact, "float32") <= bound
        for j, slope in enumerate(slopes):
            assert ulps(grad[j], slope, "float32") <= bound + 4, j


@pytest.mark.parametrize("x", [-20.0, -3.0, 0.0, 5.0, 10.0, 20.0])
@pytest.mark.parametrize("t", [0, 1])
def test_confident_elements(framework: Framework, x: float, t: int) -> None:
    side = 1 if t else -1

    def loss(row: list[Any]) -> Any:
        p = 1 / (1 + mpmath.exp(-side * row[0]))
        return (1 - p) ** 2 * -mpmath.log(p)

    exact, (slope,) = precise_row(loss, [x])
    value, grad = framework.value_and_grad(
        xe.focal_loss, framework.array([x]), framework.array([t], "int64"), form="sigmoid"
    )
    assert ulps(value, exact, "float32") <= 3 * (4 + abs(x))
    assert ulps(grad[0], slope, "float32") <= 4 + 3 * (4 + abs(x))


# Rows of the policy.


@pytest.mark.parametrize("variant", [FOCAL, POLY, GENERALIZED], ids=title)
def test_a_label_on_a_masked_class(framework: Framework, variant: Variant) -> None:
    """Infinite, but for the loss that is bounded."""
    worst = 1 / 0.7 if variant is GENERALIZED else INF
    masked = {"where": framework.array([True, True, False], "bool")}
    loss = functools.partial(variant.function, targets=framework.array([2], "int64"))
    for row, options in (([1.0, 2.0, 3.0], masked), ([1.0, 2.0, -INF], {})):
        value = framework.numpy(loss(framework.array([row]), **options))
        np.testing.assert_allclose(value, worst, rtol=1e-6)


@pytest.mark.parametrize("variant", [FOCAL, POLY, GENERALIZED], ids=title)
def test_a_masked_class_that_is_not_the_label(framework: Framework, variant: Variant) -> None:
    mask = framework.array([True, True, False], "bool")
    label = framework.array([0], "int64")
    for filler in (NAN, INF, -INF, 7.0):
        value, grad = framework.value_and_grad(
            variant.function, framework.array([[1.0, 2.0, filler]]), label, where=mask
        )
        alone, alone_grad = framework.value_and_grad(
            variant.function, framework.array([[1.0, 2.0]]), label
        )
        np.testing.assert_allclose(value, alone, rtol=1e-6)
        np.testing.assert_allclose(grad[:, :2], alone_grad, rtol=1e-6)
        assert grad[0, 2] == 0


@pytest.mark.parametrize("filler", [NAN, INF, -INF])
@pytest.mark.parametrize("variant", [FOCAL, POLY, GENERALIZED], ids=title)
def test_an_ignored_row(framework: Framework, variant: Variant, filler: float) -> None:
    x = framework.array([[1.0, 2.0, 3.0], [filler] * 3])
    weights = framework.array([1.0, 0.0])
    alone, _ = framework.value_and_grad(
        variant.function, framework.array([[1.0, 2.0, 3.0]]), framework.array([0], "int64")
    )
    for labels, options in (([0, -1], {"ignore_index": -1}), ([0, 1], {"sample_weights": weights})):
        value, grad = framework.value_and_grad(
            variant.function, x, framework.array(labels, "int64"), **options
        )
        np.testing.assert_allclose(value, alone, rtol=1e-6)
        assert (grad[1] == 0).all()
        assert np.isfinite(grad[0]).all()


def test_an_element_of_weight_zero(framework: Framework) -> None:
    for filler in (NAN, INF):
        value, grad = framework.value_and_grad(
            xe.focal_loss,
            framework.array([0.0, filler]),
            framework.array([1, 0], "int64"),
            form="sigmoid",
            sample_weights=framework.array([1.0, 0.0]),
        )
        np.testing.assert_allclose(value, 0.25 * np.log(2), rtol=1e-6)
        assert grad[1] == 0


@pytest.mark.parametrize("variant", [FOCAL, POLY, GENERALIZED], ids=title)
def test_a_label_out_of_range(framework: Framework, mode: str, variant: Variant) -> None:
    x, labels = framework.array([[1.0, 2.0, 3.0]] * 2), framework.array([0, 3], "int64")
    if mode == "eager" and framework.name != "strict":
        with pytest.raises(IndexError, match=r"targets\[1\] is 3"):
            variant.function(x, labels)
        return
    value, grad = framework.value_and_grad(variant.function, x, labels, mode=mode, reduction="none")
    assert np.isfinite(value[0])
    assert np.isfinite(grad[0]).all()
    assert np.isnan(value[1])
    assert np.isnan(grad[1]).all()


@pytest.mark.parametrize("variant", [FOCAL, POLY, GENERALIZED], ids=title)
def test_every_row_ignored(framework: Framework, variant: Variant) -> None:
    x, labels = framework.array([[1.0, 2.0, 3.0]]), framework.array([-1], "int64")
    value, grad = framework.value_and_grad(variant.function, x, labels, ignore_index=-1)
    assert value == 0
    assert (grad == 0).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("variant", [FOCAL, POLY, GENERALIZED], ids=title)
def test_half_types(framework: Framework, variant: Variant, dtype: str) -> None:
    if dtype not in framework.floats:
        pytest.skip(f"{framework.name} has no {dtype}")
    x, label = framework.array([9.0, 0.0, 1.0], dtype), framework.array(0, "int64")
    value, (grad,) = framework.value_and_grads(variant.function, x, label)
    assert framework.dtype(value) == "float32"
    assert framework.dtype(grad) == dtype
    wide = framework.numpy(variant.function(framework.array([9.0, 0.0, 1.0]), label))
    assert framework.numpy(value) == wide


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
def test_targets_that_are_a_one_hot_of_integers(framework: Framework, dtype: str) -> None:
    one_hot = framework.array(np.eye(3)[[2, 0]].astype(int), dtype)
    labels, x = framework.array([2, 0], "int32"), framework.array([[1.0, 2.0, 3.0]] * 2)
    for variant in (FOCAL, POLY, GENERALIZED):
        np.testing.assert_allclose(
            framework.numpy(variant.function(x, one_hot)),
            framework.numpy(variant.function(x, labels)),
            rtol=1e-6,
        )


# Bad input.

ERRORS: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (xe.focal_loss, {"gamma": -1.0}, "gamma must be a finite number of at least 0, got -1.0"),
    (xe.focal_loss, {"gamma": INF}, "gamma .*got inf"),
    (xe.focal_loss, {"gamma": "two"}, "gamma .*got 'two'"),
    (xe.focal_loss, {"gamma": True}, "gamma .*got True"),
    (xe.focal_loss, {"alpha": -0.5}, "alpha must be a finite number of at least 0, got -0.5"),
    (xe.focal_loss, {"alpha": NAN}, "alpha .*got nan"),
    (xe.focal_loss, {"alpha": [1.0, 2.0]}, r"alpha has shape \(2,\).*\(2, 3\).*every class"),
    (xe.focal_loss, {"form": "tanh"}, "form must be one of 'softmax', 'sigmoid', got 'tanh'"),
    (xe.focal_loss, {"pos_weight": 2.0}, "pos_weight must be left out where form is 'softmax'"),
    (xe.poly_loss, {"epsilon": -1.5}, "epsilon must be a finite number of at least -1, got -1.5"),
    (xe.poly_loss, {"epsilon": INF}, "epsilon .*got inf"),
    (xe.poly_loss, {"epsilon": NAN}, "epsilon .*got nan"),
    (xe.generalized_cross_entropy, {"q": 0.0}, r"q must be a number in \(0, 1\], got 0.0"),
    (xe.generalized_cross_entropy, {"q": 1.5}, "q .*got 1.5"),
    (xe.generalized_cross_entropy, {"q": None}, "q .*got None"),
    (xe.poly_loss, {"reduction": "average"}, "reduction .*got 'average'"),
    (xe.generalized_cross_entropy, {"temperature": 0.0}, "temperature .*got 0.0"),
    (xe.poly_loss, {"from_logits": False, "z_loss": 0.1}, "z_loss must be 0.0 where from_logits"),
]


@pytest.mark.parametrize(("function", "options", "message"), ERRORS)
def test_options_out_of_range(
    framework: Framework, function: Callable[..., Any], options: dict[str, Any], message: str
) -> None:
    x, labels = framework.array([[1.0, 2.0, 3.0]] * 2), framework.array([0, 1], "int64")
    with pytest.raises(ValueError, match=message):
        function(x, labels, **options)


def test_an_alpha_below_zero(framework: Framework) -> None:
    if framework.name == "strict":
        pytest.skip("entries are not looked at")
    x, labels = framework.array([[1.0, 2.0, 3.0]] * 2), framework.array([0, 1], "int64")
    with pytest.raises(ValueError, match=r"alpha\[1\] is -1.0, .*at least 0"):
        xe.focal_loss(x, labels, alpha=framework.array([1.0, -1.0, 2.0]))


def test_alpha_of_the_sigmoid_form(framework: Framework) -> None:
    x = framework.array([1.0, 2.0])
    with pytest.raises(ValueError, match=r"alpha must be a number in \[0, 1\], got 1.5"):
        xe.focal_loss(x, x, form="sigmoid", alpha=1.5)
    with pytest.raises(ValueError, match=r"alpha must be a number in \[0, 1\], got -0.1"):
        xe.focal_loss(x, x, form="sigmoid", alpha=-0.1)
    with pytest.raises(ValueError, match=r"alpha must be a number in \[0, 1\]"):
        xe.focal_loss(x, x, form="sigmoid", alpha=framework.array([0.5, 0.5]))


@pytest.mark.parametrize(
    "name", ["axis", "class_weights", "ignore_index", "where", "temperature", "softcap", "z_loss"]
)
def test_options_of_classes_in_the_sigmoid_form(framework: Framework, name: str) -> None:
    x = framework.array([1.0, 2.0])
    with pytest.raises(ValueError, match=f"{name} must be left out where form is 'sigmoid'"):
        xe.focal_loss(x, x, form="sigmoid", **{name: 1})


def test_unknown_options(framework: Framework) -> None:
    x, labels = framework.array([[1.0, 2.0, 3.0]] * 2), framework.array([0, 1], "int64")
    for function in (xe.focal_loss, xe.poly_loss, xe.generalized_cross_entropy):
        named = rf"^{function.__name__}\(\) got an unexpected keyword argument 'foo'"
        with pytest.raises(TypeError, match=named):
            function(x, labels, foo=1)
    for function in (xe.poly_loss, xe.generalized_cross_entropy):
        with pytest.raises(TypeError, match=rf"^{function.__name__}\(\).*'pos_weight'"):
            function(x, labels, pos_weight=1.0)


def test_shapes(framework: Framework) -> None:
    x = framework.array([[1.0, 2.0, 3.0]] * 2)
    for function in (xe.focal_loss, xe.poly_loss, xe.generalized_cross_entropy):
        with pytest.raises(ValueError, match=r"targets has shape \(3,\).*\(2, 3\)"):
            function(x, framework.array([0, 1, 2], "int64"))
        with pytest.raises(TypeError, match="targets must be integer labels"):
            function(x, framework.array([0.0, 1.0]))
        with pytest.raises(TypeError, match="logits must be real floating"):
            function(framework.array([[1, 2, 3]], "int32"), framework.array([0], "int64"))


# The options that are passed on are those of the functions that they are passed to.


def keyword_only(function: Callable[..., Any]) -> set[str]:
    import inspect

    parameters = inspect.signature(function).parameters.values()
    return {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}


@pytest.mark.backends("numpy")
def test_the_options_are_those_of_cross_entropy() -> None:
    from xentropy._typing import FocalOptions, LossOptions, RowOptions

    every = keyword_only(xe.cross_entropy)
    of_rows = every - {"from_logits", "reduction", "normalizer"}
    assert set(typing.get_type_hints(LossOptions)) == every
    assert set(typing.get_type_hints(RowOptions)) == of_rows
    assert set(typing.get_type_hints(FocalOptions)) == every | {"pos_weight"}
    assert keyword_only(xe.binary_cross_entropy) <= every | {"pos_weight"}
    for options in (LossOptions, RowOptions, FocalOptions):
        assert not options.__required_keys__
