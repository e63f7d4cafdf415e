"""Classes that are out, masked or at -inf, have no say; and rows of them are visited in place."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from harness import Framework
from test_by_rows import CUTS, everywhere
from test_rows_in_place import general

import xentropy as xe
from xentropy import _visits
from xentropy._divergence import Divergence
from xentropy._maps import Entropy, LogSumExp, Softmax
from xentropy._rows import RowLoss
from xentropy._score import RowScore

pytestmark = pytest.mark.backends("numpy", "torch", "tensorflow")

__all__ = ["everywhere"]  # a fixture

RNG = np.random.default_rng(21)
INF, NAN = math.inf, math.nan
X = RNG.normal(size=(9, 5)) * 3
X[::3, 2] += 12
TEACHER = X + RNG.normal(size=X.shape)
LABELS = np.array([0, 2, 4, 0, 2, 4, 2, 0, 4])
KEPT = (RNG.uniform(size=X.shape) < 0.6) | (np.arange(5) == LABELS[:, None])
KEPT[::4, 1] = True
CLASSES = np.array([True, False, True, False, True])
SHARES = RNG.uniform(0.1, 1.0, size=X.shape)
BARS = RNG.normal(size=9)
NEAR = {"float64": 1e-13, "float32": 2e-5, "bfloat16": 2e-2}

Row = tuple[Any, np.ndarray]


def softmax(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The softmax of a row and its logarithm."""
    below = (x - x.max()).astype(np.longdouble)
    log_p = below - np.log(np.exp(below).sum())
    return np.exp(log_p), log_p


# The definitions of a row of classes that take part: a value, and its gradient by x / T.


def of_probabilities(x: np.ndarray, t: np.ndarray, _label: int) -> Row:
    p, log_p = softmax(x)
    return -(t * log_p).sum(), t.sum() * p - t


def of_smoothed(x: np.ndarray, t: np.ndarray, label: int) -> Row:
    return of_probabilities(x, 0.8 * t + 0.2 * t.sum() / len(t), label)


def of_smoothed_label(x: np.ndarray, _t: np.ndarray, label: int) -> Row:
    return of_smoothed(x, np.arange(len(x)) == label, label)


def of_label(x: np.ndarray, _t: np.ndarray, label: int) -> Row:
    return of_probabilities(x, (np.arange(len(x)) == label) * 1.0, label)


def divergence(x: np.ndarray, t: np.ndarray, label: int) -> Row:
    value, slope = of_probabilities(x, t, label)
    return value + (t * np.log(t)).sum(), slope


def entropy(x: np.ndarray, _t: np.ndarray, _label: int) -> Row:
    p, log_p = softmax(x)
    value = -(p * log_p).sum()
    return value, -p * (log_p + value)


def logsumexp(x: np.ndarray, _t: np.ndarray, _label: int) -> Row:
    return x.max() - softmax(x)[1].max(), softmax(x)[0]


def log_prob(x: np.ndarray, t: np.ndarray, label: int) -> Row:
    value, slope = of_label(x, t, label)
    return -value, -slope


def all_scores(x: np.ndarray, t: np.ndarray, label: int) -> Row:
    """Of loss, log-probability, logsumexp and entropy, 1, 2, 3 and 4 times."""
    found = [each(x, t, label) for each in (of_label, log_prob, logsumexp, entropy)]
    return tuple(sum(n * row[i] for n, row in enumerate(found, 1)) for i in (0, 1))


def score_of(x: Any, labels: Any, **options: Any) -> Any:
    found = xe.score(x, labels, **options)
    return 1 * found.loss + 2 * found.log_prob + 3 * found.lse + 4 * found.entropy


class Kind(NamedTuple):
    """A call, its definition, its rule, and the targets that it takes."""

    call: Callable[..., Any]
    definition: Callable[..., Row]
    rule: type
    targets: str | None = None


rows = partial(partial, reduction="none")
KINDS = {
    "probabilities": Kind(rows(xe.cross_entropy), of_probabilities, RowLoss, "shares"),
    "label": Kind(rows(xe.cross_entropy), of_label, RowLoss, "labels"),
    "divergence": Kind(rows(xe.kl_divergence), divergence, Divergence, "shares"),
    "log divergence": Kind(
        rows(xe.kl_divergence, targets_are="log_probabilities"), divergence, Divergence, "logs"
    ),
    "entropy": Kind(xe.entropy, entropy, Entropy),
    "logsumexp": Kind(partial(xe.logsumexp, axis=-1), logsumexp, LogSumExp),
    "score": Kind(score_of, all_scores, RowScore, "labels"),
}
MASKED = {
    "smoothed": Kind(rows(xe.cross_entropy, label_smoothing=0.2), of_smoothed, RowLoss, "shares"),
    "smoothed label": Kind(
        rows(xe.cross_entropy, label_smoothing=0.2), of_smoothed_label, RowLoss, "labels"
    ),
}
OUT = ("at -inf", "classes", "entries")


def targets_of(kind: Kind, kept: np.ndarray) -> np.ndarray | None:
    shares = np.where(kept, SHARES, 0.0)
    with np.errstate(divide="ignore"):
        known = {None: None, "labels": LABELS, "shares": shares, "logs": np.log(shares)}
    return known[kind.targets]


def wanted_of(kind: Kind, x: np.ndarray, kept: np.ndarray, temperature: float) -> Row:
    """The definition of every row, of the classes that take part."""
    values, slopes = np.zeros(9), np.zeros(X.shape)
    for i, here in enumerate(kept):
        label = int(here[: LABELS[i]].sum())
        values[i], slope = kind.definition(x[i, here] / temperature, SHARES[i, here], label)
        slopes[i, here] = slope / temperature
    return values, slopes


def given(
    framework: Framework, kind: Kind, out: str, dtype: str
) -> tuple[list[Any], dict[str, Any], np.ndarray]:
    """The arrays of a call, its mask, and which entries take part."""
    kept = np.broadcast_to(CLASSES, X.shape) if out == "classes" else KEPT
    x = np.where(kept, X, -INF) if out == "at -inf" else X
    arrays = [framework.array(x, dtype)]
    targets = targets_of(kind, kept)
    if targets is not None:
        arrays.append(framework.array(targets, "int64" if kind.targets == "labels" else dtype))
    masks = {"at -inf": None, "classes": CLASSES, "entries": KEPT}
    mask = masks[out]
    return arrays, {} if mask is None else {"where": framework.array(mask, "bool")}, kept


def check(framework: Framework, kind: Kind, out: str, dtype: str, cut: Any, **own: Any) -> None:
    arrays, options, kept = given(framework, kind, out, dtype)
    x = framework.numpy(arrays[0]).astype(np.longdouble)
    values, slopes = wanted_of(kind, x, kept, own.get("temperature", 1.0))
    with xe.options(**cut):
        alone = framework.numpy(kind.call(*arrays, **options, **own))
        found = alone, slopes
        if framework.autograd or kind.call is not score_of:
            found = framework.value_and_grad(kind.call, *arrays, **options, **own)
    near = {"rtol": NEAR[dtype], "atol": NEAR[dtype] * 10}
    for made, exact in zip((alone, *found), (values, values, slopes), strict=True):
        np.testing.assert_allclose(made.astype(np.longdouble), exact, **near)


@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("out", OUT)
@pytest.mark.parametrize("name", KINDS)
def test_they_have_no_say(framework: Framework, name: str, out: str, dtype: str, cut: Any) -> None:
    check(framework, KINDS[name], out, dtype, cut)


@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("out", OUT[1:])
@pytest.mark.parametrize("name", MASKED)
def test_masked_ones_are_not_smoothed_over(
    framework: Framework, name: str, out: str, cut: Any
) -> None:
    check(framework, MASKED[name], out, "float64", cut)


@pytest.mark.parametrize("out", OUT)
@pytest.mark.parametrize("name", [name for name in KINDS if name != "logsumexp"])
def test_with_a_temperature(framework: Framework, name: str, out: str) -> None:
    check(framework, KINDS[name], out, "float64", CUTS[1], temperature=0.6)


@pytest.mark.parametrize("out", OUT)
@pytest.mark.parametrize("name", ["label", "entropy", "logsumexp", "score"])
def test_in_bfloat16(framework: Framework, name: str, out: str) -> None:
    """Of shares as given here divergences have another definition."""
    check(framework, KINDS[name], out, "bfloat16", CUTS[1])


@pytest.mark.parametrize("out", OUT)
@pytest.mark.parametrize("name", KINDS | MASKED)
def test_rows_of_them_are_visited_in_place(
    framework: Framework, monkeypatch: pytest.MonkeyPatch, name: str, out: str
) -> None:
    """But for smoothed labels with a mask of every entry, and where what is smoothed is at -inf."""
    kind = (KINDS | MASKED)[name]
    if name in MASKED and (out == "at -inf" or (name, out) == ("smoothed label", "entries")):
        pytest.skip("in the general form")
    arrays, options, _ = given(framework, kind, out, "float64")
    monkeypatch.setattr(_visits, "_visit_any", None)
    sizes = general(monkeypatch, kind.rule, "forward") + general(monkeypatch, kind.rule, "pullback")
    with xe.options(block_size=12):
        if framework.autograd or kind.call is not score_of:
            framework.value_and_grad(kind.call, *arrays, **options)
        else:
            kind.call(*arrays, **options)
    assert sizes == []


# Divergences of two rows of logits.


@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("far", [1.0, 1e-3], ids=["far", "near"])
def test_a_teacher_that_has_no_such_class_either(
    framework: Framework, monkeypatch: pytest.MonkeyPatch, far: float, cut: Any
) -> None:
    """And one that alone has not got it: then there is more of it in the student's softmax."""
    sizes = general(monkeypatch, Divergence, "forward")
    teacher = X + far * (TEACHER - X)
    theirs = KEPT.copy()
    theirs[2:4, LABELS[2]] = far < 1
    x, y = np.where(KEPT, X, -INF), np.where(theirs, teacher, -INF)
    arrays = framework.array(x, "float64"), framework.array(y, "float64")
    with xe.options(**cut):
        call = partial(xe.kl_divergence, targets_are="logits", reduction="none", temperature=0.8)
        value, grad = framework.value_and_grad(call, *arrays)
    wanted, slopes = np.zeros(9), np.zeros(X.shape)
    for i, here in enumerate(KEPT):
        both = here & theirs[i]
        p, t = np.zeros(5), np.zeros(5)
        p[here], t[both] = softmax(x[i, here] / 0.8)[0], softmax(y[i, both] / 0.8)[0]
        # Of terms t l + (p - t), as t l nearly cancels where the two are near.
        excess = p - t
        logs = np.log1p(-excess[both] / p[both])
        wanted[i] = (t[both] * logs + excess[both]).sum() + excess[here & ~both].sum()
        slopes[i] = excess / 0.8
    np.testing.assert_allclose(value, wanted, rtol=1e-8, atol=1e-15)
    np.testing.assert_allclose(grad, slopes, rtol=1e-9, atol=1e-15)
    assert sizes == []


@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_a_class_that_the_teacher_has_and_the_student_has_not(
    framework: Framework, cut: Any
) -> None:
    x, y = X.copy(), TEACHER.copy()
    x[4, 1], x[5], y[6] = -INF, -INF, -INF
    arrays = framework.array(x, "float64"), framework.array(y, "float64")
    with xe.options(**cut):
        call = partial(xe.kl_divergence, targets_are="logits", reduction="none")
        found = framework.numpy(call(*arrays))
    assert found[4] == INF
    assert np.isnan(found[5:7]).all()
    assert np.isfinite(np.delete(found, [4, 5, 6])).all()


# What is in the out of rows beside those of them.

STRANGE: dict[str, tuple[str, Any, float, Any]] = {
    "a target that is out": ("t", 1, 0.25, INF),
    "no target, but NaN": ("t", 1, NAN, NAN),
    "an infinite target at the top": ("t", 2, INF, {"probabilities": NAN, "divergence": INF}),
    "a logit that is NaN": ("x", 0, NAN, NAN),
    "all of them out": ("x", slice(None), -INF, NAN),
}


@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("name", ["probabilities", "divergence"])
@pytest.mark.parametrize("strange", STRANGE)
def test_strange_rows_disturb_no_other(
    framework: Framework, strange: str, name: str, cut: Any
) -> None:
    kept = KEPT.copy()
    kept[3, 1], kept[3, 2] = False, True
    x, t = np.where(kept, X, -INF), np.where(kept, SHARES, 0.0)
    where, place, number, loss = STRANGE[strange]
    loss = loss[name] if isinstance(loss, dict) else loss
    {"x": x, "t": t}[where][3, place] = number
    arrays = framework.array(x, "float64"), framework.array(t, "float64")
    with xe.options(**cut):
        value, grad = framework.value_and_grad(KINDS[name].call, *arrays)
    wanted, slopes = wanted_of(KINDS[name], X, kept, 1.0)
    wanted[3] = loss
    np.testing.assert_allclose(value, wanted, rtol=1e-13)
    others = np.arange(9) != 3
    np.testing.assert_allclose(grad[others], slopes[others], rtol=1e-12, atol=1e-13)
    if math.isnan(loss):
        assert np.isnan(grad[3]).any()


@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize(("name", "loss"), [("entropy", NAN), ("logsumexp", -INF)])
def test_rows_that_are_out(framework: Framework, name: str, loss: float, cut: Any) -> None:
    """They have no softmax, so no entropy and no gradient of one; others beside them have."""
    x = np.where(KEPT, X, -INF)
    x[3] = -INF
    with xe.options(**cut):
        value, grad = framework.value_and_grad(KINDS[name].call, framework.array(x, "float64"))
    wanted, slopes = wanted_of(KINDS[name], X, KEPT, 1.0)
    wanted[3], slopes[3] = loss, 0.0 if loss == -INF else NAN
    np.testing.assert_allclose(value, wanted, rtol=1e-13)
    np.testing.assert_allclose(grad, slopes, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_a_target_below_0_has_no_divergence_beside_them(framework: Framework, cut: Any) -> None:
    x, t = np.where(KEPT, X, -INF), np.where(KEPT, SHARES, 0.0)
    t[3, LABELS[3]] = -0.25
    arrays = framework.array(x, "float64"), framework.array(t, "float64")
    with xe.options(**cut):
        found = framework.numpy(xe.kl_divergence(*arrays, reduction="none"))
    assert np.isnan(found).tolist() == [i == 3 for i in range(9)]


@pytest.mark.parametrize("strange", [NAN, INF])
@pytest.mark.parametrize("out", OUT[1:])
@pytest.mark.parametrize("name", KINDS)
def test_a_masked_logit_may_be_anything(
    framework: Framework, name: str, out: str, strange: float
) -> None:
    arrays, options, kept = given(framework, KINDS[name], out, "float64")
    x = np.where(kept, X, strange)
    wanted, slopes = wanted_of(KINDS[name], x, kept, 1.0)
    arrays[0] = framework.array(x, "float64")
    for cut in CUTS:
        with xe.options(**cut):
            if framework.autograd or name != "score":
                value, grad = framework.value_and_grad(KINDS[name].call, *arrays, **options)
                np.testing.assert_allclose(grad, slopes, rtol=1e-12, atol=1e-13)
            else:
                value = framework.numpy(KINDS[name].call(*arrays, **options))
        np.testing.assert_allclose(value, wanted, rtol=1e-13)


@pytest.mark.parametrize("name", ["probabilities", "divergence"])
@pytest.mark.parametrize("out", OUT[1:])
def test_a_masked_class_with_a_target_is_a_constant(
    framework: Framework, name: str, out: str
) -> None:
    """It makes the loss infinite, and has no gradient."""
    kind = KINDS[name]
    arrays, options, kept = given(framework, kind, out, "float64")
    arrays[1] = framework.array(SHARES, "float64")
    for cut in CUTS:
        with xe.options(**cut):
            value, grad = framework.value_and_grad(kind.call, *arrays, **options)
        assert (value == INF).tolist() == (~kept).any(1).tolist()
        assert (grad[~kept] == 0).all()
        for i, here in enumerate(kept):
            p = softmax(X[i, here])[0]
            wanted = SHARES[i].sum() * p - SHARES[i, here]
            np.testing.assert_allclose(grad[i, here], wanted, rtol=1e-12, atol=1e-14)


# The softmax and its logarithm, whose gradients are no gradients of losses.


@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("out", OUT)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(framework: Framework, name: str, out: str, cut: Any) -> None:
    kind = Kind(getattr(xe, name), of_label, Softmax)
    arrays, options, kept = given(framework, kind, out, "float64")
    bars = RNG.normal(size=X.shape)
    if out == "at -inf" and name == "log_softmax":
        bars = np.where(kept, bars, 0.0)
    with xe.options(**cut):
        found = framework.numpy(kind.call(*arrays, **options))
        grad = None
        if framework.autograd:  # by the values it is the bars, though some of these are infinite
            weights = framework.array(bars, "float64")
            _, grad = framework.value_and_grad(
                lambda x: kind.call(x, **options) * weights, arrays[0]
            )
    for i, here in enumerate(kept):
        p, log_p = softmax(X[i, here])
        values, empty = (log_p, -INF) if name == "log_softmax" else (p, 0.0)
        np.testing.assert_allclose(found[i, here], values, rtol=1e-13)
        assert (found[i, ~here] == empty).all()
        b = bars[i, here]
        wanted = b - p * b.sum() if name == "log_softmax" else p * (b - (p * b).sum())
        if grad is not None:
            np.testing.assert_allclose(grad[i, here], wanted, rtol=1e-11, atol=1e-13)
            assert (grad[i, ~here] == 0).all()
