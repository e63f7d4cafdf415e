"""What the names in the code of TensorFlow's differences mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from drop_ins import pick

import xentropy_tensorflow

FUNCTIONS = (
    "softmax",
    "log_softmax",
    "reduce_logsumexp",
    "softmax_cross_entropy_with_logits",
    "sparse_softmax_cross_entropy_with_logits",
    "sigmoid_cross_entropy_with_logits",
    "weighted_cross_entropy_with_logits",
)


def names(*, ours: bool) -> dict[str, Any]:
    """TensorFlow's names, and its functions or the drop-ins."""
    functions = pick(xentropy_tensorflow, *FUNCTIONS)
    if not ours:
        functions = {name: native(name) for name in FUNCTIONS}
    makers = ("constant", "zeros", "cast", "ragged", "reduce_mean")
    framework = pick(tf, *makers, "float16", "bfloat16", "uint8")
    helpers = {"inf": float("inf"), "grad": grad, "mixed": mixed, "graph": graph}
    more = {"rank": rank, "unknown": unknown}
    return {**framework, **functions, **helpers, **more}


def native(name: str) -> Callable[..., Any]:
    """TensorFlow's own function: a reduction is not among those of neural networks."""
    return tf.reduce_logsumexp if name == "reduce_logsumexp" else getattr(tf.nn, name)


def grad(function: Callable[[Any], Any], x: Any) -> Any:
    """The gradient of the sum of the values."""
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x)
    return tape.gradient(value, x)


def mixed(function: Callable[[Any, Any], Any], labels: Any, logits: Any) -> Any:
    """The gradient by the labels of the first entry of the gradient by the logits."""
    return grad(lambda t: grad(lambda x: function(t, x), logits)[..., 0], labels)


def graph(function: Callable[..., Any], *tensors: Any) -> Any:
    """The function traced, as a graph without XLA."""
    return tf.function(function, autograph=False)(*map(tf.constant, tensors))


def rank(function: Callable[..., Any], tensor: Any) -> Any:
    """The function traced for a tensor of unknown rank."""
    signature = [tf.TensorSpec(None, tf.float32)]
    return tf.function(function, input_signature=signature, autograph=False)(tensor)


def unknown(function: Callable[..., Any], *tensors: Any) -> Any:
    """The function traced for matrices of unknown lengths."""
    signature = [tf.TensorSpec([None, None], tf.float32)] * len(tensors)
    traced = tf.function(function, input_signature=signature, autograph=False)
    return traced(*map(tf.constant, tensors))
