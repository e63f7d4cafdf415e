"""The TensorFlow backend of xentropy, and TensorFlow's own names for its losses.

``import xentropy_tensorflow as nn`` stands for ``from tensorflow import nn``: the functions take
the same arguments. docs/drop-ins/tensorflow.md lists what differs.
"""

# Before NumPy, which comes with it: an environment without TensorFlow is told this name.
import tensorflow as tf  # noqa: F401

from xentropy_tensorflow._backend import backend
from xentropy_tensorflow._nn import (
    log_softmax,
    reduce_logsumexp,
    sigmoid_cross_entropy_with_logits,
    softmax,
    softmax_cross_entropy_with_logits,
    sparse_softmax_cross_entropy_with_logits,
    weighted_cross_entropy_with_logits,
)

__all__ = [
    "backend",
    "log_softmax",
    "reduce_logsumexp",
    "sigmoid_cross_entropy_with_logits",
    "softmax",
    "softmax_cross_entropy_with_logits",
    "sparse_softmax_cross_entropy_with_logits",
    "weighted_cross_entropy_with_logits",
]
