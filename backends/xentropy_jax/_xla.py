"""What XLA offers beyond jax.numpy, for the forms of `xentropy._fused`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from xentropy._typing import Array
from xentropy_jax import _devices


class _Entries(_devices.Arrays):
    """`jax.numpy` for entries that are picked as they are."""

    def take_along_axis(self, x: Array, index: Array, axis: int) -> Array:
        """Some entries; no derivatives.

        XLA on a CPU widens an array of bfloat16 before it takes entries out, and writes all of it
        to memory if anything else wants it widened.
        """
        if x.dtype.itemsize != jnp.dtype(jnp.uint16).itemsize:
            return jnp.take_along_axis(x, index, axis=axis)
        bits = jax.lax.bitcast_convert_type(x, jnp.uint16)
        return jax.lax.bitcast_convert_type(jnp.take_along_axis(bits, index, axis=axis), x.dtype)


ENTRIES = _Entries()
_barrier: Any = jax.lax.optimization_barrier


@jax.custom_batching.custom_vmap
def _everywhere(flags: Array) -> Array:
    return jnp.all(flags)


@_everywhere.def_vmap
def _everywhere_in_a_batch(_: int, __: Any, flags: Array) -> tuple[Array, bool]:
    """One answer for the whole batch: with one for each, vmap would take both branches."""
    return _everywhere(flags), False


class XLA:
    """What XLA offers beyond jax.numpy; on concrete values plain Python does."""

    compares = False

    def sum_rows(self, function: _devices.Entries, x: Array, *others: Array) -> Array:
        return _devices.sum_rows(function, x, *others)

    def widens(self, x: Array, *, short: bool) -> bool:
        return True if short else _devices.widens(x)

    def first(self, x: Array, count: int) -> Array:
        return _devices.first(x, count)

    def everywhere(self, flags: Array) -> Array:
        return _everywhere(flags)

    def either(self, flag: Array, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
        if isinstance(flag, jax.core.Tracer):
            return jax.lax.cond(flag, yes, no)
        return yes() if flag else no()

    def sum_both(self, a: Array, b: Array, axis: int) -> tuple[Array, Array]:
        return _devices.sum_both(a, b, axis)

    def anew(self, x: Array) -> Array:
        return _barrier(x)

    def some(
        self,
        flags: Array,
        count: int,
        function: Callable[..., Array],
        arrays: tuple[Array, ...],
        others: Array,
    ) -> Array:
        flat = others.reshape(-1, 1)
        places = jnp.nonzero(flags.reshape(-1), size=count, fill_value=len(flat))[0]
        rows = (x.reshape(len(flat), -1).at[places].get(mode="clip") for x in arrays)
        return flat.at[places].set(function(*rows), mode="drop").reshape(others.shape)
