"""What JAX users do: transformations in any order, with 64 bits or without."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import xentropy as xe

jax = pytest.importorskip("jax")
pytestmark = pytest.mark.backends("jax")

import jax.numpy as jnp  # noqa: E402 - after the skip

RNG = np.random.default_rng(7)
X = RNG.standard_normal((3, 4))
LABELS = np.array([1, 0, 3])


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def total(x: Any) -> Any:
    return xe.cross_entropy(x, jnp.asarray(LABELS), reduction="sum")


@pytest.fixture(autouse=True)
def wide() -> Any:
    with jax.enable_x64(True):
        yield


def test_forward_mode() -> None:
    direction = RNG.standard_normal(X.shape)
    _, slope = jax.jvp(total, (jnp.asarray(X),), (jnp.asarray(direction),))
    grad = softmax(X) - np.eye(4)[LABELS]
    np.testing.assert_allclose(slope, (grad * direction).sum(), rtol=1e-12)


def test_hessian() -> None:
    row = X[0]
    p = softmax(row)
    got = jax.hessian(lambda x: xe.cross_entropy(x, 1))(jnp.asarray(row))
    np.testing.assert_allclose(got, np.diag(p) - np.outer(p, p), rtol=1e-12, atol=1e-15)


def test_hessian_of_a_confident_row() -> None:
    """The top entry of the Hessian is p (1 - p) with 1 - p to full precision."""
    got = jax.hessian(lambda x: xe.cross_entropy(x, 0))(jnp.asarray([60.0, 0.0]))
    tail = np.exp(-60.0) / (1 + np.exp(-60.0)) ** 2
    np.testing.assert_allclose(got, [[tail, -tail], [-tail, tail]], rtol=1e-10)


def test_vmap_in_any_order() -> None:
    x, labels = jnp.asarray(X), jnp.asarray(LABELS)
    wanted = softmax(X) - np.eye(4)[LABELS]
    for function in (
        jax.vmap(jax.grad(xe.cross_entropy)),
        jax.jit(jax.vmap(jax.grad(xe.cross_entropy))),
        jax.vmap(jax.jit(jax.grad(xe.cross_entropy))),
    ):
        np.testing.assert_allclose(function(x, labels), wanted, rtol=1e-12)


def test_scan_and_checkpoint() -> None:
    def step(carry: Any, row: Any) -> Any:
        x, label = row
        return carry + jax.checkpoint(xe.cross_entropy)(x, label), None

    def run(x: Any) -> Any:
        return jax.lax.scan(step, 0.0, (x, jnp.asarray(LABELS)))[0]

    grad = jax.grad(run)(jnp.asarray(X))
    np.testing.assert_allclose(grad, softmax(X) - np.eye(4)[LABELS], rtol=1e-12)


def test_weights_mix_with_logits() -> None:
    """Second derivatives across arguments: d/dw of d/dx, through the mean's denominator."""

    def loss(x: Any, w: Any) -> Any:
        return xe.cross_entropy(x, jnp.asarray(LABELS), sample_weights=w)

    x, w = jnp.asarray(X), jnp.asarray([1.0, 2.0, 0.5])
    mixed = jax.jacfwd(jax.grad(loss), argnums=1)(x, w)
    step = 1e-5
    for i in range(3):
        up, down = (jax.grad(loss)(x, w.at[i].add(s * step)) for s in (1, -1))
        np.testing.assert_allclose(mixed[..., i], (up - down) / (2 * step), rtol=1e-6, atol=1e-9)


def test_constants_inside_a_jit_are_looked_at() -> None:
    """Labels and factors that the traced function closes over are still concrete."""
    labels, b = jnp.asarray(LABELS), jnp.asarray([1.0, 0.0, 2.0, 0.5])
    value = jax.jit(lambda x: xe.cross_entropy(x, labels, reduction="sum"))(jnp.asarray(X))
    np.testing.assert_allclose(value, -np.log(softmax(X)[range(3), LABELS]).sum(), rtol=1e-12)
    value = jax.jit(lambda x: xe.logsumexp(x, b=b))(jnp.asarray(X))
    np.testing.assert_allclose(value, np.log((np.exp(X) * np.asarray(b)).sum(-1)), rtol=1e-12)
    outside = labels + 4
    with pytest.raises(IndexError, match=r"targets\[0\] is 5"):
        jax.jit(lambda x: xe.cross_entropy(x, outside))(jnp.asarray(X))


def test_no_tracer_leaks() -> None:
    with jax.checking_leaks():
        jax.grad(jax.jit(total))(jnp.asarray(X))


NARROW = """
import jax, jax.numpy as jnp, numpy as np, xentropy as xe
x = jnp.asarray({x}, dtype=jnp.float32)
value, grad = jax.value_and_grad(xe.cross_entropy)(x, jnp.asarray({labels}))
print(value.dtype, grad.dtype, *np.asarray(grad).ravel())
try: xe.cross_entropy(x, jnp.asarray([4, 0, 0]))
except IndexError as error: print(error)
"""


def test_without_64_bits() -> None:
    """JAX's default; in a process of its own, because the setting belongs to a process."""
    code = NARROW.format(x=X.tolist(), labels=LABELS.tolist())
    command = [sys.executable, "-W", "error", "-c", f"import sys; sys.path += {sys.path!r}{code}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    numbers, error = done.stdout.splitlines()
    loss_dtype, grad_dtype, *grad = numbers.split()
    assert (loss_dtype, grad_dtype) == ("float32", "float32")
    wanted = (softmax(X) - np.eye(4)[LABELS]).ravel() / 3
    np.testing.assert_allclose(np.array(grad, float), wanted, rtol=1e-5, atol=1e-7)
    assert error.startswith("targets[0] is 4")


def test_calls_compile_once() -> None:
    """A public function compiles by itself, and for one shape only once."""
    from xentropy_jax import _backend

    x = jnp.asarray(RNG.standard_normal((7, 11)))
    xe.cross_entropy(x, jnp.arange(7), temperature=1.25)
    size = _backend._apply._cache_size()
    for _ in range(3):
        xe.cross_entropy(x + 1, jnp.arange(7), temperature=1.25)
    assert _backend._apply._cache_size() == size


def test_softmax_with_a_temperature_stays_finite_in_the_users_jit() -> None:
    got = jax.jit(lambda x: xe.softmax(x, temperature=0.7))(jnp.float32([2e9, 1e9, -2e9]))
    assert got.tolist() == [1.0, 0.0, 0.0]
