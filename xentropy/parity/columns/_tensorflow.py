"""TensorFlow: gradients through ``GradientTape``, compiled through
``tf.function(jit_compile=True)``.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import tensorflow as tf

from xentropy.parity._case import Array, Case
from xentropy.parity.columns._adapter import Result, along, described, output
from xentropy.parity.columns._array import entries, numpy_array
from xentropy.parity.columns._tensorflow_twins import twin
from xentropy.parity.columns._twins import Call, Twin


class Tensorflow:
    """TensorFlow's tensors."""

    autograd = True

    def __init__(self, compiled: bool) -> None:
        self.compiled = compiled

    def context(self, case: Case) -> AbstractContextManager[Any]:
        """Nothing special."""
        return nullcontext()

    def lacks(self, case: Case) -> str | None:
        """TensorFlow has every dtype of the matrix."""
        return None

    def tensor(self, held: Array) -> Any:
        """A tensor."""
        return tf.constant(numpy_array(held))

    def foreign(self, held: Array) -> Any:
        """A NumPy array."""
        return numpy_array(held)

    def start(self) -> None:
        """TensorFlow may remember everything."""

    def forward(self, case: Case, call: Call) -> Call:
        """The call, compiled by XLA where that is asked for."""
        if not self.compiled:
            return call

        def bare(*given: Any, **tensors: Any) -> Any:
            return call(*given, **tensors)  # without the defaults of its own, which would be traced

        compiled: Call = tf.function(bare, jit_compile=True, autograph=False)
        return compiled

    def differentiate(self, case: Case, call: Call) -> Call:
        """The value and the pullback of ones, taped and compiled in one function."""

        def taped(**leaves: Any) -> Result:
            wanted = {n: leaves[n] for n in case.wrt}
            with tf.GradientTape() as tape:
                tape.watch(wanted)
                value = call(**leaves)
                found = output(case, value)
            return value, tape.gradient(found, wanted)

        return self.forward(case, taped)

    def derivatives(self, case: Case, call: Call) -> Call:
        """Forward accumulation over the value and over its tape, in one function."""

        def run(tensors: Any, directions: Any) -> Any:
            names, paths = list(directions), along(case, call, tensors, _taped)
            primals, slopes = ([held[n] for n in names] for held in (tensors, directions))
            with tf.autodiff.ForwardAccumulator(primals, slopes) as forward:
                moving = dict(zip(names, primals, strict=True))
                reached = {name: path(moving) for name, path in paths.items()}
            return {n: forward.jvp(r, tf.UnconnectedGradients.ZERO) for n, r in reached.items()}

        return self.forward(case, run)

    def read(self, tensor: Any) -> tuple[str, tuple[int, ...], list[float]]:
        """A tensor."""
        return tensor.dtype.name, tuple(tensor.shape), entries(tf.cast(tensor, tf.float64).numpy())

    def describe(self, error: Exception) -> tuple[list[str], str]:
        """The error as it is."""
        return described(error)

    def native(self, case: Case) -> Twin | None:
        """TensorFlow's function."""
        return twin(case)


def _taped(function: Call) -> Call:
    """The gradient of a function's sum."""

    def gradient(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        return tape.gradient(value, x)

    return gradient


def make(compiled: bool) -> Tensorflow:
    """The adapter."""
    return Tensorflow(compiled)
