"""Forms of one operation for one device and for several, chosen when a program is lowered.

What is quickest on one device may be what a compiler cannot split: of two sums in one reduction,
and of the place of a largest entry, XLA's partitioner gathers the parts of all devices, and of a
loop over parts of an axis that devices share it gathers the whole array. While a function is
traced nobody knows yet on how many devices it will run; when it is lowered, JAX does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

from xentropy._fused import parts_of, sum_in_parts
from xentropy._typing import Array

Form = Callable[..., Any]


def on_host(x: Array) -> bool:
    """Whether an array is concrete and lies in the host's memory."""
    if isinstance(x, jax.core.Tracer) or not x.is_fully_addressable:
        return False
    return all(device.platform == "cpu" for device in x.devices())


def by_devices(one: Form, several: Form, *arrays: Array) -> list[Array]:
    """What two functions give alike, as lists: the one for one device, or the one for several.

    Nothing is differentiated through it. Both functions are hashable.
    """
    found: list[Array] = _chosen.bind(*arrays, one=one, several=several)
    return found


@dataclass(frozen=True)
class _Batched:
    """A function of batches along the given axes."""

    form: Form
    axes: tuple[int | None, ...]

    def __call__(self, *arrays: Array) -> list[Array]:
        found: list[Array] = jax.vmap(self.form, in_axes=self.axes)(*arrays)
        return found


def _types(*types: Any, one: Form, several: Form) -> Any:  # noqa: ARG001 - both are alike
    return jax.make_jaxpr(one)(*types).out_avals


def _lowered(ctx: Any, *values: Any, one: Form, several: Form) -> Any:
    form = several if _several(ctx.module_context.axis_context) else one
    return mlir.lower_fun(form, multiple_results=True)(ctx, *values)


def _several(context: Any) -> bool:
    """Whether a program is split over devices by the compiler, and not by `jax.shard_map`."""
    mesh = getattr(context, "mesh", None)
    if mesh is not None:
        return set(context.manual_axes) != set(mesh.axis_names)
    return (getattr(context, "num_devices", None) or 1) > 1


def _batch(arrays: Any, axes: Any, *, one: Form, several: Form) -> tuple[list[Array], list[int]]:
    found = by_devices(_Batched(one, tuple(axes)), _Batched(several, tuple(axes)), *arrays)
    return found, [0] * len(found)


_chosen: Any = Primitive("xentropy_by_devices")
_chosen.multiple_results = True
_chosen.def_impl(jax.jit(_chosen.bind, static_argnames=("one", "several")))
_chosen.def_abstract_eval(_types)
batching.primitive_batchers[_chosen] = _batch
mlir.register_lowering(_chosen, _lowered)


# Two sums.


@dataclass(frozen=True)
class _InOne:
    """The sums of two arrays along an axis, which is kept, in one visit."""

    axis: int

    def __call__(self, a: Array, b: Array) -> list[Array]:
        zero = jnp.zeros((), a.dtype)
        sums = jax.lax.reduce(
            (a, b), (zero, zero), lambda x, y: (x[0] + y[0], x[1] + y[1]), (self.axis,)
        )
        return [jnp.expand_dims(one, self.axis) for one in sums]


@dataclass(frozen=True)
class _Apart:
    """The same in two."""

    axis: int

    def __call__(self, a: Array, b: Array) -> list[Array]:
        return [jnp.sum(x, axis=self.axis, keepdims=True) for x in (a, b)]


def sum_both(a: Array, b: Array, axis: int) -> tuple[Array, Array]:
    """The sums of two arrays along an axis, which is kept."""
    first, second = by_devices(_InOne(axis), _Apart(axis), a, b)
    return first, second


# Sums of long rows.


# XLA's sums of exponentials on a CPU are one visit of rows of up to so many entries; of longer ones
# all exponentials are written to memory first, which takes seven times as long.
LONG = 1 << 15

Entries = Callable[..., Array]
# And of a reduction of float16 all entries are widened first, into memory that is touched for the
# first time; of blocks of so many entries, one after the other, it is used again.
BLOCK = 1 << 19


@dataclass(frozen=True)
class _Whole:
    """The sums of a function of arrays and a column, along the last axis, which is kept."""

    function: Entries

    def __call__(self, *arrays: Array) -> list[Array]:
        return [jnp.sum(self.function(*arrays), axis=-1, keepdims=True)]


@dataclass(frozen=True)
class _InParts:
    """The same of parts of rows, and then of all parts of a row."""

    function: Entries
    count: int

    def __call__(self, x: Array, column: Array) -> list[Array]:
        return [sum_in_parts(jnp, self.function, self.count, x, column)]


@dataclass(frozen=True)
class _InBlocks:
    """The same of blocks of rows, one after the other, on a host.

    A slice that would go beyond the last row begins earlier: the last two blocks may overlap.
    """

    form: Form
    rows: int

    def __call__(self, *arrays: Array) -> list[Array]:
        found: list[Array]
        found = jax.lax.platform_dependent(*arrays, cpu=self._visit, default=self.form)
        return found

    def _visit(self, *arrays: Array) -> list[Array]:
        flat = [x.reshape(-1, x.shape[-1]) for x in arrays]
        count = len(flat[0])

        def visit(turn: Array, sums: Array) -> Array:
            block = [jax.lax.dynamic_slice_in_dim(x, turn * self.rows, self.rows) for x in flat]
            made = self.form(*block)[0]
            return jax.lax.dynamic_update_slice_in_dim(sums, made, turn * self.rows, 0)

        sums = jnp.zeros((count, 1), arrays[1].dtype)
        sums = jax.lax.fori_loop(0, -(-count // self.rows), visit, sums)
        return [sums.reshape(*arrays[0].shape[:-1], 1)]


def widens(x: Array) -> bool:
    """Whether a sum of long rows widens all of an array first."""
    return bool(x.dtype == jnp.float16)


def sum_rows(function: Entries, x: Array, column: Array, *others: Array) -> Array:
    """The sums of a function, entry by entry, of arrays and a column, which is kept."""
    count, whole = parts_of(x.shape[-1], LONG), _Whole(function)
    form: Form = whole if count == 1 or others else _InParts(function, count)
    if widens(x) and isinstance(x.size, int) and x.size > max(BLOCK, x.shape[-1]):
        form = _InBlocks(form, max(1, BLOCK // x.shape[-1]))
    if form is whole:
        return whole(x, column, *others)[0]
    (found,) = by_devices(form, whole, x, column, *others)
    return found


# The first rows.


@dataclass(frozen=True)
class _First:
    """The first rows, classes last, of the first batch."""

    count: int

    def __call__(self, x: Array) -> list[Array]:
        return [x[(0,) * (x.ndim - 2) + (slice(self.count),)] if x.ndim > 1 else x]


@dataclass(frozen=True)
class _Nothing:
    """Zeros in their place."""

    count: int

    def __call__(self, x: Array) -> list[Array]:
        like = jax.eval_shape(_First(self.count), x)[0]
        return [jnp.zeros(like.shape, like.dtype)]


def first(x: Array, count: int) -> Array:
    """The first rows on one device; of several, none sends rows to another one."""
    (found,) = by_devices(_First(count), _Nothing(count), x)
    return found


# Places of largest entries.


@dataclass(frozen=True)
class _Place:
    """The first place of a largest entry; NaN is larger than any number."""

    axis: int

    def __call__(self, x: Array) -> list[Array]:
        return [jnp.argmax(x, axis=self.axis, keepdims=True)]


@dataclass(frozen=True)
class _ByValue:
    """The same as the smallest of the places that have the largest value.

    The largest of all devices may be a number though one of them has a NaN: places of NaN are
    below all others, whatever that is.
    """

    axis: int

    def __call__(self, x: Array) -> list[Array]:
        like, count = jax.eval_shape(_Place(self.axis), x)[0], x.shape[self.axis]
        places = jax.lax.broadcasted_iota(like.dtype, x.shape, self.axis)
        attains = x == jnp.max(x, axis=self.axis, keepdims=True)
        asked = jnp.where(attains, places + count, 2 * count)
        asked = jnp.where(jnp.isnan(x), places, asked)
        return [jnp.min(asked, axis=self.axis, keepdims=True) % count]


class Arrays:
    """`jax.numpy` with operations that a compiler can split."""

    def __getattr__(self, name: str) -> Any:
        """Everything else."""
        return getattr(jnp, name)

    def argmax(self, x: Array, *, axis: int, keepdims: bool = False) -> Array:
        """The first place of a largest entry."""
        place = axis % x.ndim
        (found,) = by_devices(_Place(place), _ByValue(place), jax.lax.stop_gradient(x))
        return found if keepdims else jnp.squeeze(found, axis=axis)


ARRAYS = Arrays()
