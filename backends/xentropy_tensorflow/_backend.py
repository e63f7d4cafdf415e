"""How xentropy talks to TensorFlow: a small namespace, and rules as custom gradients."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from xentropy._backend import Backend, Rule
from xentropy._typing import Array, Kind
from xentropy_tensorflow import _namespace as xp


class TensorFlowBackend(Backend):
    """Dense TensorFlow tensors and variables, eager or in a graph, XLA included."""

    def refuses(self, cls: type) -> str | None:
        """Tensors that are not dense."""
        if issubclass(cls, tf.RaggedTensor):
            return "pass ragged.to_tensor() and mask the padding with sample_weights="
        if issubclass(cls, tf.SparseTensor):
            return "pass tf.sparse.to_dense of it"
        return None

    def adopt(self, x: Array) -> Array:
        """A variable becomes its value; the tape still sees the variable."""
        x = tf.convert_to_tensor(x)
        if x.shape.rank is None:
            raise ValueError("a tensor of unknown rank is not supported: set its shape's rank")
        return x

    def make(self, value: object, like: Array, *, floating: bool) -> Array:
        """Python numbers and lists as a tensor."""
        return tf.convert_to_tensor(value, dtype=self.compute_dtype(like) if floating else None)

    def kind(self, x: Array) -> Kind:
        """Which kind of numbers a tensor holds."""
        if x.dtype.is_floating:
            return "real floating"
        if x.dtype.is_integer:
            return "integral"
        if x.dtype.is_complex:
            return "complex floating"
        return "bool" if x.dtype.is_bool else "other"

    def shape(self, x: Array) -> tuple[int | None, ...]:
        """The static shape."""
        return tuple(x.shape.as_list())

    def inspectable(self, x: Array) -> bool:
        """Eager, on the host."""
        return tf.is_tensor(x) and hasattr(x, "numpy") and "CPU" in (x.device or "")

    def apply(self, rule: Rule, leaves: tuple[Array | None, ...]) -> Array:
        """The value, with the gradient attached for every tape."""
        floating = tuple(
            leaf is not None and leaf.dtype.is_floating and name not in rule.constant
            for name, leaf in zip(rule.names, leaves, strict=True)
        )

        @tf.custom_gradient
        def attached(*moving: Array) -> tuple[Array, Any]:
            queue = list(moving)
            given = tuple(
                queue.pop(0) if moves else leaf
                for moves, leaf in zip(floating, leaves, strict=True)
            )
            value, residuals = rule.forward(xp, given)
            constants = tuple(tf.stop_gradient(residual) for residual in residuals)

            def pull(bar: Array) -> tuple[Array, ...]:
                found = rule.pullback(xp, given, constants, bar, floating, again=True)
                return tuple(g for g, moves in zip(found, floating, strict=True) if moves)

            return value, pull

        return attached(*(leaf for leaf, moves in zip(leaves, floating, strict=True) if moves))


backend = TensorFlowBackend("tensorflow", xp, tf.int64)
