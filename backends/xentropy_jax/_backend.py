"""How xentropy talks to JAX: jax.numpy as the namespace, rules attached as custom JVPs."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from xentropy._backend import Backend, Rule
from xentropy._typing import Array, DType, Kind, Namespace


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _attached(rule: Rule, leaves: tuple[Array | None, ...]) -> Array:
    return rule.forward(jnp, leaves)[0]


@_attached.defjvp
def _push(rule: Rule, primals: Any, tangents: Any) -> tuple[Array, Array]:
    """The derivative in a direction: the transpose of the pullback, which is linear.

    So one gradient formula, the core's, serves forward mode, reverse mode and their mixtures.
    """
    (leaves,), (directions,) = primals, tangents
    value, residuals = rule.forward(jnp, leaves)
    wanted = tuple(_moves(direction) for direction in directions)
    residuals = jax.lax.stop_gradient(residuals)

    def pull(bar: Array) -> tuple[Array, ...]:
        gradients = rule.pullback(jnp, leaves, residuals, bar, wanted, again=True)
        return tuple(g for g, moved in zip(gradients, wanted, strict=True) if moved)

    moved = tuple(d for d, moves in zip(directions, wanted, strict=True) if moves)
    (tangent,) = jax.linear_transpose(pull, value)(moved)
    return value, tangent


def _moves(direction: Any) -> bool:
    return direction is not None and direction.dtype != jax.dtypes.float0


@partial(jax.jit, static_argnums=0, inline=True)
def _apply(rule: Rule, leaves: tuple[Array | None, ...]) -> Array:
    return _attached(rule, leaves)


@partial(jax.jit, static_argnums=(0, 2), inline=True)
def _value_and_grad(
    rule: Rule, leaves: tuple[Array | None, ...], wanted: tuple[bool, ...]
) -> tuple[Array, tuple[Any, ...]]:
    value, residuals = rule.forward(jnp, leaves)
    bar = jnp.ones_like(value)
    return value, tuple(rule.pullback(jnp, leaves, residuals, bar, wanted, again=True))


class JaxBackend(Backend):
    """JAX arrays and tracers. The public functions are compiled by themselves."""

    def make(self, value: object, like: Array, *, floating: bool) -> Array:
        """Python numbers and lists as an array."""
        return jnp.asarray(value, dtype=self.compute_dtype(like) if floating else None)

    def kind(self, x: Array) -> Kind:
        """Which kind of numbers an array holds."""
        for kind, dtype in _KINDS:
            if jnp.issubdtype(x.dtype, dtype):
                return kind
        return "other"

    def look(self, x: Array) -> tuple[Namespace, Array] | None:
        """A concrete array on the host, seen as NumPy: inside a jit even constants are traced."""
        import numpy as np

        if isinstance(x, jax.core.Tracer) or not x.is_fully_addressable:
            return None
        here = all(device.platform == "cpu" for device in x.devices())
        return (np, np.asarray(x)) if here else None

    def apply(self, rule: Rule, leaves: tuple[Array | None, ...]) -> Array:
        """The value, attached to JAX's transformations."""
        return _apply(rule, tuple(leaves))

    def value_and_grad(
        self, rule: Rule, leaves: tuple[Array | None, ...], wanted: tuple[bool, ...]
    ) -> tuple[Array, tuple[Any, ...]]:
        """The value and the gradients, compiled together."""
        value, gradients = _value_and_grad(rule, tuple(leaves), wanted)
        return value, gradients


_KINDS: tuple[tuple[Kind, DType], ...] = (
    ("real floating", jnp.floating),
    ("integral", jnp.integer),
    ("bool", jnp.bool_),
    ("complex floating", jnp.complexfloating),
)

backend = JaxBackend("jax", jnp, jnp.int32)
