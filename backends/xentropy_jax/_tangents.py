"""Directions in which arrays move, as JAX hands them to the rules of derivatives."""

from __future__ import annotations

from typing import Any

import jax

from xentropy._backend import Rule
from xentropy._typing import Array

_still: Any = jax.custom_derivatives.zero_from_primal


def wanted(rule: Rule, directions: tuple[Any, ...]) -> tuple[bool, ...]:
    """Which leaves move that have a gradient."""
    named = zip(rule.names, directions, strict=True)
    return tuple(name not in rule.constant and _moves(slope) for name, slope in named)


def _moves(direction: Any) -> bool:
    """Whether a leaf has a tangent; one that stands still has no gradient, which may be inf."""
    still = isinstance(direction, jax.custom_derivatives.SymbolicZero)
    return direction is not None and not still and direction.dtype != jax.dtypes.float0


def dense(leaf: Any, direction: Any) -> Any:
    """The tangent of a leaf as an array."""
    if not isinstance(direction, jax.custom_derivatives.SymbolicZero):
        return direction
    return _still(leaf)


def no_slope(value: Array) -> Any:
    """What JAX wants as the tangent of a value that is not floating."""
    return _still(value)
