"""Calls on JAX that look like an earlier one: what its switches and transformations make of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_recalled import CALLS, LABELS, both, fresh, logits, losses, softmax, validated

import xentropy as xe

jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402 - after the skip

pytestmark = pytest.mark.backends("jax")
__all__ = ["fresh"]  # a fixture


@both
def test_float64_is_computed_in_float64(call: Callable[..., Any]) -> None:
    with jax.enable_x64(True):
        for dtype in (jnp.float32, jnp.float64):
            found = jax.tree.leaves(call(jnp.asarray(logits(), dtype), jnp.asarray(LABELS)))
            assert {each.dtype for each in found} == {jnp.dtype(dtype)}


@both
def test_a_bad_label_is_named_where_nan_is_an_error(call: Callable[..., Any]) -> None:
    x, labels = jnp.asarray(logits()), jnp.asarray(LABELS)
    call(x, labels)
    with jax.debug_nans(True), pytest.raises(IndexError, match=r"targets\[1\] is 9"):
        call(x, labels.at[1].set(9))
    with jax.debug_nans(True), pytest.raises(FloatingPointError):
        call(x.at[0, 0].set(jnp.nan), labels)


def test_what_is_traced_is_validated(monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels = logits(), jnp.asarray(LABELS)
    xe.cross_entropy(jnp.asarray(x), labels)
    made = validated(monkeypatch)
    for _ in range(2):
        found = jax.grad(xe.cross_entropy)(jnp.asarray(x), labels)
        wanted = (softmax(x) - np.eye(4)[LABELS]) / len(x)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)
    assert made == ["logits", "logits"]
    for call in CALLS.values():
        found = jax.tree.leaves(jax.jit(call)(jnp.asarray(x), labels))[0]
        np.testing.assert_allclose(found, losses(x, LABELS).mean(), rtol=1e-6)
