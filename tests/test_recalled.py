"""Calls that look like an earlier one: as if they were validated each time."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import oracle
import pytest
from harness import Framework

import xentropy as xe
from xentropy import _call, _dispatch, _losses, _recalled

pytestmark = pytest.mark.backends("numpy", "torch", "tensorflow", "jax")

RNG = np.random.default_rng(5)
LABELS = np.array([1, 0, 3])
CALLS: dict[str, Callable[..., Any]] = {
    "cross_entropy": xe.cross_entropy,
    "value_and_grad": xe.value_and_grad(xe.cross_entropy),
}
both = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.fixture(autouse=True)
def fresh(framework: Framework) -> Iterator[None]:
    # A type that was never seen is not asked.
    _dispatch.backend_of(framework.array([1.0]), "logits")
    _recalled._calls.clear()
    yield
    _recalled._calls.clear()


def logits(rows: int = 3) -> np.ndarray:
    return RNG.standard_normal((rows, 4)).astype(np.float32)


def validated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes of the calls that are validated from now on."""
    made: list[str] = []

    class Noted(_losses.Inputs):
        def __init__(self, *args: Any) -> None:
            made.append(args[1])
            super().__init__(*args)

    monkeypatch.setattr(_losses, "Inputs", Noted)
    return made


def softmax(x: Any) -> np.ndarray:
    e = np.exp(np.asarray(x, np.float64))
    return e / e.sum(-1, keepdims=True)


def losses(x: Any, labels: Any) -> np.ndarray:
    wide = np.asarray(x, np.float64)
    return oracle.cross_entropy(wide, np.asarray(labels), axis=1, reduction="none")


def check(framework: Framework, call: Callable[..., Any], x: np.ndarray, labels: Any) -> None:
    """Whether a call gives the definition's mean, and its gradient where it gives one."""
    found = call(framework.array(x), framework.array(labels, "int64"))
    found = found if isinstance(found, tuple) else (found,)
    wanted = (losses(x, labels).mean(), (softmax(x) - np.eye(4)[labels]) / len(x))
    for mine, exact in zip(map(framework.numpy, found), wanted, strict=False):
        np.testing.assert_allclose(mine, exact, rtol=1e-6, atol=1e-7)


def value_of(framework: Framework, found: Any) -> float:
    return float(framework.numpy(found[0] if isinstance(found, tuple) else found))


@both
def test_other_values_of_arrays_that_look_the_same(
    framework: Framework, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = validated(monkeypatch)
    for labels in (LABELS, LABELS[::-1].copy(), np.array([2, 2, 0])):
        check(framework, call, logits(), labels)
    assert made == ["logits"]


@both
def test_arrays_that_look_different(framework: Framework, call: Callable[..., Any]) -> None:
    for rows, dtype in ((3, "float32"), (2, "float32"), (3, "float16"), (3, "float64")):
        if dtype == "float64" and framework.name == "jax":
            continue  # which asks for a flag, see test_jax_recalled.py
        x = framework.array(logits(rows), dtype)
        labels = framework.array(LABELS[:rows], "int64")
        found = call(x, labels)
        exact = losses(framework.numpy(x), LABELS[:rows]).mean()
        assert value_of(framework, found) == pytest.approx(exact, rel=1e-6)
        if isinstance(found, tuple):
            assert (found[1].dtype, found[1].shape) == (x.dtype, x.shape)
        with pytest.raises(TypeError, match="integer labels"):
            call(x, framework.array(LABELS[:rows], "float32"))
        with pytest.raises(ValueError, match="targets has shape"):
            call(x, framework.array(LABELS[: rows - 1], "int64"))
        soft = framework.array(np.eye(4)[LABELS[:rows]], "float32")
        assert value_of(framework, call(x, soft)) == pytest.approx(exact, rel=1e-6)


@both
def test_labels_are_looked_at_again(framework: Framework, call: Callable[..., Any]) -> None:
    x = logits()
    check(framework, call, x, LABELS)
    for place, bad in enumerate((4, -1, 7)):
        labels = LABELS.copy()
        labels[place] = bad
        with pytest.raises(IndexError, match=rf"targets\[{place}\] is {bad}"):
            call(framework.array(x), framework.array(labels, "int64"))
    check(framework, call, x, LABELS)


@both
def test_options_belong_to_the_call(framework: Framework, call: Callable[..., Any]) -> None:
    x, labels = logits(), np.array([1, -100, 3])
    arrays = framework.array(x), framework.array(labels, "int64")
    kept = losses(x[::2], labels[::2])
    for _ in range(2):
        for reduction, exact in (("sum", kept.sum()), ("mean", kept.mean())):
            found = call(*arrays, ignore_index=-100, reduction=reduction)
            assert value_of(framework, found) == pytest.approx(exact, rel=1e-6)
        for options in ({}, {"reduction": "sum"}, {"ignore_index": -1}):
            with pytest.raises(IndexError, match=r"targets\[1\] is -100"):
                call(*arrays, **options)


@both
def test_values_that_are_equal_are_not_the_same(
    framework: Framework, call: Callable[..., Any]
) -> None:
    arrays = framework.array(logits()), framework.array(LABELS, "int64")
    call(*arrays, from_logits=True, axis=1)
    with pytest.raises(ValueError, match="from_logits"):
        call(*arrays, from_logits=1)
    with pytest.raises(ValueError, match="axis"):
        call(*arrays, axis=1.0)


@both
def test_weights_are_no_option_that_is_remembered(
    framework: Framework, call: Callable[..., Any]
) -> None:
    x = logits()
    arrays = framework.array(x), framework.array(LABELS, "int64")
    for weights in ([1.0, 1.0, 1.0], [1.0, 0.0, 0.0]):
        found = call(*arrays, sample_weights=framework.array(weights))
        exact = np.average(losses(x, LABELS), weights=weights)
        assert value_of(framework, found) == pytest.approx(exact, rel=1e-6)
    for number in (2, 2, 4.0):
        found = call(*arrays, normalizer=number)
        exact = losses(x, LABELS).sum() / number
        assert value_of(framework, found) == pytest.approx(exact, rel=1e-6)


def test_what_is_differentiated_by_belongs_to_the_call(framework: Framework) -> None:
    x, soft = logits(), softmax(logits())
    arrays, function = (framework.array(x), framework.array(soft)), xe.cross_entropy
    by_logits, by_targets = softmax(x) - soft, -np.log(softmax(x))
    for _ in range(2):
        for wrt, wanted in ((None, by_logits), ("targets", by_targets)):
            made = xe.value_and_grad(function, wrt=wrt)(*arrays, reduction="sum")[1]
            np.testing.assert_allclose(framework.numpy(made), wanted, rtol=1e-5, atol=1e-6)
        pair = xe.value_and_grad(function, wrt=("targets", "logits"))(*arrays, reduction="sum")[1]
        for made, wanted in zip(pair, (by_targets, by_logits), strict=True):
            np.testing.assert_allclose(framework.numpy(made), wanted, rtol=1e-5, atol=1e-6)
        with pytest.raises(ValueError, match="wrt must be"):
            xe.value_and_grad(function, wrt="where")(*arrays, reduction="sum")


def test_one_array_in_two_places_is_not_remembered(framework: Framework) -> None:
    x = framework.array(softmax(logits()))
    xe.cross_entropy(x, x)
    assert not _recalled._calls
    wide, soft = logits(), softmax(logits())
    found = xe.cross_entropy(framework.array(wide), framework.array(soft))
    exact = -(soft * np.log(softmax(wide))).sum(-1).mean()
    assert value_of(framework, found) == pytest.approx(exact, rel=1e-6)


def test_options_are_those_of_the_call(framework: Framework) -> None:
    """How large a tile is, and whether to compile, is decided while a call is validated."""
    x, labels = framework.array(logits()), framework.array(LABELS, "int64")
    for count, size in enumerate((None, 8, 16), start=1):
        for _ in range(2):
            with xe.options(block_size=size):
                found = xe.cross_entropy(x, labels)
            exact = losses(framework.numpy(x), LABELS).mean()
            assert value_of(framework, found) == pytest.approx(exact, rel=1e-6)
        assert len(_recalled._calls) == count


def test_nothing_of_a_call_is_kept_alive(framework: Framework) -> None:
    x, labels = framework.array(logits()), framework.array(LABELS.copy(), "int64")
    seen = [weakref.ref(x), weakref.ref(labels)]
    for call in CALLS.values():
        call(x, labels)
    assert len(_recalled._calls) == 2
    del x, labels
    gc.collect()
    assert [each() for each in seen] == [None, None]


def test_calls_are_forgotten_before_there_are_too_many(
    framework: Framework, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_recalled, "_MOST", 3)
    for rows in range(1, 9):
        labels = framework.array(np.zeros(rows), "int64")
        xe.cross_entropy(framework.array(logits(rows)), labels)
        assert 1 <= len(_recalled._calls) <= 3


@pytest.mark.backends("numpy")
def test_of_arrays_only_those_of_numpy_alone() -> None:
    class Mine(np.ndarray):
        pass

    x = logits()
    for given in (x.view(Mine), x.astype(">f4")):
        assert float(xe.cross_entropy(given, LABELS)) == pytest.approx(losses(x, LABELS).mean())
        assert not _recalled._calls


def log_softmax(x: Any) -> np.ndarray:
    return np.log(softmax(x))


def binary(x: Any, t: Any) -> Any:
    return np.log1p(np.exp(np.where(t == 1, -1, 1) * np.float64(x))).mean()


def focal(x: Any, labels: Any) -> Any:
    value = losses(x, labels)
    return ((1 - np.exp(-value)) ** 2 * value).mean()


WEIGHT = RNG.standard_normal((4, 4)).astype(np.float32)
SOFT = softmax(logits()).astype(np.float32)
ONES = np.eye(4, dtype=np.int64)[LABELS]
# What each is called with beside the first array, and its definition.
OTHERS: dict[Callable[..., Any], tuple[tuple[np.ndarray, ...], Callable[..., Any]]] = {
    xe.softmax: ((), softmax),
    xe.log_softmax: ((), log_softmax),
    xe.logsumexp: ((), lambda x: np.log(np.exp(np.float64(x)).sum(-1))),
    xe.sigmoid: ((), lambda x: 1 / (1 + np.exp(-np.float64(x)))),
    xe.entropy: ((), lambda x: -(softmax(x) * log_softmax(x)).sum(-1)),
    xe.score: ((LABELS,), losses),
    xe.focal_loss: ((LABELS,), focal),
    xe.kl_divergence: ((SOFT,), lambda x, t: (t * (np.log(t) - log_softmax(x))).sum(-1).mean()),
    xe.binary_cross_entropy: ((ONES,), binary),
    xe.linear_cross_entropy: ((WEIGHT, LABELS), lambda x, w, t: losses(x @ w.T, t).mean()),
}


def given(framework: Framework, arrays: tuple[np.ndarray, ...]) -> list[Any]:
    return [framework.array(a, str(a.dtype)) for a in arrays]


@pytest.mark.parametrize("function", OTHERS, ids=lambda function: function.__name__)
def test_every_function_is_remembered(
    framework: Framework, function: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    more, definition = OTHERS[function]
    made: list[Any] = []
    own = _call.remember
    monkeypatch.setattr(_call, "remember", lambda *args: (made.append(args), own(*args)))
    for _ in range(3):
        x = logits()
        found = function(framework.array(x), *given(framework, more))
        found = found.loss if isinstance(found, xe.Score) else found
        wanted = definition(x, *more)
        np.testing.assert_allclose(framework.numpy(found), wanted, rtol=2e-5, atol=1e-6)
    assert len(made) == 1


@pytest.mark.parametrize(
    "function",
    [xe.score, xe.focal_loss, xe.binary_cross_entropy, xe.linear_cross_entropy],
    ids=lambda function: function.__name__,
)
def test_labels_of_every_function_are_looked_at(
    framework: Framework, function: Callable[..., Any]
) -> None:
    *more, labels = OTHERS[function][0]
    bad = labels.copy()
    bad.flat[-1] = 4
    for each, raises in ((labels, False), (labels, False), (bad, True), (labels, False)):
        arrays = given(framework, (logits(), *more, each))
        if not raises:
            function(*arrays)
            continue
        with pytest.raises(IndexError, match=r"targets\[2.*\] is 4"):
            function(*arrays)
