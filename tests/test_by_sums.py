"""Losses of elements, and divergences of rows, in blocks: the definition's, however cut."""

from __future__ import annotations

import math
from functools import partialmethod
from typing import Any

import mpmath
import numpy as np
import oracle
import pytest
from harness import Framework

import xentropy as xe
from xentropy import _by_rows, _by_sums
from xentropy._divergence import Divergence
from xentropy._pair import PairLoss

pytestmark = pytest.mark.backends("numpy", "torch", "tensorflow")

RNG = np.random.default_rng(12)
SHAPES = [((9, 5), 1), ((2, 5, 4), 1), ((5, 6), 0), ((7,), 0)]
CUTS: list[dict[str, int]] = [
    {"block_size": 1, "threads": 1},
    {"block_size": 12, "threads": 3},
    {"block_size": 999},
]
# How near a result in a dtype is to that of the same entries in float64.
NEAR = {"float32": 3e-6, "float64": 1e-12, "float16": 2e-3, "bfloat16": 1e-2}
cuts = pytest.mark.parametrize("cut", CUTS, ids=str)
cuts_and_dtypes = pytest.mark.parametrize(
    ("cut", "dtype"),
    [(cut, "float64") for cut in CUTS] + [(CUTS[1], dtype) for dtype in NEAR if dtype != "float64"],
    ids=str,
)


@pytest.fixture(autouse=True)
def visited(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """So few entries as tests have are visited in blocks too; the rules that were, in order."""
    monkeypatch.setattr(_by_sums, "FEW", 0)
    monkeypatch.setitem(globals(), "RNG", np.random.default_rng(12))  # alike in any order of tests
    seen: list[Any] = []
    cut = _by_rows.ByRows.cuts

    def noted(self: Any, leaves: Any) -> Any:
        seen.append(type(self.rule).__name__)
        return cut(self, leaves)

    monkeypatch.setattr(_by_rows.ByRows, "cuts", noted)
    return seen


def given(framework: Framework, arrays: dict[str, Any], dtype: str) -> dict[str, Any]:
    """Arrays among the options, flags as flags and numbers in a dtype."""
    return {
        name: framework.array(x, "bool" if x.dtype == bool else dtype)
        if isinstance(x, np.ndarray)
        else x
        for name, x in arrays.items()
    }


def exactly(framework: Framework, x: np.ndarray, dtype: str) -> np.ndarray:
    """The entries that an array of this dtype has."""
    return framework.numpy(framework.array(x, dtype)).astype(np.float64)


def asked(monkeypatch: pytest.MonkeyPatch, rule: Any) -> list[int]:
    """Of how many entries a rule is asked itself, for values or for a pullback, from now on."""
    sizes: list[int] = []
    for name in ("forward", "pullback"):

        def noted(self: Any, xp: Any, leaves: Any, *more: Any, own: Any, **how: Any) -> Any:
            sizes.append(math.prod(leaves[0].shape))
            return own(self, xp, leaves, *more, **how)

        monkeypatch.setattr(rule, name, partialmethod(noted, own=getattr(rule, name)))
    return sizes


def agree(
    framework: Framework, found: tuple[Any, Any], value: Any, gradient: Any, dtype: str
) -> None:
    wide = "float32" if dtype in {"float16", "bfloat16"} else dtype
    assert framework.dtype(found[0]) == wide
    np.testing.assert_allclose(found[0], value, rtol=NEAR[wide], atol=NEAR[wide] / 10)
    scale = float(np.max(np.abs(gradient), initial=1e-3))
    # Central differences are no nearer than this.
    near = max(NEAR[dtype], 1e-7)
    np.testing.assert_allclose(found[1], gradient, rtol=near, atol=near * scale)


# Elements.

WEIGHTS = np.array([0.5, 0.0, 2.0, 1.0, 1.5, 0.25])


def binary_options(shape: tuple[int, ...]) -> list[dict[str, Any]]:
    """Every option in its turn; weights by element, by the last axis, or a single one."""
    each = np.resize(WEIGHTS, shape)
    by_last = np.resize(WEIGHTS[2:], shape[-1])
    first = np.resize(WEIGHTS[2:], (shape[0], *(1,) * (len(shape) - 1)))
    return [
        {},
        {"reduction": "sum", "label_smoothing": 0.25},
        {"reduction": "none", "sample_weights": each},
        {"sample_weights": each, "pos_weight": by_last},
        {"sample_weights": each, "pos_weight": first, "normalizer": "valid"},
        {"pos_weight": np.array(3.0), "normalizer": "batch"},
        {"sample_weights": each, "normalizer": 4.0},
        {"sample_weights": 0 * each},
    ]


@cuts_and_dtypes
@pytest.mark.parametrize(("shape", "_axis"), SHAPES)
@pytest.mark.parametrize("hard", [True, False], ids=["labels", "probabilities"])
def test_any_cut_gives_the_binary_loss(
    framework: Framework,
    visited: list[Any],
    hard: bool,
    shape: tuple[int, ...],
    _axis: int,
    dtype: str,
    cut: dict[str, int],
) -> None:
    x = exactly(framework, RNG.normal(size=shape) * 3, dtype)
    t = np.round(RNG.uniform(size=shape), 0 if hard else 2)
    t = t if hard else exactly(framework, t, dtype)
    arrays = framework.array(x, dtype), framework.array(t, "int64" if hard else dtype)
    for options in binary_options(shape):

        def exact(z: np.ndarray, options: dict[str, Any] = options) -> Any:
            return oracle.binary_cross_entropy(z, t, **options)

        visited.clear()
        with xe.options(**cut):
            found = framework.value_and_grad(
                xe.binary_cross_entropy, *arrays, **given(framework, options, dtype)
            )
            alone = xe.binary_cross_entropy(*arrays, **given(framework, options, dtype))
        # What elements are worth comes after the first visit: narrow gradients are made anew.
        anew = (
            options.get("reduction") == "none" and framework.autograd and dtype.endswith("float16")
        )
        assert visited == ["PairLoss"] * (3 if anew else 2)
        agree(framework, found, exact(x), oracle.gradient(exact, x), dtype)
        np.testing.assert_array_equal(framework.numpy(alone), found[0])


@cuts
@pytest.mark.parametrize("options", [{}, {"alpha": 0.25, "reduction": "sum"}], ids=str)
def test_links_and_balance_are_cut_too(
    framework: Framework, visited: list[Any], options: dict[str, Any], cut: dict[str, int]
) -> None:
    x, t = RNG.normal(size=(9, 5)), RNG.integers(0, 2, (9, 5))

    def exact(z: np.ndarray) -> Any:
        return oracle.binary_cross_entropy(
            z, t, curve=lambda p: -((1 - p) ** 1.5) * np.log(p), **options
        )

    with xe.options(**cut):
        found = framework.value_and_grad(
            xe.focal_loss,
            framework.array(x, "float64"),
            framework.array(t, "int64"),
            gamma=1.5,
            form="sigmoid",
            **options,
        )
    assert visited == ["PairLoss"]
    agree(framework, found, exact(x), oracle.gradient(exact, x), "float64")


@cuts
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize(
    "options", [{}, {"label_smoothing": 0.25, "reduction": "sum"}, {"pos_weight": 3.0}], ids=str
)
def test_given_probabilities_are_cut_too(
    framework: Framework, options: dict[str, Any], dtype: str, cut: dict[str, int]
) -> None:
    p, t = RNG.uniform(0.1, 0.9, (9, 5)), RNG.uniform(size=(9, 5))
    p, t = exactly(framework, p, dtype), exactly(framework, t, dtype)

    def exact(z: np.ndarray) -> Any:
        return oracle.binary_cross_entropy(z, t, from_logits=False, **options)

    arrays = framework.array(p, dtype), framework.array(t, dtype)
    how: dict[str, Any] = {"from_logits": False, **options}
    with xe.options(**cut):
        found = framework.value_and_grad(xe.binary_cross_entropy, *arrays, **how)
    agree(framework, found, exact(p), oracle.gradient(exact, p), dtype)


@cuts
def test_probabilities_near_either_end_keep_their_digits(
    framework: Framework, cut: dict[str, int]
) -> None:
    p = np.array([1e-30, 1 - 2.0**-24, 0.5, 0.9, 1e-7, 1.0, 0.0, 0.25], np.float32)
    t = np.array([0.0, 1.0, 1.0, 0.25, 1e-3, 1.0, 0.0, 0.0], np.float32)
    wide, on = p.astype(np.float64), t.astype(np.float64)
    with np.errstate(all="ignore"):
        losses = -np.where(on == 0, 0, on * np.log(wide))
        losses -= np.where(on == 1, 0, (1 - on) * np.log1p(-wide))
        slope = np.where(on == 1, 0, (1 - on) / (1 - wide)) - np.where(on == 0, 0, on / wide)
    how: dict[str, Any] = {"from_logits": False, "reduction": "none"}
    with xe.options(**cut):
        value, grad = framework.value_and_grad(
            xe.binary_cross_entropy, framework.array(p), framework.array(t), **how
        )
    np.testing.assert_allclose(value, losses, rtol=1e-6)
    np.testing.assert_allclose(grad, slope, rtol=1e-6)


@cuts
def test_sure_elements_keep_their_digits(framework: Framework, cut: dict[str, int]) -> None:
    x = np.array([40.0, -40.0, 90.0, -100.0, 1e-3, 0.0, 17.0, 3.0])
    t = np.array([1, 0, 1, 0, 1, 0, 1, 1])
    sign = np.where(t == 1, -1.0, 1.0)
    losses = np.log1p(np.exp(sign * x))
    arrays = framework.array(x, "float32"), framework.array(t, "int64")
    with xe.options(**cut):
        value, grad = framework.value_and_grad(xe.binary_cross_entropy, *arrays, reduction="none")
    # Below the normal range there are fewer digits, and some processors have none.
    tiny = float(np.finfo(np.float32).tiny)
    np.testing.assert_allclose(value, losses, rtol=1e-6, atol=tiny)
    slope = sign * np.exp(sign * x) / (1 + np.exp(sign * x))
    np.testing.assert_allclose(grad, slope, rtol=1e-6, atol=tiny)
    assert value[0] == pytest.approx(4.24835e-18, rel=1e-5)


@cuts
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("weighed", [True, False])
def test_strange_elements_disturb_no_other(
    framework: Framework, weighed: bool, dtype: str, cut: dict[str, int]
) -> None:
    inf, nan = math.inf, math.nan
    x = [1.0, inf, inf, -inf, -inf, nan, nan, -1.0, 2.0]
    t = [1, 1, 0, 0, 1, 1, 0, 0, 1]
    weights = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0 if weighed else 1.0, 1.0, 1.0])
    with np.errstate(all="ignore"):
        losses = np.log1p(np.exp(np.where(t, -1, 1) * np.array(x)))
    last, first = -1 / (1 + math.exp(2)), -1 / (1 + math.e)
    slope = np.array([first, 0.0, 1.0, 0.0, -1.0, nan, nan, -first, last])
    losses, slope = (np.where(weights == 0, 0.0, each) for each in (losses, slope))
    with xe.options(**cut):
        value, grad = framework.value_and_grad(
            xe.binary_cross_entropy,
            framework.array(x, dtype),
            framework.array(t, "int64"),
            sample_weights=framework.array(weights, dtype) if weighed else None,
            reduction="none",
        )
    np.testing.assert_allclose(value, losses, rtol=1e-6)
    np.testing.assert_allclose(grad, slope, rtol=NEAR[dtype])


@cuts
@pytest.mark.parametrize("weighed", [None, "sample_weights", "pos_weight"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_target_that_is_nan(
    framework: Framework, reduction: str, weighed: str | None, cut: dict[str, int]
) -> None:
    """It makes its own loss NaN, and the divisor of a mean, so that no gradient is a number."""
    x, t = RNG.normal(size=(9, 5)), RNG.uniform(size=(9, 5))
    t[4, 1] = math.nan
    more = {} if weighed is None else {weighed: framework.array(np.ones((9, 5)))}
    arrays = framework.array(x), framework.array(t)
    with xe.options(**cut):
        value, grad = framework.value_and_grad(
            xe.binary_cross_entropy, *arrays, reduction=reduction, **more
        )
    assert np.isnan(value)
    np.testing.assert_array_equal(np.isnan(grad), np.isnan(t) | (reduction == "mean"))


@cuts
@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_targets_that_are_no_probabilities(
    framework: Framework, dtype: str, cut: dict[str, int]
) -> None:
    """They are taken as they are, beside blocks of others."""
    x, t = RNG.normal(size=(9, 5)), RNG.uniform(size=(9, 5))
    t[4, 1], t[8, 0] = 1.5, -0.25
    x, t = exactly(framework, x, dtype), exactly(framework, t, dtype)

    def exact(z: np.ndarray) -> Any:
        return oracle.binary_cross_entropy(z, t)

    arrays = framework.array(x, dtype), framework.array(t, dtype)
    with xe.options(**cut):
        found = framework.value_and_grad(xe.binary_cross_entropy, *arrays)
    agree(framework, found, exact(x), oracle.gradient(exact, x), dtype)


@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize(
    "options",
    [{}, {"label_smoothing": 0.1}, {"pos_weight": 2.0}, {"from_logits": False}],
    ids=str,
)
def test_finite_elements_are_visited_in_place(
    framework: Framework,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, float],
    reduction: str,
) -> None:
    """The rule itself is asked for blocks with others alone."""
    sizes = asked(monkeypatch, PairLoss)
    x, t = RNG.uniform(size=(9, 5)), framework.array(np.eye(9, 5))
    for infinite, wanted in ((False, set()), (True, {5})):
        x[8, 4] = math.inf if infinite else 0.5
        with xe.options(block_size=10, threads=1):
            framework.value_and_grad(
                xe.binary_cross_entropy, framework.array(x), t, reduction=reduction, **options
            )
        assert set(sizes) == wanted


@pytest.mark.backends("torch", "tensorflow")
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("worth", [1.0, -0.5, 3.0, 1e30, -1e30, math.nan], ids=str)
def test_every_element_is_worth_something_of_its_own(
    framework: Framework, worth: float, dtype: str
) -> None:
    """Gradients made beforehand are multiplied by it, those of narrow dtypes made anew."""
    x, t = np.array([[1.0, -2.0, 80.0], [0.5, 3.0, -85.0]]), np.eye(2, 3)
    each = np.array([[0.25, 1.0, 1.0], [0.0, 1.0, 0.5]]) * worth

    def weighed(x: Any, t: Any, each: Any) -> Any:
        return xe.binary_cross_entropy(x, t, reduction="none") * each

    arrays = framework.array(x, dtype), framework.array(t), framework.array(each)
    _, (grad,) = framework.value_and_grads(weighed, *arrays, wrt=(0,))
    with np.errstate(over="ignore"):
        wanted = (1 / (1 + np.exp(-x)) - t) * each
        wanted = wanted.astype(np.float32).astype(dtype)
    np.testing.assert_allclose(framework.numpy(grad), wanted, rtol=NEAR[dtype], atol=1e-38)


@pytest.mark.backends("numpy")
def test_any_number_of_threads_gives_the_same_bits(framework: Framework) -> None:
    x, *others = (RNG.normal(size=(40, 50)), *RNG.uniform(size=(2, 40, 50)))
    x, t, weights = (framework.array(each, "float64") for each in (x, *others))
    found = set()
    for threads in (1, 2, 3, 5):
        with xe.options(block_size=100, threads=threads):
            loss = xe.binary_cross_entropy(x, t, sample_weights=weights)
        found.add(float(loss))
    assert len(found) == 1


# Rows.


def divergence(
    x: np.ndarray,
    t: np.ndarray,
    *,
    axis: int,
    targets_are: str = "probabilities",
    temperature: float = 1.0,
    sample_weights: Any = None,
    where: Any = None,
    reduction: str = "mean",
    normalizer: Any = "weights",
) -> Any:
    """The divergence by its definition; classes that the mask leaves out take no part."""
    log_p = oracle.log_probabilities(x, axis, "logits", where, temperature, None)[0]
    if targets_are == "logits":
        log_t = oracle.log_probabilities(t, axis, "logits", where, temperature, None)[0]
    else:
        given = np.moveaxis(t, axis, -1)
        log_t = given if targets_are == "log_probabilities" else np.log(given)
    t = np.exp(log_t)
    weights = np.ones(t.shape[:-1]) if sample_weights is None else sample_weights
    rows = weights * np.sum(np.where(t == 0, 0.0, t * (log_t - log_p)), axis=-1)
    counts = {"valid": (weights != 0).sum(), "batch": weights.size}
    counts["weights"] = (weights * t.sum(-1)).sum()
    return oracle.reduced(rows, reduction, counts, normalizer)


def row_options(shape: tuple[int, ...], axis: int) -> list[dict[str, Any]]:
    """Every option in its turn; the mask leaves out the third class, or entries of it."""
    weights = np.resize(WEIGHTS, shape[:axis] + shape[axis + 1 :])
    mask = np.arange(shape[axis]) != 2
    dense = np.array(oracle.spread(mask, shape, axis))
    return [
        {},
        {"reduction": "none", "temperature": 2.0},
        {"reduction": "sum", "sample_weights": weights},
        {"sample_weights": weights},
        {"sample_weights": weights, "normalizer": "valid"},
        {"where": mask, "sample_weights": weights},
        {"normalizer": "batch", "where": mask},
        {"normalizer": 4.0, "where": dense, "temperature": 0.5},
    ]


@cuts_and_dtypes
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
@pytest.mark.parametrize("targets_are", ["probabilities", "logits", "log_probabilities"])
def test_any_cut_gives_the_divergence(
    framework: Framework,
    visited: list[Any],
    targets_are: str,
    shape: tuple[int, ...],
    axis: int,
    dtype: str,
    cut: dict[str, int],
) -> None:
    x, y = (exactly(framework, RNG.normal(size=shape), dtype) for _ in range(2))
    for options in row_options(shape, axis):
        mask, t = oracle.spread(options.get("where", [True]), shape, axis), y
        with np.errstate(divide="ignore"):
            if targets_are != "logits":
                t = np.where(mask, np.exp(y), 0.0)
                t = t / (2 * t.sum(axis, keepdims=True))
                t = t if targets_are == "probabilities" else np.log(t)
            t = exactly(framework, t, dtype)

            def exact(z: np.ndarray, t: np.ndarray = t, how: dict[str, Any] = options) -> Any:
                with np.errstate(divide="ignore", invalid="ignore"):
                    return divergence(z, t, axis=axis, targets_are=targets_are, **how)

            wanted = exact(x), oracle.gradient(exact, x)
        arrays = framework.array(x, dtype), framework.array(t, dtype)
        more = {"axis": axis, "targets_are": targets_are, **given(framework, options, dtype)}
        visited.clear()
        with xe.options(**cut):
            found = framework.value_and_grad(xe.kl_divergence, *arrays, **more)
            alone = xe.kl_divergence(*arrays, **more)
        # Beside the loss alone: one by one the gradient comes later, else with the loss, after
        # a look at what a mean divides by.
        before = options.get("reduction", "mean") == "mean" and "normalizer" not in options
        later = options.get("reduction") == "none"
        looks = later or (before and targets_are != "logits")
        assert visited == ["Divergence"] * (2 + looks)
        agree(framework, found, *wanted, dtype)
        np.testing.assert_array_equal(framework.numpy(alone), found[0])


@pytest.mark.parametrize("targets_are", ["probabilities", "log_probabilities", "logits"])
@pytest.mark.parametrize("weighed", [True, False])
def test_finite_rows_are_visited_in_place(
    framework: Framework, monkeypatch: pytest.MonkeyPatch, weighed: bool, targets_are: Any
) -> None:
    """The rule itself is never asked."""
    sizes = asked(monkeypatch, Divergence)
    x, t = RNG.normal(size=(9, 5)), np.full((9, 5), 0.2)
    t = np.log(t) if targets_are == "log_probabilities" else t
    weights = framework.array(RNG.uniform(size=9)) if weighed else None
    with xe.options(block_size=10):
        framework.value_and_grad(
            xe.kl_divergence,
            framework.array(x),
            framework.array(t),
            targets_are=targets_are,
            sample_weights=weights,
        )
    assert sizes == []


@pytest.mark.backends("numpy", "torch")
@pytest.mark.parametrize("targets_are", ["probabilities", "log_probabilities", "logits"])
def test_the_gradient_of_a_divergence_may_lie_over_the_logits(
    framework: Framework, targets_are: Any
) -> None:
    x, t = RNG.normal(size=(9, 5)), RNG.normal(size=(9, 5))
    t = {"probabilities": np.exp(t), "log_probabilities": t, "logits": t}[targets_are]
    x[4, 2] = math.inf  # a row that the rule makes
    call = xe.value_and_grad(xe.kl_divergence)
    with xe.options(block_size=10):
        logits, targets = framework.array(x), framework.array(t)
        value, wanted = call(logits, targets, targets_are=targets_are)
        wanted = framework.numpy(wanted)
        again, found = call(logits, targets, targets_are=targets_are, out=logits)
    assert found is logits
    np.testing.assert_array_equal(framework.numpy(found), wanted)
    np.testing.assert_array_equal(framework.numpy(again), framework.numpy(value))
    assert np.isfinite(wanted[:4]).all()


@pytest.mark.backends("torch", "tensorflow")
@pytest.mark.parametrize("targets_are", ["probabilities", "logits"])
@pytest.mark.parametrize("worth", [1.0, -0.5, 3.0, 1e30, math.nan], ids=str)
def test_what_a_divergence_is_worth(framework: Framework, targets_are: Any, worth: float) -> None:
    x, t = RNG.normal(size=(9, 5)), RNG.normal(size=(9, 5))
    t = np.exp(t) if targets_are == "probabilities" else t

    def exact(z: np.ndarray) -> Any:
        return divergence(z, t, axis=1, targets_are=targets_are)

    def lost(z: Any) -> Any:
        return xe.kl_divergence(z, framework.array(t), targets_are=targets_are) * worth

    with xe.options(block_size=10):
        _, found = framework.value_and_grad(lost, framework.array(x))
    wanted = oracle.gradient(exact, x) * (worth / worth)
    np.testing.assert_allclose(found / worth, wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_share_that_is_nan(framework: Framework, reduction: str) -> None:
    """It is a part of what a mean divides by, so that nothing is left of any row."""
    t = np.full((9, 5), 0.2)
    t[4, 2] = math.nan
    arrays = framework.array(RNG.normal(size=(9, 5))), framework.array(t)
    with xe.options(block_size=10):
        value, found = framework.value_and_grad(xe.kl_divergence, *arrays, reduction=reduction)
    strange = np.full(9, True) if reduction == "mean" else np.arange(9) == 4
    assert math.isnan(value)
    np.testing.assert_array_equal(np.isnan(found).all(axis=1), strange)
    np.testing.assert_array_equal(np.isnan(found).any(axis=1), strange)


@pytest.mark.backends("numpy", "torch", "tensorflow")
@pytest.mark.parametrize("loss", [xe.binary_cross_entropy, xe.kl_divergence])
def test_loss_and_gradient_take_one_visit(
    framework: Framework, visited: list[Any], loss: Any
) -> None:
    arrays = framework.array(RNG.normal(size=(9, 5))), framework.array(np.full((9, 5), 0.2))
    with xe.options(block_size=10):
        xe.value_and_grad(loss)(*arrays, reduction="sum")
    assert len(visited) == 1


def exactly_apart(x: np.ndarray, y: np.ndarray, temperature: float) -> tuple[Any, Any]:
    """The divergence of a row from that of its targets' logits, and its gradient times T."""
    with mpmath.workdps(60):
        sides = [[mpmath.mpf(float(v)) / temperature for v in row] for row in (x, y)]
        logs = [[v - mpmath.log(mpmath.fsum(map(mpmath.exp, row))) for v in row] for row in sides]
        p, t = ([mpmath.exp(v) for v in row] for row in logs)
        value = mpmath.fsum(b * (lb - la) for b, la, lb in zip(t, *logs, strict=True))
        return float(value), np.array([float(a - b) for a, b in zip(p, t, strict=True)])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("apart", [1e-7, 1e-4, 1e-2, 0.1, 0.3, 1.0, 10.0])
@pytest.mark.parametrize("shift", [0.0, 7.3])
def test_logits_that_are_near_keep_their_digits(
    framework: Framework, shift: float, apart: float, temperature: float, dtype: str
) -> None:
    """However near each other the two are, and however far their logits."""
    x = (RNG.normal(size=(6, 40)) * np.array([[0.5], [1], [2], [3], [5], [8]])).astype(dtype)
    y = (x + shift + apart * RNG.normal(size=x.shape)).astype(dtype)
    arrays = framework.array(x, dtype), framework.array(y, dtype)
    how: dict[str, Any] = {"targets_are": "logits", "reduction": "none"}
    value, grad = framework.value_and_grad(
        xe.kl_divergence, *arrays, temperature=temperature, **how
    )
    exact = [exactly_apart(*rows, temperature) for rows in zip(x, y, strict=True)]
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(value, [row for row, _ in exact], rtol=24 * eps)
    for found, (_, wanted) in zip(grad * temperature, exact, strict=True):
        # What is no larger than the mean of a row has lost digits by what it is a difference of.
        near = 64 * eps * np.maximum(abs(wanted), abs(wanted).mean())
        assert (abs(found - wanted) <= near).all()


@pytest.mark.parametrize("targets_are", ["probabilities", "logits"])
def test_a_weight_without_end(framework: Framework, targets_are: Any) -> None:
    """It is the factor of p - t, whose sign it leaves."""
    x, t = np.array([[2.0, 0.0, -1.0]]), np.array([[0.25, 0.25, 0.5]])
    value, grad = framework.value_and_grad(
        xe.kl_divergence,
        framework.array(x),
        framework.array(t if targets_are == "probabilities" else np.log(t)),
        targets_are=targets_are,
        sample_weights=framework.array([math.inf]),
        reduction="none",
    )
    assert value == math.inf
    np.testing.assert_array_equal(grad, [[math.inf, -math.inf, -math.inf]])


def test_one_class_does_not_diverge(framework: Framework) -> None:
    x, y = (framework.array(RNG.normal(size=(9, 1))) for _ in range(2))
    value, grad = framework.value_and_grad(
        xe.kl_divergence, x, y, targets_are="logits", reduction="none"
    )
    assert not value.any()
    assert not grad.any()


def test_classes_below_the_normal_range(framework: Framework) -> None:
    x = np.array([[0.0, -95.0, 1.0, -300.0], [0.0, 1.0, 2.0, 3.0]], np.float32)
    y = np.array([[1.0, -96.0, 0.5, -200.0], [3.0, 1.0, -100.0, 3.0]], np.float32)
    arrays = framework.array(x), framework.array(y)
    how: dict[str, Any] = {"targets_are": "logits", "reduction": "none"}
    value, grad = framework.value_and_grad(xe.kl_divergence, *arrays, **how)
    for i, (loss, slope) in enumerate(exactly_apart(*rows, 1.0) for rows in zip(x, y, strict=True)):
        assert value[i] == pytest.approx(loss, rel=1e-6)
        np.testing.assert_allclose(grad[i], slope, rtol=1e-5, atol=1e-38)


@cuts
@pytest.mark.parametrize("targets_are", ["probabilities", "logits"])
def test_strange_rows_disturb_no_other(
    framework: Framework,
    monkeypatch: pytest.MonkeyPatch,
    targets_are: str,
    cut: dict[str, int],
) -> None:
    """As the whole form gives them, which tests/test_information.py knows."""
    inf, nan = math.inf, math.nan
    x = np.array([[1.0, 2, 3], [inf, 0, 0], [inf, inf, 1], [nan, 0, 1], [-inf, 1, 2], [0, 0, 0]])
    t = np.array([[0.2, 0.3, 0.5]] * 4 + [[0.0, 0.5, 0.5], [nan, 0.5, 0.5]])
    if targets_are == "logits":
        t[4, 0] = -inf
    arrays = framework.array(x, "float64"), framework.array(t, "float64")
    how: dict[str, Any] = {"reduction": "none", "targets_are": targets_are}
    with xe.options(**cut):
        found = framework.value_and_grad(xe.kl_divergence, *arrays, **how)
    monkeypatch.setattr(_by_sums, "FEW", 1 << 16)
    for i in range(len(x)):
        alone = framework.value_and_grad(xe.kl_divergence, *(a[i : i + 1] for a in arrays), **how)
        np.testing.assert_allclose(found[0][i : i + 1], alone[0], rtol=1e-13)
        np.testing.assert_allclose(found[1][i : i + 1], alone[1], rtol=1e-12, atol=1e-15)
    assert np.isfinite(found[0][0])
    assert np.isnan(found[0][[2, 3, 5]]).all()


# What is asked beside the gradient by the logits.


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_other_gradients_are_the_rules_own(framework: Framework, reduction: str) -> None:
    """By what each element is worth: the whole rule takes what the blocks have left."""
    x, t = RNG.normal(size=(9, 5)), RNG.uniform(0.1, 0.9, (9, 5))
    arrays = framework.array(x, "float64"), framework.array(t, "float64")
    for loss, exact in (
        (xe.binary_cross_entropy, oracle.binary_cross_entropy),
        (xe.kl_divergence, lambda x, t, **how: divergence(x, t, axis=1, **how)),
    ):
        with xe.options(block_size=12):
            _, grads = framework.value_and_grads(loss, *arrays, wrt=(0, 1), reduction=reduction)

        def by_x(z: np.ndarray, exact: Any = exact) -> Any:
            return exact(z, t, reduction=reduction)

        def by_t(z: np.ndarray, exact: Any = exact) -> Any:
            return exact(x, z, reduction=reduction)

        for found, function, at in zip(grads, (by_x, by_t), (x, t), strict=True):
            wanted = oracle.gradient(function, at)
            np.testing.assert_allclose(framework.numpy(found), wanted, rtol=1e-7, atol=1e-9)


@pytest.mark.backends("torch")
@pytest.mark.parametrize("loss", [xe.binary_cross_entropy, xe.kl_divergence])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.usefixtures("framework")
def test_autograd_to_any_order(loss: Any, reduction: str) -> None:
    """The derivatives of what blocks give, and gradients of many bars at a time."""
    import torch

    x = torch.tensor(RNG.normal(size=(4, 3)), requires_grad=True)
    t = torch.tensor(RNG.uniform(0.1, 0.9, (4, 3)))

    def at(x: Any) -> Any:
        return loss(x, t, reduction=reduction)

    with xe.options(block_size=5):
        assert torch.autograd.gradcheck(at, x, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(at, x)
        value = at(x)
        bars = torch.tensor(RNG.normal(size=(3, *value.shape)))
        many = torch.autograd.grad(value, x, bars, retain_graph=True, is_grads_batched=True)[0]
        each = [torch.autograd.grad(value, x, bar, retain_graph=True)[0] for bar in bars]
        torch.testing.assert_close(many, torch.stack(each))


def test_few_rows_are_not_cut(
    framework: Framework, visited: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_by_sums, "FEW", 1 << 16)
    values = framework.numpy(xe.entropy(framework.array(np.zeros((5, 5)))))
    assert values == pytest.approx(math.log(5))
    assert not visited
