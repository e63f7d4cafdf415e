"""Plans: however rows are cut, whichever thread takes them, the answer is the definition's."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import tracemalloc
from collections import deque
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import oracle
import pytest
from harness import Framework
from hypothesis import given
from hypothesis import strategies as st

import xentropy as xe
from xentropy import _blocks, _direct_visits, _few, _inplace, _known, _plans, _threads, _visits
from xentropy._options import current
from xentropy_numpy import _mutable

IN_BLOCKS = ("numpy", "torch", "tensorflow")
WRITING = ("numpy", "torch")
RNG = np.random.default_rng(5)

# Rows of 5 classes: the classes last, and in the middle.
SHAPES = [((9, 5), 1), ((2, 5, 4), 1), ((5, 6), 0)]
CUTS = [{"block_size": 1, "threads": 1}, {"block_size": 12, "threads": 3}, {"block_size": 999}]
WEIGHTS = [0.5, 2.0, 1.0, 0.0, 1.5]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"label_smoothing": 0.2},
    {"class_weights": WEIGHTS, "label_smoothing": 0.2, "reduction": "sum"},
    {"temperature": 0.7, "softcap": 3.0, "z_loss": 0.1},
    {"reduction": "none", "z_loss": 0.1},
    {"normalizer": "valid", "class_weights": WEIGHTS},
    {"normalizer": 7.0},
    {"where": [True, True, False, True, True]},
    {"where": [True, True, False, True, True], "label_smoothing": 0.2},
]
HARD: list[dict[str, Any]] = [{"ignore_index": 1}, {"ignore_index": 1, "z_loss": 0.1}]


@pytest.fixture(params=["short", "long", "direct", "few"])
def long_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """So few classes, and logits, as tests can have are visited as more of them are, too."""
    if request.param == "long":
        monkeypatch.setattr(_inplace, "LONG", 1)
    if request.param == "direct":
        monkeypatch.setattr(_direct_visits, "FEW", 0)
    if request.param != "few":
        monkeypatch.setattr(_few, "FEW", 0)


def rows_of(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]


def problem(shape: tuple[int, ...], axis: int, *, hard: bool) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and targets that no option of the grid makes infinite."""
    x = RNG.normal(size=shape) * 3
    labels = RNG.choice([0, 1, 3, 4], size=rows_of(shape, axis))
    soft = np.moveaxis(RNG.dirichlet(np.ones(5), size=rows_of(shape, axis)), -1, axis)
    place = [1] * len(shape)
    place[axis] = -1
    soft = soft * np.reshape([1.0, 1.0, 0.0, 1.0, 1.0], place)
    return x, labels if hard else soft


def as_options(framework: Framework, options: dict[str, Any]) -> dict[str, Any]:
    return {
        name: framework.array(value, "bool" if name == "where" else "float64")
        if isinstance(value, list | np.ndarray)
        else value
        for name, value in options.items()
    }


@pytest.mark.backends(*IN_BLOCKS)
@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
@pytest.mark.parametrize("hard", [True, False], ids=["labels", "probabilities"])
def test_any_cut_gives_the_definition(
    framework: Framework,
    monkeypatch: pytest.MonkeyPatch,
    hard: bool,
    shape: tuple[int, ...],
    axis: int,
    cut: dict[str, int],
) -> None:
    if cut is CUTS[1]:  # as long rows are visited, and then those of large arrays
        monkeypatch.setattr(_inplace, "LONG", 1)
    if cut is CUTS[2]:
        monkeypatch.setattr(_direct_visits, "FEW", 0)
        monkeypatch.setattr(_few, "FEW", 0)
    x, t = problem(shape, axis, hard=hard)
    weights = RNG.uniform(0.5, 2.0, size=rows_of(shape, axis))
    weights.flat[0] = 0.0
    more = [{"sample_weights": weights}, {"sample_weights": weights, "normalizer": "valid"}]
    for options in OPTIONS + more + (HARD if hard else []):

        def exact(z: np.ndarray, options: dict[str, Any] = options) -> Any:
            return oracle.cross_entropy(z, t, axis=axis, **options)

        with xe.options(**cut):
            value, grad = framework.value_and_grad(
                xe.cross_entropy,
                framework.array(x, "float64"),
                framework.array(t, "int64" if hard else "float64"),
                axis=axis,
                **as_options(framework, options),
            )
        np.testing.assert_allclose(value, exact(x), rtol=1e-12, atol=1e-15, err_msg=str(options))
        np.testing.assert_allclose(
            grad, oracle.gradient(exact, x), rtol=1e-7, atol=1e-9, err_msg=str(options)
        )
        with xe.options(**cut):
            alone = xe.cross_entropy(
                framework.array(x, "float64"),
                framework.array(t, "int64" if hard else "float64"),
                axis=axis,
                **as_options(framework, options),
            )
        alone = framework.numpy(alone)
        np.testing.assert_allclose(alone, exact(x), rtol=1e-12, atol=1e-15, err_msg=str(options))


@pytest.mark.backends(*IN_BLOCKS)
@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("targets", ["int8", "uint8", "int32", "float32", "bool"])
def test_targets_of_other_dtypes_are_cut_too(
    framework: Framework, targets: str, cut: dict[str, int]
) -> None:
    """Block by block they become what is picked with, or what is computed with."""
    hard = "int" in targets
    x, labels = problem((40, 7), 1, hard=True)
    t = labels if hard else np.eye(7)[labels]
    with xe.options(**cut):
        value, grad = framework.value_and_grad(
            xe.cross_entropy, framework.array(x, "float64"), framework.array(t, targets)
        )
        alone = xe.cross_entropy(framework.array(x, "float64"), framework.array(t, targets))

    def exact(z: np.ndarray) -> Any:
        return oracle.cross_entropy(z, labels, axis=1)

    np.testing.assert_allclose(value, exact(x), rtol=1e-12)
    np.testing.assert_allclose(framework.numpy(alone), exact(x), rtol=1e-12)
    np.testing.assert_allclose(grad, oracle.gradient(exact, x), rtol=1e-7, atol=1e-9)


@pytest.mark.backends(*IN_BLOCKS)
@pytest.mark.parametrize("cut", [*CUTS, {"block_size": 6, "threads": 2}], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_probabilities_beside_strange_rows(
    framework: Framework, reduction: str, cut: dict[str, int]
) -> None:
    """Blocks with an infinity count in what a mean divides by, whichever form takes them."""
    x = RNG.normal(size=(9, 3))
    x[2, 1], t = -np.inf, RNG.uniform(0.2, 2.0, size=(9, 3))
    t[2, 1] = 0.0
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    number = t.sum() if reduction == "mean" else 1.0
    wanted = -(t * np.log(np.where(t == 0, 1, p))).sum() / number
    gradient = (t.sum(1, keepdims=True) * p - t) / number
    given = framework.array(x, "float64"), framework.array(t, "float64")
    with xe.options(**cut):
        alone = xe.cross_entropy(*given, reduction=reduction)
        value, grad = framework.value_and_grad(xe.cross_entropy, *given, reduction=reduction)
    np.testing.assert_allclose(framework.numpy(alone), wanted, rtol=1e-13)
    np.testing.assert_allclose(value, wanted, rtol=1e-13)
    np.testing.assert_allclose(grad, gradient, rtol=1e-12, atol=1e-15)


@pytest.mark.backends(*IN_BLOCKS)
@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (xe.cross_entropy, {"from_logits": False}),
        (xe.focal_loss, {"gamma": 2.0}),
        (xe.focal_loss, {"gamma": 1.5, "alpha": 0.25}),
        (xe.poly_loss, {"epsilon": 1.0}),
    ],
)
def test_other_losses_are_cut_too(
    framework: Framework, loss: Any, options: dict[str, Any], cut: dict[str, int]
) -> None:
    x, t = problem((9, 5), 1, hard=True)
    x = np.exp(x) / np.exp(x).sum(1, keepdims=True) if options.get("from_logits") is False else x
    arrays = framework.array(x, "float64"), framework.array(t, "int64")
    whole = framework.value_and_grad(loss, *arrays, ignore_index=1, **options)
    with xe.options(**cut):
        found = framework.value_and_grad(loss, *arrays, ignore_index=1, **options)
    for ours, other in zip(found, whole, strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-13, atol=1e-15)


# Losses with their own options, and what they make of the probability of a label.
BENT: list[tuple[Any, dict[str, Any], Any]] = [
    (xe.focal_loss, {}, lambda p: (1 - p) ** 2 * -np.log(p)),
    (xe.focal_loss, {"gamma": 1.5}, lambda p: (1 - p) ** 1.5 * -np.log(p)),
    (xe.poly_loss, {"epsilon": 0.5}, lambda p: 0.5 * (1 - p) - np.log(p)),
    (xe.poly_loss, {"epsilon": -0.5}, lambda p: -0.5 * (1 - p) - np.log(p)),
    (xe.generalized_cross_entropy, {"q": 0.5}, lambda p: (1 - np.sqrt(p)) * 2),
]
STRAIGHT: tuple[Any, dict[str, Any], Any] = (xe.cross_entropy, {}, lambda p: -np.log(p))


def bent_title(case: Any) -> str:
    return f"{case[0].__name__}{case[1] or ''}"


@pytest.mark.backends(*IN_BLOCKS)
@pytest.mark.parametrize(("shape", "axis"), [*SHAPES, ((5,), 0)])
@pytest.mark.parametrize("case", [STRAIGHT, BENT[0], BENT[3], BENT[4]], ids=bent_title)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reduction": "sum", "ignore_index": 2},
        {"reduction": "none", "temperature": 0.5},
        {"normalizer": 3.0, "temperature": 2.0},
        {"ignore_index": 1, "class_weights": WEIGHTS},
        {"ignore_index": 1, "reduction": "sum", "sample_weights": True},
        {"class_weights": WEIGHTS, "sample_weights": True, "reduction": "none"},
        {"class_weights": WEIGHTS, "sample_weights": True, "normalizer": "valid"},
        {"ignore_index": -100, "normalizer": "valid", "temperature": 2.0},
        {"class_weights": [0.0] * 5},
    ],
    ids=str,
)
def test_few_logits_take_their_own_way(
    framework: Framework,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    case: Any,
    shape: tuple[int, ...],
    axis: int,
) -> None:
    """What has nothing but labels, weighed or ignored, is not cut into blocks at all."""
    loss, own, curve = case
    x, labels = problem(shape, axis, hard=True)
    if "sample_weights" in options:
        weights = RNG.uniform(0.5, 2.0, size=labels.shape)
        weights.flat[-1] = 0.0
        options = options | {"sample_weights": weights}
    if "ignore_index" in options:
        labels.flat[0] = options["ignore_index"]
    arrays = framework.array(x, "float64"), framework.array(labels, "int64")

    def exact(z: np.ndarray) -> Any:
        return oracle.cross_entropy(z, labels, axis=axis, curve=curve, **options)

    def refuse(*_: Any) -> Any:
        raise NotImplementedError

    monkeypatch.setattr(_plans, "_run", refuse)
    given = own | as_options(framework, options)
    value, grad = framework.value_and_grad(loss, *arrays, axis=axis, **given)
    assert not np.signbit(grad[grad == 0]).any()
    np.testing.assert_allclose(value, exact(x), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(grad, oracle.gradient(exact, x), rtol=1e-7, atol=1e-9)
    alone = loss(*arrays, axis=axis, **given)
    np.testing.assert_allclose(framework.numpy(alone), value, rtol=1e-15)
    mask = framework.array([True] * 5, "bool")
    for other in ({"where": mask}, {"label_smoothing": 0.1}):
        with pytest.raises(NotImplementedError):
            loss(*arrays, axis=axis, **(given | other))


# Losses that a link bends.


@pytest.mark.backends(*IN_BLOCKS)
@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize(("shape", "axis"), SHAPES[:2])
@pytest.mark.parametrize("case", BENT, ids=bent_title)
def test_bent_losses_of_labels_are_visited_in_place(
    framework: Framework,
    monkeypatch: pytest.MonkeyPatch,
    case: Any,
    shape: tuple[int, ...],
    axis: int,
    cut: dict[str, int],
) -> None:
    """With whatever weighs labels or logits; only smoothing goes to the general form."""
    if cut is CUTS[1]:  # as long rows are visited
        monkeypatch.setattr(_inplace, "LONG", 1)
    loss, own, curve = case
    x, labels = problem(shape, axis, hard=True)
    weights = RNG.uniform(0.5, 2.0, size=rows_of(shape, axis))
    weights.flat[0] = 0.0
    cases = [options for options in OPTIONS + HARD if "label_smoothing" not in options]
    cases += [{"sample_weights": weights, "ignore_index": 3, "normalizer": "valid"}]
    if loss is xe.focal_loss:
        cases += [{"alpha": 0.25}, {"alpha": WEIGHTS, "class_weights": WEIGHTS[::-1]}]

    def refuse(*_: Any) -> Any:
        raise NotImplementedError

    monkeypatch.setattr(_visits, "_visit_any", refuse)
    for options in cases:

        def exact(z: np.ndarray, options: dict[str, Any] = options) -> Any:
            return oracle.cross_entropy(z, labels, axis=axis, curve=curve, **options)

        arrays = framework.array(x, "float64"), framework.array(labels, "int64")
        given = {**own, **as_options(framework, options)}
        with xe.options(**cut):
            value, grad = framework.value_and_grad(loss, *arrays, axis=axis, **given)
            alone = framework.numpy(loss(*arrays, axis=axis, **given))
        np.testing.assert_allclose(value, exact(x), rtol=1e-11, atol=1e-14, err_msg=str(options))
        np.testing.assert_allclose(alone, exact(x), rtol=1e-11, atol=1e-14, err_msg=str(options))
        wanted = oracle.gradient(exact, x)
        np.testing.assert_allclose(grad, wanted, rtol=1e-7, atol=1e-9, err_msg=str(options))


@pytest.mark.backends(*IN_BLOCKS)
@pytest.mark.parametrize("options", [{"label_smoothing": 0.1}, {"from_logits": False}], ids=str)
def test_other_bent_losses_are_visited_in_the_general_form(
    framework: Framework, options: dict[str, Any]
) -> None:
    """Smoothing bends the surprisal of every class; probabilities have no maximum to be below."""
    loss, _, curve = BENT[0]
    x, labels = problem((9, 5), 1, hard=True)
    source, rest = "logits", options
    if "from_logits" in options:
        x, source, rest = RNG.dirichlet(np.full(5, 9.0), len(x)), "probabilities", {}

    def exact(z: np.ndarray) -> Any:
        return oracle.cross_entropy(z, labels, source=source, curve=curve, **rest)

    with xe.options(block_size=12, threads=2):
        value, grad = framework.value_and_grad(
            loss, framework.array(x, "float64"), framework.array(labels, "int64"), **options
        )
    np.testing.assert_allclose(value, exact(x), rtol=1e-11)
    np.testing.assert_allclose(grad, oracle.gradient(exact, x, 1e-6), rtol=1e-5, atol=1e-7)


# Losses with their own options, and what they make of q = -log p, with its derivative.
SLOPED: list[tuple[Any, dict[str, Any], Any, Any]] = [
    (
        xe.focal_loss,
        {},
        lambda q: mpmath.expm1(-q) ** 2 * q,
        lambda q: mpmath.expm1(-q) ** 2 - 2 * mpmath.expm1(-q) * mpmath.exp(-q) * q,
    ),
    (
        xe.poly_loss,
        {"epsilon": -1.0},
        lambda q: q + mpmath.expm1(-q),
        lambda q: -mpmath.expm1(-q),
    ),
    (
        xe.generalized_cross_entropy,
        {"q": 0.75},
        lambda q: -mpmath.expm1(-0.75 * q) / 0.75,
        lambda q: mpmath.exp(-0.75 * q),
    ),
]


@pytest.mark.usefixtures("long_rows")
@pytest.mark.backends(*IN_BLOCKS)
@pytest.mark.parametrize("cut", CUTS[1:], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", SLOPED, ids=bent_title)
def test_confident_rows_of_bent_losses(
    framework: Framework, case: Any, weighted: bool, cut: dict[str, int]
) -> None:
    """Rows that are sure of their label, sure of another class, of two, and of none."""
    loss, own, curve, slope = case
    x = np.zeros((8, 5), np.float32)
    x[:, 3:] = [-1.5, -0.25]
    x[:, 0] = [20, 12, 3, 0, 9, 30, 1, 0]
    x[4:6, 1], labels = [9, 30], np.array([0, 0, 0, 2, 0, 1, 4, 3])
    weights = np.float32([0.3, 1.7, 2.0, 0.9, 1.1, 0.7, 3.0, 0.1] if weighted else [1.0] * 8)
    more = {"sample_weights": framework.array(weights)} if weighted else {}
    given = framework.array(x), framework.array(labels, "int64")
    with xe.options(**cut):
        value, grad = framework.value_and_grad(loss, *given, reduction="none", **own, **more)
    for i, (row, label) in enumerate(zip(x, labels, strict=True)):
        q, gradient, _ = oracle.exact_row(row, np.eye(5)[label])
        with mpmath.workdps(60):
            weight = mpmath.mpf(float(weights[i]))
            lost, factor = weight * curve(q), weight * slope(q)
            wanted = [factor * g for g in gradient]
        # Up to three factors, each as small and as precise as a cross-entropy.
        bound = 3 * (4 + float(row.max() - row.min()))
        assert oracle.ulps(value[i], lost, "float32") <= bound, i
        for j, exact in enumerate(wanted):
            assert oracle.ulps(grad[i, j], exact, "float32") <= bound + 4, (i, j)


@pytest.mark.backends(*WRITING)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("case", [BENT[1], BENT[3], BENT[4]], ids=bent_title)
def test_bent_losses_over_the_logits(
    framework: Framework, case: Any, cut: dict[str, int], dtype: str
) -> None:
    loss, own, curve = case
    x, labels = problem((9, 5), 1, hard=True)
    given, t = framework.array(x, dtype), framework.array(labels, "int64")
    rounded = framework.numpy(given).astype(np.float64)
    options: dict[str, Any] = {"softcap": 4.0, "ignore_index": 3}

    def exact(z: np.ndarray) -> Any:
        return oracle.cross_entropy(z, labels, curve=curve, **options)

    with xe.options(**cut):
        value, grad = xe.value_and_grad(loss)(given, t, out=given, **own, **options)
    assert grad is given
    eps = {"float16": 1e-3, "bfloat16": 8e-3, "float32": 1e-6, "float64": 1e-9}[dtype]
    np.testing.assert_allclose(framework.numpy(value), exact(rounded), rtol=max(eps / 10, 2e-6))
    wanted = oracle.gradient(exact, rounded)
    np.testing.assert_allclose(framework.numpy(grad), wanted, rtol=4 * eps, atol=eps / 10)


STRANGE = np.array(
    [
        [2.0, -1.0, 0.5],
        [math.nan, 1.0, 0.0],
        [-math.inf, -math.inf, -math.inf],
        [1.0, 3.0, 2.0],
        [math.inf, 0.0, 1.0],
        [math.inf, 0.0, 1.0],
        [math.inf, math.inf, 0.0],
        [-math.inf, 1.0, 0.0],
        [-math.inf, 1.0, 0.0],
        [math.nan, math.inf, 1.0],
        [0.0, 0.0, -9.0],
        [-math.inf, 1.0, 0.0],
    ]
)
STRANGE_LABELS = np.array([0, 1, 1, 2, 0, 1, 0, 0, 1, 2, 1, 0])
KEPT = np.where(np.isin(np.arange(len(STRANGE)), [9, 11]), 9, STRANGE_LABELS)


def strange_answer(row: np.ndarray, label: int) -> tuple[float, np.ndarray]:
    """The policy: NaN and rows without a softmax are NaN, one +inf takes all."""
    if label == 9:
        return 0.0, np.zeros(3)
    tops = int(np.isposinf(row).sum())
    if np.isnan(row).any() or tops > 1 or np.isneginf(row).all():
        return math.nan, np.full(3, math.nan)
    p = np.isposinf(row) * 1.0 if tops else np.exp(row - row.max()) / np.exp(row - row.max()).sum()
    with np.errstate(divide="ignore"):
        return -float(np.log(p[label])), p - np.eye(3)[label]


@pytest.mark.usefixtures("long_rows")
@pytest.mark.backends(*IN_BLOCKS)
@pytest.mark.parametrize("cut", [*CUTS, {"block_size": 6, "threads": 2}], ids=str)
def test_strange_rows_disturb_no_other(framework: Framework, cut: dict[str, int]) -> None:
    with xe.options(**cut):
        value, grad = framework.value_and_grad(
            xe.cross_entropy,
            framework.array(STRANGE, "float64"),
            framework.array(KEPT, "int64"),
            ignore_index=9,
            reduction="none",
        )
    for i, (row, label) in enumerate(zip(STRANGE, KEPT, strict=True)):
        loss, gradient = strange_answer(row, label)
        np.testing.assert_allclose(value[i], loss, rtol=1e-14, err_msg=str(row))
        np.testing.assert_allclose(grad[i], gradient, rtol=1e-13, atol=1e-16, err_msg=str(row))


@pytest.mark.usefixtures("long_rows")
@pytest.mark.backends(*IN_BLOCKS)
@pytest.mark.parametrize("cut", [*CUTS, {"block_size": 6, "threads": 2}], ids=str)
@pytest.mark.parametrize("case", SLOPED, ids=bent_title)
def test_strange_rows_of_bent_losses_disturb_no_other(
    framework: Framework, case: Any, cut: dict[str, int]
) -> None:
    loss, own, curve, slope = case
    given = framework.array(STRANGE, "float64"), framework.array(KEPT, "int64")
    with xe.options(**cut):
        value, grad = framework.value_and_grad(
            loss, *given, ignore_index=9, reduction="none", **own
        )
    for i, (row, label) in enumerate(zip(STRANGE, KEPT, strict=True)):
        q, gradient = strange_answer(row, label)
        lost, factor = float(curve(mpmath.mpf(q))), float(slope(mpmath.mpf(min(q, 1e9))))
        np.testing.assert_allclose(value[i], lost, rtol=1e-13, err_msg=str(row))
        wanted = factor * gradient
        np.testing.assert_allclose(grad[i], wanted, rtol=1e-12, atol=1e-16, err_msg=str(row))


@pytest.mark.usefixtures("long_rows")
@pytest.mark.backends(*WRITING)
def test_strange_rows_over_their_logits(framework: Framework) -> None:
    """A block that the general form takes is still there when the gradient is written over it."""
    x, t = framework.array(STRANGE, "float64"), framework.array(KEPT, "int64")
    options = {"ignore_index": 9, "reduction": "none"}
    wanted = [strange_answer(row, label)[1] for row, label in zip(STRANGE, KEPT, strict=True)]
    with xe.options(block_size=6, threads=2):
        _, grad = xe.value_and_grad(xe.cross_entropy)(x, t, out=x, **options)
    np.testing.assert_allclose(framework.numpy(grad), wanted, rtol=1e-13, atol=1e-16)


@pytest.mark.usefixtures("long_rows")
@pytest.mark.backends(*IN_BLOCKS)
@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_a_mask_of_every_entry(framework: Framework, cut: dict[str, int]) -> None:
    """Each block has its part of it; a label whose class takes no part has no gradient there."""
    x, labels = problem((9, 5), 1, hard=True)
    mask = RNG.uniform(size=x.shape) < 0.7
    mask[np.arange(9), labels] = np.arange(9) != 4
    mask[4, (labels[4] + 1) % 5] = True
    with xe.options(**cut):
        value, grad = framework.value_and_grad(
            xe.cross_entropy,
            framework.array(x, "float64"),
            framework.array(labels, "int64"),
            where=framework.array(mask, "bool"),
            reduction="none",
        )
    p = np.where(mask, np.exp(x), 0.0)
    p /= p.sum(1, keepdims=True)
    with np.errstate(divide="ignore"):
        wanted = -np.log(p[np.arange(9), labels])
        np.testing.assert_allclose(value, wanted, rtol=1e-12, atol=1e-15)
    wanted = p - np.where(mask, np.eye(5)[labels], 0.0)
    np.testing.assert_allclose(grad, wanted, rtol=1e-12, atol=1e-15)


@pytest.mark.usefixtures("long_rows")
@pytest.mark.backends(*IN_BLOCKS)
@pytest.mark.parametrize("confident", [1, 3, 8])
@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
@pytest.mark.parametrize("axis", [0, 1])
def test_confident_rows_among_others(
    framework: Framework, confident: int, right: bool, axis: int
) -> None:
    """Few or many of them in a block, right or wrong, none loses its digits."""
    rng = np.random.default_rng(confident)  # the same whatever ran before
    x = rng.normal(size=(8, 40)).astype(np.float32)
    labels = rng.integers(0, 40, size=8)
    tops = (labels if right else (labels + 1) % 40)[:confident]
    x[np.arange(confident), tops] += np.linspace(9, 35, confident, dtype=np.float32)
    value, grad = framework.value_and_grad(
        xe.cross_entropy,
        framework.array(x if axis == 1 else np.ascontiguousarray(x.T)),
        framework.array(labels, "int64"),
        axis=axis,
        reduction="none",
    )
    grad = grad if axis == 1 else grad.T
    for i, (row, label) in enumerate(zip(x, labels, strict=True)):
        loss, gradient, _ = oracle.exact_row(row, np.eye(40)[label])
        depth = float(row.max() - row.min())
        assert oracle.ulps(value[i], loss, "float32") <= 4 + depth
        for j, exact in enumerate(gradient):
            assert oracle.ulps(grad[i, j], exact, "float32") <= 4 + depth


@pytest.mark.backends(*IN_BLOCKS)
def test_confident_soft_targets(framework: Framework) -> None:
    """A one-hot has the gradient of its label, -r / (1 + r), where p is 1 to the last place."""
    x = np.zeros((4, 6), np.float32)
    x[np.arange(4), np.arange(4)] = [20.0, 30.0, 40.0, 1.0]
    _, grad = framework.value_and_grad(
        xe.cross_entropy,
        framework.array(x),
        framework.array(np.eye(6)[:4]),
        reduction="sum",
    )
    for i, row in enumerate(x):
        _, gradient, _ = oracle.exact_row(row, np.eye(6)[i])
        assert oracle.ulps(grad[i, i], gradient[i], "float32") <= 4


# Row by row: in range; sums, exponentials and factors that overflow; labels and rows far below 0.
FAR = np.float32(
    [[3, 1, -2, 0], [90, 88, 1, 0], [70, 69, -30, 0], [-100, 1, 2, 3], [-95, -96, -97, -99]]
)


@pytest.mark.backends(*IN_BLOCKS)
@pytest.mark.parametrize("normalizer", [1.0, 1e-8, 1e12], ids=str)
@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_rows_out_of_range_lose_nothing(
    framework: Framework, monkeypatch: pytest.MonkeyPatch, cut: dict[str, int], normalizer: float
) -> None:
    """Where no logit is subtracted some exponentials are too large, and some too small."""
    monkeypatch.setattr(_direct_visits, "FEW", 0)
    monkeypatch.setattr(_direct_visits, "_likely", lambda *_: True)
    with xe.options(**cut):
        value, grad = framework.value_and_grad(
            xe.cross_entropy,
            framework.array(FAR),
            framework.array([0] * 5, "int64"),
            normalizer=normalizer,
        )
    rows = [oracle.exact_row(row, np.eye(4)[0]) for row in FAR]
    assert oracle.ulps(value, sum(row[0] for row in rows) / normalizer, "float32") <= 8
    for i, row in enumerate(FAR):
        for j, exact in enumerate(rows[i][1]):
            wanted = exact / normalizer
            if min(abs(exact), abs(wanted)) > np.finfo(np.float32).smallest_normal:
                depth = abs(float(row.max() - row[j]))
                assert oracle.ulps(grad[i, j], wanted, "float32") <= 4 + depth


@pytest.mark.backends("numpy")
def test_rows_out_of_range_have_the_same_bits_whatever_the_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_direct_visits, "ROWS", 1)
    x = RNG.normal(size=(300, 70)).astype(np.float32)
    x[1::35] += 95  # none of the rows that are looked at before, which are each fifth
    t, results = RNG.integers(0, 70, 300), []
    for size in (1000, 7000, 1 << 20):
        with xe.options(block_size=size, threads=2):
            results.append(xe.value_and_grad(xe.cross_entropy)(x, t, reduction="none"))
    for value, grad in results[1:]:
        np.testing.assert_array_equal(value, results[0][0])
        np.testing.assert_array_equal(grad, results[0][1])


# Where the gradient is written.


@pytest.mark.backends(*WRITING)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("options", [{}, {"softcap": 3.0}, {"label_smoothing": 0.1}], ids=str)
@pytest.mark.parametrize("hard", [True, False])
def test_over_the_logits(
    framework: Framework, hard: bool, options: dict[str, Any], dtype: str
) -> None:
    x, t = problem((9, 5), 1, hard=hard)
    given = framework.array(x, dtype)
    targets = framework.array(t, "int64" if hard else "float32")
    rounded = framework.numpy(given).astype(np.float64)

    def exact(z: np.ndarray) -> Any:
        return oracle.cross_entropy(z, np.asarray(framework.numpy(targets)), axis=1, **options)

    with xe.options(block_size=10, threads=2):
        value, grad = xe.value_and_grad(xe.cross_entropy)(given, targets, out=given, **options)
    assert grad is given
    eps = {"float16": 1e-3, "bfloat16": 8e-3, "float32": 1e-6, "float64": 1e-9}[dtype]
    np.testing.assert_allclose(framework.numpy(value), exact(rounded), rtol=max(eps / 10, 1e-6))
    wanted = oracle.gradient(exact, rounded)
    np.testing.assert_allclose(framework.numpy(grad), wanted, rtol=2 * eps, atol=eps / 10)


@pytest.mark.backends(*WRITING)
@pytest.mark.parametrize("loss", [xe.cross_entropy, xe.focal_loss, xe.entropy])
def test_over_memory_that_overlaps(framework: Framework, loss: Any) -> None:
    """What is still to be read is not written over: here each row lies where the one before was."""
    memory = framework.array(RNG.normal(size=(10, 5)), "float64")
    x, out = memory[:-1], memory[1:]
    args = () if loss is xe.entropy else (framework.array(np.arange(9) % 5, "int64"),)
    _, wanted = xe.value_and_grad(loss)(x, *args)
    with xe.options(block_size=5, threads=1):
        _, grad = xe.value_and_grad(loss)(x, *args, out=out)
    assert grad is out
    np.testing.assert_allclose(framework.numpy(grad), framework.numpy(wanted), rtol=1e-13)


@pytest.mark.backends(*WRITING)
@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("scale", [1.0, 9.0], ids=["", "confident"])
def test_over_targets(framework: Framework, cut: dict[str, int], scale: float) -> None:
    x, t = problem((9, 5), 1, hard=False)
    x = x * scale
    given, targets = framework.array(x, "float64"), framework.array(t, "float64")
    wanted = oracle.gradient(lambda z: oracle.cross_entropy(z, t, axis=1), x)
    with xe.options(**cut):
        xe.value_and_grad(xe.cross_entropy)(given, targets, out=targets)
    np.testing.assert_allclose(framework.numpy(targets), wanted, rtol=1e-6, atol=1e-9)


def test_out_of_a_wrong_kind(framework: Framework) -> None:
    x, t = framework.array(np.zeros((2, 3))), framework.array([0, 1], "int64")
    function = xe.value_and_grad(xe.cross_entropy)
    if framework.name not in WRITING:
        with pytest.raises(TypeError, match=r"out was given, but arrays of .* cannot be written"):
            function(x, t, out=x)
        return
    with pytest.raises(ValueError, match=r"out has shape \(3, 2\).*logits of shape \(2, 3\)"):
        function(x, t, out=framework.array(np.zeros((3, 2))))
    with pytest.raises(TypeError, match="out must have the dtype and device of logits"):
        function(x, t, out=framework.array(np.zeros((2, 3)), "float64"))
    both = xe.value_and_grad(xe.cross_entropy, wrt=("logits", "class_weights"))
    with pytest.raises(ValueError, match="out must be left out unless there is one gradient"):
        both(x, t, class_weights=framework.array(np.ones(3)), out=x)
    with pytest.raises(TypeError, match="which no backend knows"):
        function(x, t, out=[[0.0]])


@pytest.mark.backends("numpy")
def test_out_that_is_read_only() -> None:
    x = np.zeros((2, 3))
    x.flags.writeable = False
    with pytest.raises(TypeError, match="out must be an array that can be written to"):
        xe.value_and_grad(xe.cross_entropy)(x, np.array([0, 1]), out=x)


# Memory, by what NumPy reports of it.


def peak_of(function: Any) -> int:
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.backends("numpy")
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_memory_beyond_logits_and_gradient(framework: Framework, dtype: str, soft: bool) -> None:
    """A few numbers per row and two buffers of a block; narrow logits are never widened whole."""
    rows, classes, block = 1000, 2000, 1 << 14
    x = framework.array(RNG.normal(size=(rows, classes)), dtype)
    t = np.full(x.shape, 1 / classes, np.float32) if soft else RNG.integers(0, classes, rows)
    xe.value_and_grad(xe.cross_entropy)(x[:9], t[:9])  # what is imported once
    allowed = 8 * 4 * (2 * block) + 20 * 4 * rows + 50_000
    assert allowed < x.nbytes / 2
    with xe.options(block_size=block, threads=1):
        assert peak_of(lambda: xe.cross_entropy(x, t)) < allowed
        into = xe.value_and_grad(xe.cross_entropy)
        assert peak_of(lambda: into(x, t, out=x)) < allowed


@pytest.mark.backends("numpy")
@pytest.mark.parametrize(
    ("dtype", "soft", "most"),
    [
        ("float32", False, 1.5),
        ("float32", True, 1.8),
        ("bfloat16", False, 2.8),
        ("bfloat16", True, 3.6),
    ],
)
def test_few_logits_are_visited_in_little_room(
    framework: Framework, dtype: str, soft: bool, most: float
) -> None:
    """Buffers and numbers of rows take so many times the memory of the logits, a gradient more."""
    x = framework.array(RNG.normal(size=(1 << 16, 10)), dtype)
    t = RNG.dirichlet(np.ones(10), len(x)) if soft else RNG.integers(0, 10, len(x))
    t = framework.array(t, dtype) if soft else t
    xe.value_and_grad(xe.cross_entropy)(x[:9], t[:9])  # what is imported once
    with xe.options(threads=2):
        assert peak_of(lambda: xe.cross_entropy(x, t)) < most * x.nbytes
        both = xe.value_and_grad(xe.cross_entropy)
        assert peak_of(lambda: both(x, t)) < (1 + most) * x.nbytes


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_only_blocks_of_few_logits_are_smaller(parts: int) -> None:
    """Those of large arrays are not, and what is in one block stays there."""
    size, least = _plans.BLOCK_SIZE, _plans.LEAST
    with xe.options(threads=2):
        chosen = _plans.plan(np, _mutable)
    for count, wanted in (
        (size // 4, size),
        (size // 2, max(least, size // 4 // parts)),
        (size, max(least, size // 2 // parts)),
        (8 * size, size),
    ):
        assert _known.sized(chosen, (count, 1), parts).block_size == wanted
    with xe.options(block_size=77):
        asked = _plans.plan(np, _mutable)
    assert _known.sized(asked, (1 << 20, 1), parts).block_size == 77


# Threads.


def test_blocks_are_shared_and_all_are_done() -> None:
    done: deque[int] = deque()

    def work(left: deque[int]) -> None:
        done.extend(_threads.taken(left))

    _threads.share(work, range(100), 4)
    assert sorted(done) == list(range(100))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("there", [True, False], ids=["caller", "helper"])
def test_an_error_stops_all_and_is_raised(error: type[BaseException], there: bool) -> None:
    """The others finish the block that they are at."""
    caller, both = threading.get_ident(), threading.Barrier(2, timeout=60)
    done: list[int] = []

    def work(left: deque[int]) -> None:
        for block in _threads.taken(left):
            if block < 2:
                both.wait()
                if (threading.get_ident() == caller) == there:
                    raise error("stop")
                while left:  # the other one has emptied what is shared
                    pass
            done.append(block)

    with pytest.raises(error, match="stop"):
        _threads.share(work, range(1000), 2)
    assert len(done) <= 1


def run(code: str) -> str:
    """What a Python process of its own prints."""
    paths = [str(Path(xe.__file__).parents[1]), str(Path(xe.__file__).parents[1] / "backends")]
    code = f"import sys; sys.path[:0] = {paths!r}\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout.strip()


@pytest.mark.backends("numpy")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_threads_survive_a_fork() -> None:
    code = """
import os, threading, warnings
import numpy as np, xentropy as xe
from xentropy._threads import share, taken
warnings.simplefilter("ignore")
x, t = np.random.default_rng(0).normal(size=(64, 50)), np.arange(64) % 50
def loss():
    with xe.options(block_size=100, threads=3):
        return xe.cross_entropy(x, t)
def together():
    # Two threads that wait for each other: one alone would not get on.
    both = threading.Barrier(2, timeout=30)
    share(lambda left: [both.wait() for _ in taken(left)], range(2), 2)
    return True
before = together() and loss()
child = os.fork()
if not child:
    os._exit(0 if together() and loss() == before else 1)
print(os.waitpid(child, 0)[1], loss() == before)
"""
    assert run(code) == "0 True"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_as_many_threads_as_the_process_may_use() -> None:
    code = """
import os
from xentropy._threads import cpus
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(cpus())
"""
    assert run(code) == "1"


@pytest.mark.parametrize(
    ("text", "count"),
    [("max 100000", 1 << 16), ("150000 100000", 2), ("50000 100000", 1), ("?", 1 << 16)],
)
def test_the_quota_of_a_container(tmp_path: Path, text: str, count: int) -> None:
    path = tmp_path / "cpu.max"
    path.write_text(text)
    assert _threads._quota(str(path)) == count
    assert _threads._quota(str(tmp_path / "none")) == 1 << 16


@pytest.mark.backends("numpy")
def test_callers_on_many_threads_get_their_own_answers() -> None:
    problems = [(RNG.normal(size=(40, 30)), RNG.integers(0, 30, 40)) for _ in range(8)]
    wanted = [oracle.cross_entropy(x, t, axis=1) for x, t in problems]
    found: dict[int, list[float]] = {}

    def work(i: int) -> None:
        with xe.options(block_size=60 + i, threads=3):
            found[i] = [float(xe.cross_entropy(*problems[i])) for _ in range(20)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, value in enumerate(wanted):
        np.testing.assert_allclose(found[i], value, rtol=1e-13)


@pytest.mark.backends("numpy")
def test_the_same_bits_whatever_the_threads() -> None:
    x, t = RNG.normal(size=(300, 70)).astype(np.float32), RNG.integers(0, 70, 300)
    results = []
    for threads in (1, 2, 3, 2, 1):
        with xe.options(block_size=1000, threads=threads):
            results.append(xe.value_and_grad(xe.cross_entropy)(x, t))
    for value, grad in results[1:]:
        np.testing.assert_array_equal(value, results[0][0])
        np.testing.assert_array_equal(grad, results[0][1])


# Options.


def test_an_inner_block_keeps_what_it_does_not_set() -> None:
    with xe.options(block_size=7, threads=2) as outer:
        assert outer == (7, 2, None)
        with xe.options(threads=1, compile=False) as inner:
            assert inner == (7, 1, False)
        assert current() == outer
    assert current() == (None, None, None)


def test_options_end_with_an_error() -> None:
    with pytest.raises(RuntimeError, match="inside"), xe.options(threads=1):
        raise RuntimeError("inside")
    assert current() == (None, None, None)


def test_other_threads_have_options_of_their_own() -> None:
    seen: list[Any] = []
    with xe.options(block_size=3):
        thread = threading.Thread(target=lambda: seen.append(current()))
        thread.start()
        thread.join()
    assert seen == [(None, None, None)]


@pytest.mark.parametrize("name", ["block_size", "threads"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True])
def test_a_count_must_be_a_positive_integer(name: str, value: Any) -> None:
    rule = rf"{name} must be a positive integer or None, got {value!r}"
    with pytest.raises(ValueError, match=rule), xe.options(**{name: value}):
        pass


@pytest.mark.parametrize("value", [0, 1, "yes"])
def test_compile_must_be_a_flag(value: Any) -> None:
    rule = f"compile must be True, False or None, got {value!r}"
    with pytest.raises(ValueError, match=rule), xe.options(compile=value):
        pass


# Blocks.


@given(
    shape=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    data=st.data(),
    size=st.integers(1, 60),
    threads=st.integers(1, 4),
)
def test_blocks_cover_an_array_once(
    shape: list[int], data: st.DataObject, size: int, threads: int
) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    seen = np.zeros(shape, int)
    for block in _blocks.blocks(tuple(shape), axis, size, threads):
        assert block[axis] == slice(None)
        assert seen[block].size <= max(2 * size, shape[axis])
        seen[block] += 1
    assert (seen == 1).all()


@given(n=st.integers(2, 40), size=st.integers(12, 480))
def test_no_block_is_twice_another(n: int, size: int) -> None:
    lengths = [len(range(n)[block[0]]) for block in _blocks.blocks((n, 12), 1, size)]
    assert max(lengths) == 1 or max(lengths) < 2 * min(lengths)


@pytest.mark.backends(*IN_BLOCKS)
@pytest.mark.parametrize("shape", [(3, 20_011), (700, 7), (60, 300)])
def test_long_and_short_rows(framework: Framework, shape: tuple[int, int]) -> None:
    """Sums are taken in other ways where rows are long, or short and many."""
    x = (RNG.normal(size=shape) * 2).astype(np.float32)
    labels = RNG.integers(0, shape[1], shape[0])
    value, grad = framework.value_and_grad(
        xe.cross_entropy, framework.array(x), framework.array(labels, "int64"), reduction="sum"
    )
    z = x.astype(np.float64)
    lse = np.log(np.exp(z).sum(1, keepdims=True))
    np.testing.assert_allclose(value, (lse[:, 0] - z[np.arange(len(z)), labels]).sum(), rtol=1e-6)
    one_hot = np.arange(shape[1]) == labels[:, None]
    np.testing.assert_allclose(grad, np.exp(z - lse) - one_hot, rtol=3e-6)
