"""Keras on the backend that KERAS_BACKEND names: what the tests in on_keras share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

BACKEND = keras.backend.backend()
#: The backends that can train.
TRAINS = BACKEND != "numpy"
needs_gradients = pytest.mark.skipif(not TRAINS, reason="NumPy has no gradients")


def tensor(value: Any, dtype: str | None = None) -> Any:
    """A tensor of the backend."""
    return keras.ops.convert_to_tensor(value, dtype=dtype)


def numpy(value: Any) -> np.ndarray:
    """A tensor as an array of float64."""
    if BACKEND == "torch":
        array: np.ndarray = value.detach().double().numpy()
        return array
    # TensorFlow makes no array of a bfloat16 without dimensions.
    narrow = dtype_of(value) == "bfloat16"
    return np.asarray(keras.ops.cast(value, "float32") if narrow else value, np.float64)


def dtype_of(value: Any) -> str:
    return keras.backend.standardize_dtype(value.dtype)


def grad(function: Callable[[Any], Any], x: Any, dtype: str | None = None) -> Any:
    """The gradient of the sum of a function by its tensor."""
    return {"tensorflow": _tape, "jax": _jax, "torch": _torch}[BACKEND](function, tensor(x, dtype))


def _tape(function: Callable[[Any], Any], x: Any) -> Any:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_sum(function(x))
    return tape.gradient(value, x)


def _jax(function: Callable[[Any], Any], x: Any) -> Any:
    import jax

    return jax.grad(lambda x: function(x).sum())(x)


def _torch(function: Callable[[Any], Any], x: Any) -> Any:
    leaf = x.detach().requires_grad_()
    function(leaf).sum().backward()
    return leaf.grad


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function compiled by the backend's compiler."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    import torch

    return torch.compile(function, fullgraph=True)
