"""The names of `_namespace` for what XLA compiles and nothing differentiates.

XLA on a CPU sums up bfloat16 in float32, and writes what it sums up to memory: where entries are
picked by a sum, on an axis that is not the last, that is twice the size of the logits.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from xentropy._typing import Array
from xentropy_tensorflow import _namespace


def take_along_axis(x: Array, indices: Array, axis: int) -> Array:
    """The entries that indices name along an axis, those of narrow dtypes by their bits."""
    if x.dtype not in (tf.bfloat16, tf.float16):
        return _namespace.take_along_axis(x, indices, axis)
    found = _namespace.take_along_axis(tf.bitcast(x, tf.int16), indices, axis)
    return tf.bitcast(found, x.dtype)


def __getattr__(name: str) -> Any:
    """Any other name."""
    return getattr(_namespace, name)
