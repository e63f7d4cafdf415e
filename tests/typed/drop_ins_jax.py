"""The drop-ins for jax.nn and optax as a type checker sees them; run by test_typed.py."""

from __future__ import annotations

from typing import Any
from warnings import catch_warnings

from holds import assert_type
from jax import Array
from jax import numpy as jnp

import xentropy_jax as drop_ins

x = jnp.ones((2, 3))
y = jnp.asarray([0, 1])
p = jnp.full((2, 3), 0.5)


def maps() -> None:
    assert_type(drop_ins.softmax(x, axis=(0, 1)), Array)
    assert_type(drop_ins.log_softmax(x, where=p > 0), Array)
    # With return_sign there are two.
    assert_type(drop_ins.logsumexp(x, b=p, keepdims=True), Any)
    assert_type(drop_ins.smooth_labels(p, alpha=0.1), Array)


def losses() -> None:
    assert_type(drop_ins.softmax_cross_entropy(x, p, axis=-1), Array)
    assert_type(drop_ins.safe_softmax_cross_entropy(x, p), Array)
    assert_type(drop_ins.softmax_cross_entropy_with_integer_labels(logits=x, labels=y), Array)
    assert_type(drop_ins.sigmoid_binary_cross_entropy(x, p), Array)
    assert_type(drop_ins.sigmoid_focal_loss(x, p, alpha=0.25, gamma=1.0), Array)
    assert_type(drop_ins.poly_loss_cross_entropy(x, p, epsilon=1.0), Array)


def divergences() -> None:
    assert_type(drop_ins.kl_divergence(x, p, axis=0), Array)
    assert_type(drop_ins.kl_divergence_with_log_targets(x, x), Array)
    assert_type(drop_ins.generalized_kl_divergence(x, p), Array)
    with catch_warnings(action="ignore"):  # as optax, it says that it is deprecated
        assert_type(drop_ins.convex_kl_divergence(x, p), Array)


def refuses_an_option() -> None:
    drop_ins.softmax_cross_entropy(x, p, reduction="sum")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def refuses_a_keyword_by_position() -> None:
    drop_ins.sigmoid_focal_loss(x, p, 0.25)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
