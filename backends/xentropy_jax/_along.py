"""The product of a direction with a gradient that is made already, as an operation of JAX.

Its transpose is that gradient times what the loss is worth. In JAX's own operations that would be
a second array of the size of the weight, and a visit to it; where the loss is worth 1, as it is at
the top of every ``jax.grad``, the gradient is handed over as it is.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad as _ad
from jax.interpreters import batching, mlir

from xentropy._typing import Array, DType
from xentropy_jax._devices import on_host

ad: Any = _ad


def along(made: Array, direction: Array, dtype: DType) -> Array:
    """The sum of the products of two arrays, a number; bilinear."""
    found: Array = _along.bind(made, direction, dtype=np.dtype(dtype))
    return found


def _dot(made: Array, direction: Array, *, dtype: DType) -> Array:
    return jnp.vdot(made.astype(dtype), direction.astype(dtype))


def _times(bar: Array, one: Any, other: Array, *, dtype: DType) -> Array:
    """What a number makes of the other array, as a cotangent of this one."""
    if one.aval.dtype == other.dtype and _is_one(bar):
        return other
    found: Array = (bar * other.astype(dtype)).astype(one.aval.dtype)
    return found


def _is_one(bar: Array) -> bool:
    """Whether a number is known to be 1: nobody waits for a device."""
    return on_host(bar) and bool(bar == 1)


def _batch(args: Any, dims: Any, *, dtype: DType) -> tuple[Array, int]:
    """Of a batch the products are JAX's own."""

    def dot(made: Array, direction: Array) -> Array:
        return _dot(made, direction, dtype=dtype)

    return jax.vmap(dot, in_axes=dims)(*args), 0


_along: Any = Primitive("xentropy_along")
_along.def_impl(jax.jit(_dot, static_argnames="dtype"))
_along.def_abstract_eval(lambda made, direction, dtype: jax.core.ShapedArray((), dtype))  # noqa: ARG005
ad.defbilinear(
    _along,
    lambda bar, made, direction, dtype: _times(bar, made, direction, dtype=dtype),
    lambda bar, made, direction, dtype: _times(bar, direction, made, dtype=dtype),
)
batching.primitive_batchers[_along] = _batch
mlir.register_lowering(_along, mlir.lower_fun(_dot, multiple_results=False))
