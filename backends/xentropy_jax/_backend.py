"""How xentropy talks to JAX: jax.numpy as the namespace, rules attached as custom JVPs."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from xentropy._backend import Backend, Rule, ones_of
from xentropy._typing import Array, DType, Kind, Namespace


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _attached(rule: Rule, leaves: tuple[Array | None, ...]) -> tuple[Array, ...]:
    return rule.forward(jnp, leaves)[0]


@partial(_attached.defjvp, symbolic_zeros=True)
def _push(rule: Rule, primals: Any, tangents: Any) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """The derivative in a direction: the transpose of the pullback, which is linear.

    So one gradient formula, the core's, serves forward mode, reverse mode and their mixtures.
    """
    (leaves,), (directions,) = primals, tangents
    values, residuals = rule.forward(jnp, leaves)
    named = zip(rule.names, directions, strict=True)
    wanted = tuple(name not in rule.constant and _moves(slope) for name, slope in named)
    residuals = jax.lax.stop_gradient(residuals)

    def pull(bars: tuple[Array, ...]) -> tuple[Array, ...]:
        gradients = rule.pullback(jnp, leaves, residuals, bars, wanted, again=True)
        return tuple(g for g, moved in zip(gradients, wanted, strict=True) if moved)

    moved = tuple(d for d, moves in zip(directions, wanted, strict=True) if moves)
    count = len(rule.outputs)
    (slopes,) = jax.linear_transpose(pull, values[:count])(moved)
    return values, (*slopes, *map(_no_slope, values[count:]))


def _moves(direction: Any) -> bool:
    """Whether a leaf has a tangent; one that stands still has no gradient, which may be inf."""
    still = isinstance(direction, jax.custom_derivatives.SymbolicZero)
    return direction is not None and not still and direction.dtype != jax.dtypes.float0


def _no_slope(value: Array) -> Any:
    """What JAX wants as the tangent of a value that is not floating."""
    import numpy as np

    return np.zeros(value.shape, jax.dtypes.float0)


@partial(jax.jit, static_argnums=0, inline=True)
def _apply(rule: Rule, leaves: tuple[Array | None, ...]) -> tuple[Array, ...]:
    return _attached(rule, leaves)


@partial(jax.jit, static_argnums=(0, 2, 3), inline=True)
def _value_and_grad(
    rule: Rule, leaves: tuple[Array | None, ...], wanted: tuple[bool, ...], of: int
) -> tuple[tuple[Array, ...], tuple[Any, ...]]:
    values, residuals = rule.forward(jnp, leaves)
    bars = ones_of(jnp, rule, values, of)
    return values, tuple(rule.pullback(jnp, leaves, residuals, bars, wanted, again=True))


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

    def apply(self, rule: Rule, leaves: tuple[Array | None, ...]) -> tuple[Array, ...]:
        """The values, attached to JAX's transformations."""
        values: tuple[Array, ...] = _apply(rule, tuple(leaves))
        return values

    def value_and_grad(
        self,
        rule: Rule,
        leaves: tuple[Array | None, ...],
        wanted: tuple[bool, ...],
        of: int = 0,
    ) -> tuple[tuple[Array, ...], tuple[Any, ...]]:
        """The values, and the gradients of one, compiled together."""
        found: tuple[tuple[Array, ...], tuple[Any, ...]]
        found = _value_and_grad(rule, tuple(leaves), wanted, of)
        return found


_KINDS: tuple[tuple[Kind, DType], ...] = (
    ("real floating", jnp.floating),
    ("integral", jnp.integer),
    ("bool", jnp.bool_),
    ("complex floating", jnp.complexfloating),
)

backend = JaxBackend("jax", jnp, jnp.int32)
