"""The libraries of the README's table: what each is asked, through its own functions.

Every column has some of the functions `rows` (one loss per row), `mean`, `weighted_mean`,
`kept_mean` and `kept_rows` (label -100 is ignored), `binary` and `logsumexp`; one that it does
not have, its library does not offer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from kits import Array, JaxKit, Kit, NotOfferedError, NumPyKit, TensorFlowKit, TorchKit

import xentropy as xe

IGNORED = -100


@dataclass(frozen=True)
class Ask:
    """One question: a function, what it is given, and the first entry of what is wanted."""

    function: str
    x: Any
    targets: Any = None
    weights: Any = None
    dtype: str = "float32"
    labels: str = "int64"
    gradient: bool = False
    compiled: bool = False

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The arguments after the logits, with the dtype of each."""
        soft = self.function == "binary" or np.ndim(self.targets) == np.ndim(self.x)
        targets = (self.targets, self.dtype if soft else self.labels)
        given = (targets, (self.weights, self.dtype))
        return tuple(pair for pair in given if pair[0] is not None)


class Column:
    """A library on one framework."""

    title: str

    def __init__(self, kit: Kit) -> None:
        self.kit = kit

    def answer(self, ask: Ask) -> float:
        """Return the first entry of the value or of the gradient asked for."""
        return float(self.found(ask).flat[0])

    def found(self, ask: Ask) -> Any:
        """Return the value or the gradient asked for, in float64."""
        function = getattr(self, ask.function, None)
        if function is None:
            raise NotOfferedError
        x = self.kit.array(ask.x, ask.dtype)
        rest = [self.kit.array(values, dtype) for values, dtype in ask.arguments]
        return self.evaluate(function, ask, x, rest)

    def evaluate(self, function: Callable[..., Array], ask: Ask, x: Array, rest: Any) -> Any:
        """Call the function, compiled or not, or differentiate it."""
        # The targets are arguments of what is compiled: constants could be checked by tracing it.
        called = self.kit.compile(function) if ask.compiled else function
        if ask.gradient:
            return self.kit.gradient(lambda x: called(x, *rest), x)
        return self.kit.numpy(called(x, *rest))


class PyTorch(Column):
    """`torch.nn.functional`."""

    title = "PyTorch"

    def __init__(self) -> None:
        super().__init__(TorchKit())
        import torch

        self.functional = torch.nn.functional
        self.logsumexp = lambda x: torch.logsumexp(x, -1)

    def rows(self, x: Array, targets: Array) -> Array:
        return self.functional.cross_entropy(x, targets, reduction="none")

    def mean(self, x: Array, targets: Array) -> Array:
        return self.functional.cross_entropy(x, targets)

    def weighted_mean(self, x: Array, targets: Array, weights: Array) -> Array:
        return self.functional.cross_entropy(x, targets, weights)

    kept_mean = mean  # -100 is its default ignore_index
    kept_rows = rows

    def binary(self, x: Array, targets: Array) -> Array:
        return self.functional.binary_cross_entropy_with_logits(x, targets, reduction="none")


class TensorFlow(Column):
    """`tf.nn`."""

    title = "TensorFlow"

    def __init__(self) -> None:
        super().__init__(TensorFlowKit())
        import tensorflow as tf

        self.tf = tf
        self.logsumexp = lambda x: tf.reduce_logsumexp(x, -1)

    def rows(self, x: Array, targets: Array) -> Array:
        if targets.dtype.is_integer:
            return self.tf.nn.sparse_softmax_cross_entropy_with_logits(targets, x)
        return self.tf.nn.softmax_cross_entropy_with_logits(targets, x)

    def mean(self, x: Array, targets: Array) -> Array:
        return self.tf.reduce_mean(self.rows(x, targets))

    def binary(self, x: Array, targets: Array) -> Array:
        return self.tf.nn.sigmoid_cross_entropy_with_logits(targets, x)


class Keras(Column):
    """The loss classes of Keras, on TensorFlow."""

    title = "Keras"

    def __init__(self) -> None:
        super().__init__(TensorFlowKit())
        import keras

        self.losses = keras.losses
        self.logsumexp = lambda x: keras.ops.logsumexp(x, -1)

    def _loss(self, x: Array, targets: Array, reduction: str | None, ignored: int | None) -> Array:
        options: dict[str, Any] = {"from_logits": True, "reduction": reduction}
        if targets.dtype.is_integer:
            options["ignore_class"] = ignored
            return self.losses.SparseCategoricalCrossentropy(**options)(targets, x)
        return self.losses.CategoricalCrossentropy(**options)(targets, x)

    def rows(self, x: Array, targets: Array) -> Array:
        return self._loss(x, targets, None, None)

    def mean(self, x: Array, targets: Array) -> Array:
        return self._loss(x, targets, "mean", None)

    def kept_rows(self, x: Array, targets: Array) -> Array:
        return self._loss(x, targets, None, IGNORED)

    def kept_mean(self, x: Array, targets: Array) -> Array:
        return self._loss(x, targets, "mean", IGNORED)

    def binary(self, x: Array, targets: Array) -> Array:
        # The mean over the last axis is part of this loss, so each element gets one of its own.
        loss = self.losses.BinaryCrossentropy(from_logits=True, reduction=None)
        return loss(targets[..., None], x[..., None])


class Optax(Column):
    """`optax`, and `jax.nn` for log-sum-exp."""

    title = "JAX (optax)"

    def __init__(self) -> None:
        super().__init__(JaxKit())
        import jax
        import optax

        self.optax = optax
        self.logsumexp = lambda x: jax.nn.logsumexp(x, -1)
        self.binary = optax.sigmoid_binary_cross_entropy

    def rows(self, x: Array, targets: Array) -> Array:
        if targets.ndim < x.ndim:
            return self.optax.softmax_cross_entropy_with_integer_labels(x, targets)
        return self.optax.softmax_cross_entropy(x, targets)

    def mean(self, x: Array, targets: Array) -> Array:
        return self.rows(x, targets).mean()

    def kept_rows(self, x: Array, targets: Array) -> Array:
        loss = self.optax.softmax_cross_entropy_with_integer_labels
        return loss(x, targets, where=targets != IGNORED)


class SciPy(Column):
    """`scipy.special`, whose log_softmax is what a loss by hand starts from."""

    title = "SciPy"

    def __init__(self) -> None:
        super().__init__(NumPyKit())
        from scipy import special

        self.special = special
        self.logsumexp = lambda x: special.logsumexp(x, axis=-1)

    def rows(self, x: Array, targets: Array) -> Array:
        logs = self.special.log_softmax(x, axis=-1)
        if targets.ndim == x.ndim:
            return -(targets * logs).sum(-1)
        if targets.min() < 0:
            raise NotOfferedError  # picking the label's entry is NumPy's part, not SciPy's
        return -np.take_along_axis(logs, targets[:, None], -1)


class Xentropy(Column):
    """This package, on one of its backends."""

    calls: Mapping[str, tuple[Callable[..., Any], Mapping[str, Any]]] = {
        "rows": (xe.cross_entropy, {"reduction": "none"}),
        "mean": (xe.cross_entropy, {}),
        "weighted_mean": (xe.cross_entropy, {}),
        "kept_mean": (xe.cross_entropy, {"ignore_index": IGNORED}),
        "kept_rows": (xe.cross_entropy, {"ignore_index": IGNORED, "reduction": "none"}),
        "binary": (xe.binary_cross_entropy, {"reduction": "none"}),
        "logsumexp": (xe.logsumexp, {}),
    }

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit)
        self.title = f"xentropy on {kit.name}"

    def __getattr__(self, name: str) -> Callable[..., Array]:
        function, options = self.calls[name]

        def call(x: Array, *rest: Array) -> Array:
            return function(x, **self._named(rest), **options)

        return call

    def evaluate(self, function: Callable[..., Array], ask: Ask, x: Array, rest: Any) -> Any:
        if not (ask.gradient and isinstance(self.kit, NumPyKit)):
            return super().evaluate(function, ask, x, rest)
        loss, options = self.calls[ask.function]
        return xe.value_and_grad(loss)(x, **self._named(rest), **options)[1]

    @staticmethod
    def _named(rest: Sequence[Array]) -> dict[str, Array]:
        return dict(zip(("targets", "class_weights"), rest, strict=False))
