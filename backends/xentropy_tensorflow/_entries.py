"""The names of `_namespace` for what XLA compiles and nothing differentiates.

XLA on a CPU hands large sums of floats to a library of its own, in float32, and writes what it sums
up to memory: where entries are picked by a sum, on an axis that is not the last, that is as large
as the logits, or twice as large as narrow ones. Sums of integers are one loop with the choice.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from xentropy._typing import Array
from xentropy_tensorflow import _namespace

_BITS = {
    tf.bfloat16: tf.int16,
    tf.float16: tf.int16,
    tf.float32: tf.int32,
    tf.float64: tf.int64,
}


def take_along_axis(x: Array, indices: Array, axis: int) -> Array:
    """The entries that indices name along an axis, by their bits."""
    if x.dtype not in _BITS:
        return _namespace.take_along_axis(x, indices, axis)
    found = _namespace.take_along_axis(tf.bitcast(x, _BITS[x.dtype]), indices, axis)
    return tf.bitcast(found, x.dtype)


def __getattr__(name: str) -> Any:
    """Any other name."""
    return getattr(_namespace, name)
