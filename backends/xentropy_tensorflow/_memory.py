"""Eager tensors in a CPU's memory as NumPy arrays, and back, without a copy."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from xentropy._typing import Array, DType

# TensorFlow computes with vectors of this many bytes and wants its memory to begin at one.
_ALIGNMENT = 64
# An operation of TensorFlow costs more than what fewer bytes cost.
_LARGE = 1 << 20


def on_host(x: Array) -> bool:
    """Whether a tensor is eager and lies in the CPU's memory."""
    return hasattr(x, "numpy") and "CPU" in (x.device or "")


def view(x: Array) -> np.ndarray:
    """The memory of an eager tensor, not to be written to; `numpy` itself would copy it."""
    try:
        return np.asarray(memoryview(x))
    except (BufferError, ValueError):  # a dtype that Python has no letter for, such as int4
        return _without_letter(x)


def _without_letter(x: Array) -> np.ndarray:
    """The same of a dtype that Python's buffers do not have."""
    if x.dtype != tf.bfloat16:
        copied: np.ndarray = x.numpy()
        return copied
    with tf.device(x.device):
        bits = tf.bitcast(x, tf.uint16)
    return np.asarray(memoryview(bits)).view(x.dtype.as_numpy_dtype)


def empty(shape: tuple[int, ...], dtype: DType) -> np.ndarray:
    """An array of no particular values where TensorFlow may have it; large ones are its own.

    TensorFlow keeps what is freed: memory that is new to the process costs as much as a pass or
    more, in page faults, and on a virtual machine much more.
    """
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    if size >= _LARGE:
        with tf.device("CPU:0"):
            kept = tf.raw_ops.Empty(shape=[size], dtype=tf.uint8, init=False)
        return writable(kept).view(kind).reshape(shape)
    return aligned(size).view(kind).reshape(shape)


def aligned(size: int) -> np.ndarray:
    """So many bytes of Python's where TensorFlow may read and write."""
    room = np.empty(size + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    return room[start : start + size]


class _Room:
    """The memory of a tensor or of an array that nobody else knows, to be written to."""

    def __init__(self, kept: Array) -> None:
        seen = np.asarray(memoryview(kept))
        self.kept = kept
        self.__array_interface__ = {**seen.__array_interface__, "data": (seen.ctypes.data, False)}


def writable(kept: Array) -> np.ndarray:
    """An array over the memory of a tensor that nobody else knows."""
    return np.asarray(_Room(kept))


def operand(x: np.ndarray) -> tuple[Array, bool]:
    """A tensor to read an array from, copied only where it must be, and whether it is turned.

    TensorFlow reads memory row by row, and stops the process where it is not aligned.
    """
    turned = x.strides[0] < x.strides[1]
    seen = x.T if turned else x
    if not seen.flags.c_contiguous or seen.ctypes.data % _ALIGNMENT:
        return copied(seen), turned
    return tf.experimental.dlpack.from_dlpack(writable(seen).__dlpack__()), turned


def tensor(array: np.ndarray, like: Array) -> Array:
    """A tensor over an array that `empty` made, which it keeps alive, beside another tensor."""
    if array.dtype.kind != "V":
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    bits = tf.experimental.dlpack.from_dlpack(array.view(np.uint16).__dlpack__())
    with tf.device(like.device):
        return tf.bitcast(bits, like.dtype)


def copied(array: np.ndarray) -> Array:
    """A tensor with the numbers of an array: TensorFlow's own way takes three times as long."""
    room = empty(array.shape, array.dtype)
    room[...] = array
    return tf.experimental.dlpack.from_dlpack(room.__dlpack__())
