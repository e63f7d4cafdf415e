"""The part of the array API that the core uses, in TensorFlow's raw operations.

TensorFlow has no array-API namespace, and tf.experimental.numpy is no base for one: with bfloat16
its functions raise or fall into float64. Only names and argument forms are mapped here.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import tensorflow as tf

from xentropy._typing import Array, DType

float32 = tf.float32
float64 = tf.float64
int32 = tf.int32
int64 = tf.int64

exp = tf.math.exp
expm1 = tf.math.expm1
log = tf.math.log
log1p = tf.math.log1p
tanh = tf.math.tanh
cosh = tf.math.cosh
floor = tf.math.floor
isinf = tf.math.is_inf
isnan = tf.math.is_nan
isfinite = tf.math.is_finite
maximum = tf.math.maximum
minimum = tf.math.minimum
broadcast_to = tf.broadcast_to
matmul = tf.linalg.matmul
concat = tf.concat
where = tf.where
reshape = tf.reshape
zeros = tf.zeros
ones = tf.ones
zeros_like = tf.zeros_like
ones_like = tf.ones_like


def dynamic_shape(x: Array) -> tuple[Any, ...]:
    """Every length as a number where it is known, as a tensor where it is not."""
    known = x.shape.as_list()
    if None not in known:
        return tuple(known)
    traced = tf.shape(x)
    return tuple(traced[i] if n is None else n for i, n in enumerate(known))


def astype(x: Array, dtype: DType) -> Array:
    """Cast."""
    return tf.cast(x, dtype)


def arange(stop: Any, dtype: DType, device: object = None) -> Array:  # noqa: ARG001
    """The numbers from 0 to below ``stop``; TensorFlow places them by itself."""
    return tf.range(tf.cast(stop, dtype))


def iinfo(dtype: DType) -> SimpleNamespace:
    """The range of an integer dtype."""
    return SimpleNamespace(min=dtype.min, max=dtype.max)


def finfo(dtype: DType) -> SimpleNamespace:
    """The range of a floating dtype."""
    return SimpleNamespace(min=dtype.min, max=dtype.max)


def sum(x: Array, axis: Any = None, keepdims: bool = False) -> Array:  # noqa: A001
    """Sum over some axes, or all."""
    if isinstance(axis, int) and not tf.executing_eagerly():
        x = _folded(x, axis)
    return tf.reduce_sum(x, axis=axis, keepdims=keepdims)


def _folded(x: Array, axis: int) -> Array:
    """A long axis folded into a sixteenth by adding its parts in pairs.

    XLA on a CPU adds one entry after the other: over 32000 exponentials the error is near ten
    units in the last place, folded it is near one, and the fused loop takes no longer.
    """
    length = x.shape[axis]
    if length is None or length < LONG:
        return x
    over = length % _PARTS
    parts = tf.split(part(x, axis, 0, length - over), _PARTS, axis=axis)
    while len(parts) > 1:
        parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=True)]
    if over == 0:
        return parts[0]
    return tf.concat([parts[0], part(x, axis, length - over, over)], axis=axis)


# Shorter axes are summed as they are.
LONG = 4096
_PARTS = 16


def part(x: Array, axis: int, start: Any, size: int) -> Array:
    """So many entries along an axis, as many as are known beforehand wherever they begin."""
    axis %= x.shape.rank
    rest = [-1 if n is None else n for n in x.shape.as_list()]
    begin = [start if i == axis else 0 for i in range(len(rest))]
    return tf.slice(x, begin, [*rest[:axis], size, *rest[axis + 1 :]])


def max(x: Array, axis: int, keepdims: bool = False) -> Array:  # noqa: A001
    """The largest entry along an axis."""
    return tf.reduce_max(x, axis=axis, keepdims=keepdims)


def argmax(x: Array, axis: int, keepdims: bool = False) -> Array:
    """The first place of the largest entry along an axis."""
    place = tf.argmax(x, axis=axis, output_type=tf.int32)
    return tf.expand_dims(place, axis) if keepdims else place


def squeeze(x: Array, axis: int) -> Array:
    """Drop an axis of length one."""
    return tf.squeeze(x, axis=[axis])


def expand_dims(x: Array, axis: int) -> Array:
    """Insert an axis of length one."""
    return tf.expand_dims(x, axis)


def permute_dims(x: Array, axes: tuple[int, ...]) -> Array:
    """Reorder the axes."""
    return tf.transpose(x, axes)


def take(x: Array, indices: Array, axis: int = 0) -> Array:
    """The entries at flat indices along an axis."""
    return tf.gather(x, indices, axis=axis)


def take_along_axis(x: Array, indices: Array, axis: int) -> Array:
    """The entries that indices of x's number of dimensions name along an axis."""
    last = x.shape.rank - 1
    if axis % x.shape.rank == last:
        return tf.gather(x, indices, axis=last, batch_dims=last)
    # Any other axis by comparison: a transposition would move all of x to take little of it.
    shape = [1] * x.shape.rank
    shape[axis] = -1
    numbers = tf.reshape(arange(dynamic_shape(x)[axis], indices.dtype), shape)
    chosen = tf.where(numbers == indices, x, tf.zeros_like(x))
    join = tf.reduce_any if x.dtype == tf.bool else tf.reduce_sum
    return join(chosen, axis=axis, keepdims=True)
