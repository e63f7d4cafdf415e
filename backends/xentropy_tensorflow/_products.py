"""Large products of NumPy arrays by TensorFlow's own library.

It may take half the time of NumPy's on the same processor. A product is made in memory that
TensorFlow keeps, and nobody else knows it: so it may be written to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from xentropy import _linear_plans
from xentropy._typing import Array
from xentropy_tensorflow._memory import aligned, operand, view, writable

# What of `xentropy._linear_plans.Products` is here.
NAMES = ("APART", "PLACED", "product", "add_product")
APART, PLACED = True, False

# What is added to something is made in parts of so many entries, of as many that are copied.
_PART = 1 << 20


def suits(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
    """Whether TensorFlow's products take less time: of a large head, in float32 alone."""
    return _linear_plans.large(rule, leaves, np.float32)


def product(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """A matrix product, which goes nowhere else."""
    del out
    (a, turned), (b, other) = operand(a), operand(b)
    return writable(_multiplied(a, b, turned, other))


def add_product(a: Array, b: Array, *, out: Array) -> None:
    """The same, added part by part; what is multiplied is copied, as it lies beside the rest."""
    if out.size <= _PART:
        out += product(a, b)
        return
    x, (b, other) = a.T, operand(b)
    size = max(1, _PART // max(out.shape[1], len(x)))
    room = aligned(size * len(x) * x.itemsize).view(x.dtype)
    for start in range(0, len(out), size):
        into, part = out[start : start + size], x[:, start : start + size]
        here = room[: part.size].reshape(part.shape)
        here[...] = part
        into += view(_multiplied(operand(here)[0], b, True, other))


def _multiplied(a: Array, b: Array, turned: bool, other: bool) -> Array:
    """A product of tensors, either of which may be turned around."""
    with tf.device("CPU:0"):
        return tf.raw_ops.MatMul(a=a, b=b, transpose_a=turned, transpose_b=other)
