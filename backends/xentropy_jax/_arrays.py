"""Arguments as JAX means them: what an array is, and several axes as one axis of classes."""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Axis = int | tuple[int, ...] | None


def array(x: Any, name: str) -> jax.Array:
    """An array or a number; sequences are none, for JAX."""
    if x is None or isinstance(x, list | tuple | str):
        raise TypeError(f"{name} must be an array or a number, got {type(x).__name__}")
    return jnp.asarray(x)


def floating(x: Any, name: str) -> jax.Array:
    """A floating array."""
    return _of_kind(x, name, jnp.floating, "floating")


def integral(x: Any, name: str) -> jax.Array:
    """An array of integers."""
    return _of_kind(x, name, jnp.integer, "of integers")


def _of_kind(x: Any, name: str, kind: Any, rule: str) -> jax.Array:
    found = array(x, name)
    if not jnp.issubdtype(found.dtype, kind):
        raise TypeError(f"{name} must be {rule}, got dtype {found.dtype}")
    return found


def flags(where: Any) -> jax.Array:
    """A boolean array."""
    found = array(where, "where")
    if found.dtype != jnp.bool_:
        raise ValueError(f"where must be boolean, got dtype {found.dtype}")
    return found


def inexact(*arrays: Any) -> Any:
    """The dtype that arrays and numbers promote to; of integers alone JAX's choice of a float."""
    dtype = jnp.result_type(*arrays)
    if jnp.issubdtype(dtype, jnp.inexact):
        return dtype
    return jax.eval_shape(jnp.sqrt, jnp.zeros((), dtype)).dtype


def wide(dtype: Any) -> Any:
    """The dtype that the core computes in."""
    return jnp.float64 if dtype == jnp.float64 else jnp.float32


def axes_of(axis: Axis, ndim: int) -> tuple[int, ...]:
    """Axes counted from the front, in the order given, each once; None means all."""
    if axis is None:
        return tuple(range(ndim))
    asked = axis if isinstance(axis, tuple | list) else (axis,)
    axes = tuple(_place(operator.index(one), ndim) for one in asked)
    if len(set(axes)) != len(axes):
        raise ValueError(f"axis must name every axis once, got {axis}")
    return axes


def from_the_end(axis: Axis) -> bool:
    """Whether axes are counted from the end."""
    if axis is None:
        return False
    return all(one < 0 for one in (axis if isinstance(axis, tuple | list) else (axis,)))


def _place(axis: int, ndim: int) -> int:
    if not -ndim <= axis < ndim:
        raise ValueError(f"axis {axis} is out of bounds for an array of dimension {ndim}")
    return axis % ndim


class Classes(NamedTuple):
    """The axes that hold the classes of arrays of one shape, laid together as one."""

    shape: tuple[int, ...]
    axes: tuple[int, ...]

    @property
    def axis(self) -> int:
        """The one axis of the classes."""
        return self.axes[0] if len(self.axes) == 1 else -1

    @property
    def number(self) -> int:
        """How many classes there are."""
        return math.prod(self.shape[i] for i in self.axes)

    @property
    def rows(self) -> tuple[int, ...]:
        """The shape without the classes."""
        return tuple(n for i, n in enumerate(self.shape) if i not in self.axes)

    @property
    def _order(self) -> tuple[int, ...]:
        return (*(i for i in range(len(self.shape)) if i not in self.axes), *self.axes)

    def together(self, x: jax.Array) -> jax.Array:
        """An array with one axis of classes."""
        if len(self.axes) == 1:
            return x
        return jnp.reshape(jnp.transpose(x, self._order), (*self.rows, self.number))

    def apart(self, x: jax.Array) -> jax.Array:
        """Back to the shape."""
        if len(self.axes) == 1:
            return x
        order = self._order
        split = jnp.reshape(x, tuple(self.shape[i] for i in order))
        return jnp.transpose(split, tuple(order.index(i) for i in range(len(order))))
