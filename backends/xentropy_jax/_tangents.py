"""Directions in which arrays move, as JAX hands them to the rules of derivatives."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from xentropy._backend import Rule
from xentropy._typing import Array


def wanted(rule: Rule, directions: tuple[Any, ...]) -> tuple[bool, ...]:
    """Which leaves move that have a gradient."""
    named = zip(rule.names, directions, strict=True)
    return tuple(name not in rule.constant and _moves(slope) for name, slope in named)


def _moves(direction: Any) -> bool:
    """Whether a leaf has a tangent; one that stands still has no gradient, which may be inf."""
    still = isinstance(direction, jax.custom_derivatives.SymbolicZero)
    return direction is not None and not still and direction.dtype != jax.dtypes.float0


def dense(direction: Any) -> Any:
    """A tangent as an array."""
    if not isinstance(direction, jax.custom_derivatives.SymbolicZero):
        return direction
    still = jax.dtypes.float0 if direction.dtype == jax.dtypes.float0 else direction.dtype
    import numpy as np

    make = np.zeros if still == jax.dtypes.float0 else jnp.zeros
    return make(direction.shape, still)


def no_slope(value: Array) -> Any:
    """What JAX wants as the tangent of a value that is not floating."""
    import numpy as np

    return np.zeros(value.shape, jax.dtypes.float0)
