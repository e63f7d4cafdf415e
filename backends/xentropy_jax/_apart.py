"""One entry of every row set apart from the others, as an operation that JAX can transpose.

What is transposed is two entries that go their own ways; what comes of it is one visit to the
array that is there. Put together from JAX's own operations it would be a second array of that size.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad as _ad
from jax.interpreters import batching, mlir

from xentropy._typing import Array

ad: Any = _ad


def apart(x: Array, index: Array, axis: int, *, choose: bool) -> tuple[Array, Array]:
    """The rows along an axis with 0 at their index, and what was there; linear in them.

    ``choose`` is for `joined`.
    """
    others, there = _apart.bind(x, index, axis=axis, choose=choose)
    return others, there


def joined(others: Array, index: Array, there: Array, axis: int, *, choose: bool) -> Array:
    """The rows with other entries at their index.

    They are chosen at every entry, or written to the places where they belong, along the last
    axis. Of long rows XLA on a CPU needs for a choice half as long again as for the gradient; but
    a choice goes together with whatever comes after it, as a cast to a narrow dtype.
    """
    if choose:
        places = jax.lax.broadcasted_iota(index.dtype, others.shape, axis)
        return jnp.where(places == index, there, others)
    rows = others.reshape(-1, others.shape[-1])
    place = jnp.arange(rows.shape[0]), index.reshape(-1)
    written = rows.at[place].set(there.reshape(-1), mode="promise_in_bounds", unique_indices=True)
    return written.reshape(others.shape)


def _split(x: Array, index: Array, *, axis: int, choose: bool) -> list[Array]:
    there = jnp.take_along_axis(x, index, axis=axis)
    return [joined(x, index, jnp.zeros_like(there), axis, choose=choose), there]


def _push(primals: Any, tangents: Any, **how: Any) -> tuple[list[Array], list[Array]]:
    (x, index), (direction, _) = primals, tangents
    moved = _apart.bind(ad.instantiate_zeros(direction), index, **how)
    return _apart.bind(x, index, **how), moved


def _pull(bars: Any, _: Any, index: Array, *, axis: int, choose: bool) -> tuple[Array, None]:
    others, there = (ad.instantiate_zeros(bar) for bar in bars)
    return joined(others, index, there, axis, choose=choose), None


def _batch(args: Any, dims: Any, *, axis: int, choose: bool) -> tuple[list[Array], tuple[int, int]]:
    """A batch is more rows."""
    size = next(x.shape[d] for x, d in zip(args, dims, strict=True) if d is not None)
    x, index = (
        jnp.broadcast_to(x, (size, *x.shape)) if d is None else jnp.moveaxis(x, d, 0)
        for x, d in zip(args, dims, strict=True)
    )
    return _apart.bind(x, index, axis=axis + 1, choose=choose), (0, 0)


_apart: Any = Primitive("xentropy_apart")
_apart.multiple_results = True
_apart.def_impl(jax.jit(_split, static_argnames=("axis", "choose")))
_apart.def_abstract_eval(lambda x, index, **_: [x, x.update(shape=index.shape)])
ad.primitive_jvps[_apart] = _push
ad.primitive_transposes[_apart] = _pull
batching.primitive_batchers[_apart] = _batch
mlir.register_lowering(_apart, mlir.lower_fun(_split, multiple_results=True))
