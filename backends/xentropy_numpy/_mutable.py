"""NumPy's operations in place, by the names of `xentropy._inplace.Ops`."""

from __future__ import annotations

import builtins
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from xentropy._typing import Array, DType

divide = np.divide
exp = np.exp
expm1 = np.expm1
log = np.log
log1p = np.log1p
reciprocal = np.reciprocal
where = np.where
moveaxis = np.moveaxis
squeeze = np.squeeze
zeros = np.zeros_like
round = np.rint  # noqa: A001
ONE = 1
# NumPy adds up slowly: a quarter of the rows of a block are taken out of it in less time.
FEW = 0.25
# NumPy's log1p has no vectors, and takes five times as long as its log.
SCALAR_LOG1P = True
# A product is written to its place.
APART = PLACED = False
# Beside it float32 has the distance between float16's numbers below the normal range, 2^-24.
_ROUNDING = np.float32(0.75)
_NORMAL = np.finfo(np.float16).smallest_normal.astype(np.float32)


# Of rows along the last axis NumPy writes a number of every row over a buffer of whole rows before
# it takes it, which costs twice what is done with it. Where no two rows fit, it does not; below
# that many entries a row costs more than its buffer.
_BUFFERED, _ALONE, _WORTH = 512, range(320, 1 << 12), 1 << 15


def subtract(a: Array, b: Any, *, out: Array | None = None) -> Array:
    """a - b."""
    return _by_rows(np.subtract, a, b, out)


def multiply(a: Array, b: Any, *, out: Array | None) -> Array:
    """a * b."""
    return _by_rows(np.multiply, a, b, out)


def less(x: Array, a: Any, b: Any, *, spare: Array | None) -> Array:
    """x - a * b."""
    fits = spare is not None and np.shape(a) == spare.shape
    return np.subtract(x, multiply(a, b, out=spare) if fits else a * b, out=x)


def _by_rows(operation: Any, a: Array, b: Any, out: Array | None) -> Array:
    """An operation with a number of every row."""
    if a.size < _WORTH or a.shape[-1] not in _ALONE or np.shape(b)[-1:] != (1,):
        return operation(a, b, out=out)
    before = np.setbufsize(_BUFFERED)
    try:
        return operation(a, b, out=out)
    finally:
        np.setbufsize(before)


def at_least(x: Array, least: float, *, out: Array) -> Array:
    """max(x, least)."""
    return np.maximum(x, least, out=out)


def no_nan(x: Array) -> Array:
    """0 where it is NaN, where it lies."""
    np.copyto(x, 0, where=np.isnan(x))
    return x


def exp_below(x: Array, peak: Array, *, out: Array) -> None:
    """None: nothing takes less time than exp."""


def shares(x: Array, axis: int, *, out: Array) -> None:
    """None: there is no softmax."""


def softmax(x: Array, axis: int) -> None:
    """None: there is none."""


def log_softmax(shape: tuple[int, ...], axis: int, dtype: DType, *, labels: bool) -> None:
    """None: there is none."""


def fraction(x: Array, *, out: Array | None) -> Array:
    """What is left of the numbers when their whole parts are taken off."""
    whole = np.floor(x, out=None if out is x else out)
    return np.subtract(x, whole, out=whole if out is None else out)


def max(x: Array, axis: int) -> Array:  # noqa: A001
    """The maxima along an axis."""
    if _narrow(x, axis):
        return _of_narrow(np.maximum, x, None)
    return np.maximum.reduce(x, axis=axis, keepdims=True)


def sum(x: Array, axis: int, *, out: Array | None = None) -> Array:  # noqa: A001
    """The sums along an axis."""
    if _narrow(x, axis):
        return _of_narrow(np.add, x, out)
    into = None if out is None else out[..., 0]
    if axis in (-1, x.ndim - 1) and x.shape[-1] > _SHORT:
        return np.einsum("...i->...", _folded(x), out=into)[..., None]
    return np.add.reduce(x, axis=axis, keepdims=True, out=out)


# NumPy loops over the rows of a short last axis one by one, and its reduce adds up a long one in
# twice the time that einsum takes, which loses more digits where it adds up more than so many.
_SHORT, _MANY, _LONG = 32, 1 << 12, 512


def _narrow(x: Array, axis: int) -> bool:
    """Whether rows are so short, and so many, that it pays to turn them around."""
    return bool(axis in (-1, x.ndim - 1) and x.shape[-1] <= _SHORT and x.size >= _MANY)


# What is made anew on the way is made of so many entries at a time, which stay in a cache.
_SOME = 1 << 15


def _of_narrow(operation: np.ufunc, x: Array, out: Array | None) -> Array:
    """Short rows, reduced: of copies with the last axis first, where one operation takes all."""
    out = np.empty((*x.shape[:-1], 1), x.dtype) if out is None else out
    for part in _parts(x):
        turned = np.ascontiguousarray(np.moveaxis(x[part], -1, 0))
        operation.reduce(turned, axis=0, out=out[part][..., 0])
    return out


def _parts(x: Array) -> Iterator[Any]:
    """Parts of an array with about so many entries each."""
    if x.size <= _SOME:
        yield ...
        return
    step = builtins.max(1, _SOME * len(x) // x.size)
    yield from (slice(start, start + step) for start in range(0, len(x), step))


def _folded(x: Array) -> Array:
    """The sums of parts of a long last axis, and what is left over; a short one as it is."""
    parts = -(-x.shape[-1] // _LONG)
    if parts == 1:
        return x
    length = x.shape[-1] // parts
    whole = x[..., : parts * length].reshape(*x.shape[:-1], parts, length)
    return np.concatenate((np.einsum("...i->...", whole), x[..., parts * length :]), axis=-1)


def smallest(x: Array) -> float:
    """The smallest entry."""
    return float(np.minimum.reduce(x, axis=None))


def extremes(x: Array) -> tuple[float, float]:
    """The smallest and the largest entry."""
    return smallest(x), float(np.maximum.reduce(x, axis=None))


def count(flags: Array) -> int:
    """How many flags are set."""
    return int(np.count_nonzero(flags))


def finite(x: Array) -> bool:
    """Whether no entry is infinite or NaN: then their sum is none either."""
    return math.isfinite(np.add.reduce(x, axis=None))


class Place:
    """Where the labels of rows lie, as positions in memory: one index takes less time than several.

    They are found once for arrays that lie alike.
    """

    def __init__(self, labels: Array, axis: int) -> None:
        self._labels, self._axis = labels, axis
        self._strides: tuple[int, ...] = ()
        self._found: Any = None

    def of(self, x: Array) -> tuple[Array, Any]:
        """A view of an array, and the labels' index of it."""
        if any(step < 0 or step % x.itemsize for step in x.strides):
            return x, self._everywhere(x.shape)
        steps = tuple(step // x.itemsize for step in x.strides)
        if self._strides != steps:
            self._strides, self._found = steps, self._labels * steps[self._axis]
            self._found += _starts(x.shape, steps, self._axis)
        return _span(x, steps), self._found

    def _everywhere(self, shape: tuple[int, ...]) -> tuple[Array, ...]:
        """An index for every axis."""
        last = len(shape) - 1
        places = [np.arange(n).reshape(-1, *(1,) * (last - i)) for i, n in enumerate(shape)]
        places[self._axis] = self._labels
        return tuple(places)


# Blocks differ by a row at most, in one axis or two.
@lru_cache(maxsize=4)
def _starts(shape: tuple[int, ...], steps: tuple[int, ...], axis: int) -> Array:
    """Where rows begin, the axis kept."""
    lengths = [1 if i == axis else n for i, n in enumerate(shape)]
    starts = np.zeros(lengths, np.intp)
    for i, (n, step) in enumerate(zip(lengths, steps, strict=True)):
        starts += (np.arange(n) * step).reshape(-1, *(1,) * (len(shape) - 1 - i))
    return starts


def _span(x: Array, steps: tuple[int, ...]) -> Array:
    """All memory from the first to the last entry of an array."""
    if x.flags.c_contiguous:
        return x.reshape(-1)
    size = 1 + builtins.sum((n - 1) * step for n, step in zip(x.shape, steps, strict=True))
    return as_strided(x, (size,), (x.itemsize,))


def place(shape: tuple[int, ...], labels: Array, axis: int) -> Place:  # noqa: ARG001
    """The labels, to be found in arrays of this shape."""
    return Place(labels, axis)


def pick(x: Array, place: Place, axis: int, *, out: Array | None = None) -> Array:  # noqa: ARG001
    """The entries at a place."""
    view, index = place.of(x)
    found = view[index]
    return found if out is None else copy(found, out=out)


def put(x: Array, place: Place, value: Array | float, axis: int) -> None:  # noqa: ARG001
    """Write those entries."""
    view, index = place.of(x)
    view[index] = value


def number(value: float, like: Array) -> Array:
    """A number as a scalar."""
    return like.dtype.type(value)


def unsqueeze(x: Array, axis: int) -> Array:
    """With an axis of length one, in a third of the time that `numpy.expand_dims` takes."""
    return x.reshape(*x.shape[:axis], 1, *x.shape[axis:])


def copy(x: Array, *, out: Array) -> Array:
    """Write, casting."""
    if out.dtype != np.float16 or x.dtype != np.float32:
        np.copyto(out, x, casting="unsafe")
        return out
    for part in _parts(x):
        np.copyto(out[part], _rounded(x[part]), casting="unsafe")
    return out


def _rounded(x: Array) -> Array:
    """Numbers that float16 would round below its normal range are, before they are cast.

    For each of them NumPy raises a flag of the processor, which takes ten times as long as a cast.
    """
    rounded = x + _ROUNDING
    rounded -= _ROUNDING
    np.copyto(rounded, x, where=np.abs(x) >= _NORMAL)
    return rounded


# As much of a product is made at a time where it is added to something.
_PART = 1 << 20


def product(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """A matrix product."""
    return np.matmul(a, b, out=out)


def add_product(a: Array, b: Array, *, out: Array) -> None:
    """The same, added part by part."""
    size = builtins.max(1, _PART // builtins.max(1, out.shape[1]))
    room = np.empty((min(size, len(out)), out.shape[1]), out.dtype)
    for start in range(0, len(out), size):
        into = out[start : start + size]
        into += np.matmul(a[start : start + size], b, out=room[: len(into)])


def places(flags: Array) -> Array:
    """Where flags are set."""
    return np.flatnonzero(flags)


def spread(shape: tuple[int, ...], dtype: DType, like: Array) -> Array:  # noqa: ARG001
    """One number that has any shape."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def clear(shape: tuple[int, ...], dtype: DType, like: Array) -> Array:  # noqa: ARG001
    """Zeros."""
    return np.zeros(shape, dtype)


def buffer(shape: tuple[int, ...], dtype: DType, like: Array) -> Array:  # noqa: ARG001
    """An array of no particular values."""
    return np.empty(shape, dtype)


def result(like: Array) -> Array:
    """An array for a gradient."""
    return np.empty(like.shape, like.dtype)


def index(labels: Array) -> Array:
    """Labels in the dtype that NumPy indexes with."""
    return labels.astype(np.intp, copy=False)


def quiet() -> AbstractContextManager[None]:
    """The policy says what infinities and NaN give, so NumPy need not warn of them."""
    return np.errstate(all="ignore")
