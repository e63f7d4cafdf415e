"""What every framework is asked the same way: make an array, differentiate, compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = Any
Function = Callable[..., Array]


class NotOfferedError(Exception):
    """The library has no such function, option or ability."""


class Kit(Protocol):
    """One framework's way to an array, to a gradient and to a compiled function."""

    name: str

    def array(self, values: Any, dtype: str) -> Array:
        """Return a tensor of the named dtype ("bfloat16" and NumPy's names)."""

    def numpy(self, array: Array) -> NDArray[np.float64]:
        """Return the values in float64, which holds every smaller dtype exactly."""

    def gradient(self, function: Function, x: Array) -> NDArray[np.float64]:
        """Differentiate the sum of what the function returns, by the framework's autograd."""

    def compile(self, function: Function, **options: Any) -> Function:
        """Return the function compiled, with the compiler's own options."""


class NumPyKit:
    """NumPy has arrays and nothing else."""

    name = "numpy"

    def array(self, values: Any, dtype: str) -> Array:
        if dtype == "bfloat16":
            import ml_dtypes

            return np.asarray(values, ml_dtypes.bfloat16)
        return np.asarray(values, dtype)

    def numpy(self, array: Array) -> NDArray[np.float64]:
        return np.asarray(array, "float64")

    def gradient(self, function: Function, x: Array) -> NDArray[np.float64]:
        raise NotOfferedError

    def compile(self, function: Function, **options: Any) -> Function:
        raise NotOfferedError


class TorchKit:
    """PyTorch on the CPU; Inductor compiles, or another backend of `torch.compile`."""

    name = "torch"
    compiler = "inductor"

    def __init__(self) -> None:
        import torch

        self.torch = torch

    def array(self, values: Any, dtype: str) -> Array:
        return self.torch.tensor(np.asarray(values), dtype=getattr(self.torch, dtype))

    def numpy(self, array: Array) -> NDArray[np.float64]:
        return np.asarray(array.detach().double(), "float64")

    def gradient(self, function: Function, x: Array) -> NDArray[np.float64]:
        leaf = x.detach().requires_grad_()
        return self.numpy(self.torch.autograd.grad(function(leaf).sum(), leaf)[0])

    def compile(self, function: Function, **options: Any) -> Function:
        # A fresh start: the number of recompilations is limited per code object, not per function.
        self.torch._dynamo.reset()
        compiled: Function = self.torch.compile(function, backend=self.compiler, **options)
        return compiled


class TensorFlowKit:
    """TensorFlow on the CPU; XLA compiles."""

    name = "tensorflow"

    def __init__(self) -> None:
        import tensorflow as tf

        self.tf = tf

    def array(self, values: Any, dtype: str) -> Array:
        return self.tf.cast(self.tf.constant(np.asarray(values)), dtype)

    def numpy(self, array: Array) -> NDArray[np.float64]:
        return np.asarray(self.tf.cast(array, "float64"))

    def gradient(self, function: Function, x: Array) -> NDArray[np.float64]:
        with self.tf.GradientTape() as tape:
            tape.watch(x)
            total = self.tf.reduce_sum(function(x))
        return self.numpy(tape.gradient(total, x))

    def compile(self, function: Function, **options: Any) -> Function:
        compiled: Function = self.tf.function(function, **{"jit_compile": True, **options})
        return compiled


class JaxKit:
    """JAX on the CPU; `jax.jit` compiles."""

    name = "jax"

    def __init__(self) -> None:
        import jax

        self.jax = jax

    def array(self, values: Any, dtype: str) -> Array:
        # Without its 64-bit mode JAX has no int64, and warns when asked for one by name.
        return self.jax.numpy.asarray(values, None if dtype == "int64" else dtype)

    def numpy(self, array: Array) -> NDArray[np.float64]:
        return np.asarray(array).astype("float64")

    def gradient(self, function: Function, x: Array) -> NDArray[np.float64]:
        return self.numpy(self.jax.grad(lambda x: function(x).sum())(x))

    def compile(self, function: Function, **options: Any) -> Function:
        compiled: Function = self.jax.jit(function, **options)
        return compiled
