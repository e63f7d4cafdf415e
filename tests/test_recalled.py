"""Calls that look like an earlier one: as if they were validated each time."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import xentropy as xe
from xentropy import _dispatch, _losses, _recalled

jax = pytest.importorskip("jax")
pytestmark = pytest.mark.backends("jax")

import jax.numpy as jnp  # noqa: E402 - after the skip

RNG = np.random.default_rng(5)
LABELS = jnp.asarray([1, 0, 3])
CALLS: dict[str, Callable[..., Any]] = {
    "cross_entropy": xe.cross_entropy,
    "value_and_grad": xe.value_and_grad(xe.cross_entropy),
}
both = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    _dispatch.backend_of(LABELS, "targets")  # a type that was never seen is not asked
    _recalled._calls.clear()
    yield
    _recalled._calls.clear()


def logits(rows: int = 3, dtype: Any = np.float32) -> Any:
    return jnp.asarray(RNG.standard_normal((rows, 4)).astype(dtype))


def validated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes of the calls that are validated from now on."""
    made: list[str] = []

    class Noted(_losses.Inputs):
        def __init__(self, *args: Any) -> None:
            made.append(args[1])
            super().__init__(*args)

    monkeypatch.setattr(_losses, "Inputs", Noted)
    return made


def close(found: Any, wanted: Any) -> None:
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-7)


def defined(x: Any, labels: Any, call: Callable[..., Any]) -> Any:
    x, rows = np.asarray(x, np.float64), range(len(labels))
    p = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    loss = -np.log(p[rows, np.asarray(labels)]).mean()
    return loss if call is xe.cross_entropy else (loss, (p - np.eye(4)[labels]) / len(x))


@both
def test_other_values_of_arrays_that_look_the_same(
    call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = validated(monkeypatch)
    for labels in (LABELS, LABELS[::-1], LABELS // 2):
        x = logits()
        close(call(x, labels), defined(x, labels, call))
    assert made == ["logits"]


@both
def test_arrays_that_look_different(call: Callable[..., Any]) -> None:
    for x in (logits(), logits(2), logits(dtype=np.float16), logits().T):
        labels = LABELS[: len(x)] if x.shape[-1] == 4 else jnp.asarray([1, 0, 2, 2])
        wide = x.astype(jnp.float32)
        found = jax.tree.leaves(call(x, labels))
        if len(found) == 2:
            assert found[1].dtype == x.dtype
            assert found[1].shape == x.shape
        np.testing.assert_allclose(found[0], xe.cross_entropy(wide, labels), rtol=1e-6)
        with pytest.raises(TypeError, match="integer labels"):
            call(x, labels.astype(jnp.float32))
        soft = jax.nn.one_hot(labels, x.shape[-1])
        np.testing.assert_allclose(jax.tree.leaves(call(x, soft))[0], found[0], rtol=1e-6)


@both
def test_float64_is_computed_in_float64(call: Callable[..., Any]) -> None:
    with jax.enable_x64(True):
        for dtype in (jnp.float32, jnp.float64):
            found = jax.tree.leaves(call(logits(dtype=dtype), LABELS))
            assert {each.dtype for each in found} == {jnp.dtype(dtype)}


@both
def test_labels_are_looked_at_again(call: Callable[..., Any]) -> None:
    x = logits()
    call(x, LABELS)
    for place, bad in enumerate((4, -1, 7)):
        with pytest.raises(IndexError, match=rf"targets\[{place}\] is {bad}"):
            call(x, LABELS.at[place].set(bad))
    close(call(x, LABELS), defined(x, LABELS, call))


@both
def test_a_bad_label_is_named_where_nan_is_an_error(call: Callable[..., Any]) -> None:
    x = logits()
    call(x, LABELS)
    with jax.debug_nans(True), pytest.raises(IndexError, match=r"targets\[1\] is 9"):
        call(x, LABELS.at[1].set(9))
    with jax.debug_nans(True), pytest.raises(FloatingPointError):
        call(x.at[0, 0].set(jnp.nan), LABELS)


@both
def test_options_belong_to_the_call(call: Callable[..., Any]) -> None:
    x, labels = logits(), LABELS.at[1].set(-100)
    for _ in range(2):
        kept = call(x[::2], LABELS[::2], reduction="sum")
        found = call(x, labels, ignore_index=-100, reduction="sum")
        close(jax.tree.leaves(found)[0], jax.tree.leaves(kept)[0])
        with pytest.raises(IndexError, match=r"targets\[1\] is -100"):
            call(x, labels, reduction="sum")
        with pytest.raises(IndexError, match=r"targets\[1\] is -100"):
            call(x, labels, ignore_index=-1, reduction="sum")


@both
def test_values_that_are_equal_are_not_the_same(call: Callable[..., Any]) -> None:
    x = logits()
    call(x, LABELS, from_logits=True, axis=1)
    with pytest.raises(ValueError, match="from_logits"):
        call(x, LABELS, from_logits=1)
    with pytest.raises(ValueError, match="axis"):
        call(x, LABELS, axis=1.0)


@both
def test_weights_are_no_option_that_is_remembered(call: Callable[..., Any]) -> None:
    x = logits()
    for weights in ([1.0, 1.0, 1.0], [1.0, 0.0, 0.0]):
        found = jax.tree.leaves(call(x, LABELS, sample_weights=jnp.asarray(weights)))[0]
        rows = xe.cross_entropy(x, LABELS, reduction="none")
        np.testing.assert_allclose(found, np.average(rows, weights=weights), rtol=1e-6)
    for number in (2, 2, 4.0):
        found = jax.tree.leaves(call(x, LABELS, normalizer=number))[0]
        np.testing.assert_allclose(found, rows.sum() / number, rtol=1e-6)


def test_what_is_differentiated_by_belongs_to_the_call() -> None:
    x, soft = logits(), jax.nn.softmax(logits())
    function = xe.cross_entropy
    for _ in range(2):
        by_logits = xe.value_and_grad(function)(x, soft, reduction="sum")[1]
        by_targets = xe.value_and_grad(function, wrt="targets")(x, soft, reduction="sum")[1]
        of_both = xe.value_and_grad(function, wrt=("targets", "logits"))
        close(of_both(x, soft, reduction="sum")[1], (by_targets, by_logits))
        close((by_targets, by_logits), (-jax.nn.log_softmax(x), jax.nn.softmax(x) - soft))
        with pytest.raises(ValueError, match="wrt must be"):
            xe.value_and_grad(function, wrt="where")(x, soft)


def test_nothing_of_a_call_is_kept_alive() -> None:
    def alive() -> int:
        gc.collect()
        return sum(array.shape == (3, 4) for array in jax.live_arrays())

    before = alive()
    for call in CALLS.values():
        call(logits(), LABELS)
    assert len(_recalled._calls) == 2
    assert alive() == before


def test_calls_are_forgotten_before_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_recalled, "_MOST", 3)
    for rows in range(1, 9):
        xe.cross_entropy(logits(rows), jnp.zeros(rows, int))
        assert 1 <= len(_recalled._calls) <= 3


def test_what_is_traced_is_validated(monkeypatch: pytest.MonkeyPatch) -> None:
    x = logits()
    xe.cross_entropy(x, LABELS)
    made = validated(monkeypatch)
    for _ in range(2):
        found = jax.grad(xe.cross_entropy)(x, LABELS)
        close(found, defined(x, LABELS, CALLS["value_and_grad"])[1])
    assert made == ["logits", "logits"]
