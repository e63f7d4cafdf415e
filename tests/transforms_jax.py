"""JAX's ways to differentiate, by the names that derivatives.py declares."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from derivatives import SAMPLES, Found, exact


class Problem:
    """A sample in float64 arrays; ``total`` is the weighted sum of its values."""

    def __init__(self, name: str, dtype: str = "float64") -> None:
        self.name = name
        sample, known = SAMPLES[name], exact(name)
        self.sample = sample
        self.constants = {k: jnp.asarray(v) for k, v in sample.constants.items()}
        self.weights = jnp.asarray(known.weights, dtype)
        self.leaves = tuple(jnp.asarray(v, dtype) for v in sample.leaves.values())
        self.directions = tuple(jnp.asarray(v, dtype) for v in known.directions)
        self.grad = jax.grad(self.total, argnums=tuple(range(len(self.leaves))))

    def total(self, *leaves: Any) -> Any:
        return (self.weights * self.sample.call(self.constants, *leaves)).sum()

    def batch(self) -> list[Any]:
        """A batch whose second entry is the sample."""
        pairs = zip(self.leaves, self.directions, strict=True)
        return [jnp.stack((x + v, x)) for x, v in pairs]


def plain(xs: Sequence[Any]) -> list[np.ndarray]:
    return [np.asarray(x) for x in xs]


def grad(p: Problem) -> Found:
    return Found(gradient=plain(p.grad(*p.leaves)))


def jvp(p: Problem) -> Found:
    value, slope = jax.jvp(p.total, p.leaves, p.directions)
    return Found(value=float(value), slope=float(slope))


def jvp_of_grad(p: Problem) -> Found:
    return Found(product=plain(jax.jvp(p.grad, p.leaves, p.directions)[1]))


def grad_of_grad(p: Problem) -> Found:
    def slope(*leaves: Any) -> Any:
        pairs = zip(p.grad(*leaves), p.directions, strict=True)
        return sum((g * v).sum() for g, v in pairs)

    return Found(product=plain(jax.grad(slope, argnums=tuple(range(len(p.leaves))))(*p.leaves)))


def hessian(p: Problem) -> Found:
    blocks = jax.hessian(p.total, argnums=tuple(range(len(p.leaves))))(*p.leaves)
    rows = [
        sum(jnp.tensordot(h, v, v.ndim) for h, v in zip(row, p.directions, strict=True))
        for row in blocks
    ]
    return Found(product=plain(rows))


def vmap(p: Problem) -> Found:
    return Found(gradient=[np.asarray(g[1]) for g in jax.vmap(p.grad)(*p.batch())])


def jit(p: Problem) -> Found:
    return Found(gradient=plain(jax.jit(p.grad)(*p.leaves)))


def scan(p: Problem) -> Found:
    def run(*batch: Any) -> Any:
        return jax.lax.scan(lambda sum_, xs: (sum_ + p.total(*xs), None), 0.0, batch)[0]

    grads = jax.grad(run, argnums=tuple(range(len(p.leaves))))(*p.batch())
    return Found(gradient=[np.asarray(g[1]) for g in grads])


def checkpoint(p: Problem) -> Found:
    again = jax.grad(jax.checkpoint(p.total), argnums=tuple(range(len(p.leaves))))
    return Found(gradient=plain(again(*p.leaves)))


def shard_map(p: Problem) -> Found:
    """On logits that every device of a mesh holds."""
    mesh = jax.make_mesh((1,), ("devices",))
    everywhere = jax.sharding.PartitionSpec()
    mapped = partial(jax.shard_map, mesh=mesh, in_specs=everywhere, out_specs=everywhere)
    total = mapped(p.total)
    both = jax.value_and_grad(total, argnums=tuple(range(len(p.leaves))))
    value, grads = jax.jit(both)(*p.leaves)
    return Found(value=float(value), gradient=plain(grads))


def checking_leaks(p: Problem) -> Found:
    with jax.checking_leaks():
        return Found(gradient=plain(jax.jit(p.grad)(*p.leaves)))


def x64_off(p: Problem) -> Found:
    """JAX's default: float32, and what it computes is no wider."""
    with jax.enable_x64(False):
        narrow = Problem(p.name, "float32")
        value, grads = jax.value_and_grad(narrow.total, argnums=tuple(range(len(p.leaves))))(
            *narrow.leaves
        )
    assert {str(x.dtype) for x in (value, *grads)} == {"float32"}
    return Found(value=float(value), gradient=plain(grads), digits=5)
