"""One way to make arrays, call functions and take gradients in every framework.

A test that takes the fixture ``framework`` runs once for every backend, and one that takes
``mode`` as well once eagerly and once compiled where the framework can compile.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import xentropy as xe

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

FLOATS = ("float16", "bfloat16", "float32", "float64")
Call = Callable[..., Any]


def as_numpy(values: Any, dtype: str) -> np.ndarray:
    """Nested lists or an array as NumPy, with ml_dtypes' bfloat16."""
    if dtype == "bfloat16":
        import ml_dtypes

        return np.asarray(values, dtype=ml_dtypes.bfloat16)
    return np.asarray(values, dtype=dtype)


def public_functions() -> list[str]:
    """The functions of arrays that the package offers: what has values and gradients."""
    return [name for name in xe.__all__ if hasattr(getattr(xe, name), "__xentropy_prepare__")]


class Framework:
    """NumPy; the other frameworks override what they do otherwise."""

    name = "numpy"
    module = "numpy"
    modes: Sequence[str] = ("eager",)
    floats: Sequence[str] = FLOATS
    autograd = False

    @classmethod
    def installed(cls) -> bool:
        return importlib.util.find_spec(cls.module) is not None

    def array(self, values: Any, dtype: str = "float32") -> Any:
        return as_numpy(values, dtype)

    def numpy(self, x: Any) -> np.ndarray:
        """Back to NumPy; half types as float32, which holds them exactly."""
        x = np.asarray(x)
        return x.astype(np.float32) if x.dtype.name == "bfloat16" else x

    def dtype(self, x: Any) -> str:
        return str(np.asarray(x).dtype)

    def call(self, function: Call, *arrays: Any, mode: str = "eager", **options: Any) -> Any:
        """The result of a function of arrays, options fixed."""
        return function(*arrays, **options)

    def value_and_grads(
        self,
        function: Call,
        *arrays: Any,
        wrt: Sequence[int] = (0,),
        mode: str = "eager",
        **options: Any,
    ) -> tuple[Any, list[Any]]:
        """A value and its gradients by some of the arrays, through the framework's autograd.

        For a value with dimensions they are the gradients of its sum. Arrays among the options
        are constants. NumPy and other frameworks without autograd use xentropy's own.
        """
        import inspect

        names = list(inspect.signature(function).parameters)
        wanted = tuple(names[i] for i in wrt)
        value, grads = xe.value_and_grad(function, wrt=wanted)(*arrays, **options)
        return value, list(grads)

    def value_and_grad(
        self, function: Call, x: Any, *args: Any, mode: str = "eager", **options: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """A value and its gradient by the first array, both as NumPy arrays."""
        value, (grad,) = self.value_and_grads(function, x, *args, mode=mode, **options)
        return self.numpy(value), self.numpy(grad)


class Strict(Framework):
    name = "strict"
    module = "array_api_strict"
    floats = ("float32", "float64")

    def array(self, values: Any, dtype: str = "float32") -> Any:
        import array_api_strict

        return array_api_strict.asarray(np.asarray(values, dtype=dtype))

    def numpy(self, x: Any) -> np.ndarray:
        return np.from_dlpack(x)

    def dtype(self, x: Any) -> str:
        return str(x.dtype).rpartition(".")[2]


class Torch(Framework):
    name = "torch"
    module = "torch"
    modes = ("eager", "compiled")
    autograd = True

    def array(self, values: Any, dtype: str = "float32") -> Any:
        import torch

        if isinstance(values, np.ndarray) and values.dtype.name == "bfloat16":
            values = values.astype(np.float32)
        return torch.tensor(values, dtype=getattr(torch, dtype))

    def numpy(self, x: Any) -> np.ndarray:
        import torch

        x = x.detach()
        return (x.float() if x.dtype == torch.bfloat16 else x).numpy()

    def dtype(self, x: Any) -> str:
        return str(x.dtype).removeprefix("torch.")

    def call(self, function: Call, *arrays: Any, mode: str = "eager", **options: Any) -> Any:
        return self._wrap(function, mode)(*arrays, **options)

    def _wrap(self, function: Call, mode: str) -> Call:
        import torch

        if mode == "eager":
            return function
        torch._dynamo.reset()
        return torch.compile(function, fullgraph=True, backend="aot_eager")

    def value_and_grads(
        self,
        function: Call,
        *arrays: Any,
        wrt: Sequence[int] = (0,),
        mode: str = "eager",
        **options: Any,
    ) -> tuple[Any, list[Any]]:
        import torch

        moving = [x.detach().clone().requires_grad_(i in wrt) for i, x in enumerate(arrays)]
        value = self._wrap(function, mode)(*moving, **options)
        grads = torch.autograd.grad(value.sum(), [moving[i] for i in wrt])
        return value, list(grads)


class TensorFlow(Framework):
    name = "tensorflow"
    module = "tensorflow"
    modes = ("eager", "compiled")
    autograd = True

    def array(self, values: Any, dtype: str = "float32") -> Any:
        import tensorflow as tf

        return tf.cast(tf.constant(np.asarray(values)), getattr(tf, dtype))

    def numpy(self, x: Any) -> np.ndarray:
        return super().numpy(x.numpy())

    def dtype(self, x: Any) -> str:
        return str(x.dtype.name)

    def call(self, function: Call, *arrays: Any, mode: str = "eager", **options: Any) -> Any:
        import tensorflow as tf

        if mode == "eager":
            return function(*arrays, **options)
        compiled = tf.function(
            lambda *x: function(*x, **options), jit_compile=True, autograph=False
        )
        return compiled(*arrays)

    def value_and_grads(
        self,
        function: Call,
        *arrays: Any,
        wrt: Sequence[int] = (0,),
        mode: str = "eager",
        **options: Any,
    ) -> tuple[Any, list[Any]]:
        import tensorflow as tf

        def both(*moving: Any) -> tuple[Any, list[Any]]:
            with tf.GradientTape() as tape:
                watched = [moving[i] for i in wrt]
                tape.watch(watched)
                value = function(*moving, **options)
            return value, tape.gradient(value, watched)

        if mode == "compiled":
            both = tf.function(both, jit_compile=True, autograph=False)
        return both(*arrays)


class Jax(Framework):
    name = "jax"
    module = "jax"
    modes = ("eager", "compiled")
    autograd = True

    def __init__(self) -> None:
        import jax

        # float64 cases need it; the tests of the default are in test_jax.py.
        jax.config.update("jax_enable_x64", True)

    def array(self, values: Any, dtype: str = "float32") -> Any:
        import jax.numpy as jnp

        return jnp.asarray(np.asarray(values), dtype=dtype)

    def dtype(self, x: Any) -> str:
        return str(x.dtype)

    def call(self, function: Call, *arrays: Any, mode: str = "eager", **options: Any) -> Any:
        import jax

        def fixed(*x: Any) -> Any:
            return function(*x, **options)

        return jax.jit(fixed)(*arrays) if mode == "compiled" else fixed(*arrays)

    def value_and_grads(
        self,
        function: Call,
        *arrays: Any,
        wrt: Sequence[int] = (0,),
        mode: str = "eager",
        **options: Any,
    ) -> tuple[Any, list[Any]]:
        import jax

        def both(*x: Any) -> tuple[Any, list[Any]]:
            def total(*moving: Any) -> tuple[Any, Any]:
                value = function(*moving, **options)
                return value.sum(), value

            grads, value = jax.grad(total, argnums=tuple(wrt), has_aux=True)(*x)
            return value, list(grads)

        return jax.jit(both)(*arrays) if mode == "compiled" else both(*arrays)


FRAMEWORKS: dict[str, type[Framework]] = {
    cls.name: cls for cls in (Framework, Torch, TensorFlow, Jax, Strict)
}
