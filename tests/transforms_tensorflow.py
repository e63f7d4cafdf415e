"""TensorFlow's ways to differentiate, by the names that derivatives.py declares."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from derivatives import SAMPLES, Found, exact

Accumulator = tf.autodiff.ForwardAccumulator


class Problem:
    """A sample in float64 tensors; ``total`` is the weighted sum of its values."""

    def __init__(self, name: str) -> None:
        sample, known = SAMPLES[name], exact(name)
        self.sample = sample
        self.constants = {k: tf.constant(v) for k, v in sample.constants.items()}
        self.weights = tf.constant(known.weights)
        self.leaves = [tf.constant(v) for v in sample.leaves.values()]
        self.directions = [tf.constant(v) for v in known.directions]

    def total(self, *leaves: Any) -> Any:
        return tf.reduce_sum(self.weights * self.sample.call(self.constants, *leaves))

    def gradient(self, *leaves: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(leaves)
            total = self.total(*leaves)
        return list(tape.gradient(total, leaves))

    def product(self, *leaves: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(leaves)
            pairs = zip(self.gradient(*leaves), self.directions, strict=True)
            slope = sum(tf.reduce_sum(g * v) for g, v in pairs)
        return list(tape.gradient(slope, leaves))

    def slope(self, *leaves: Any) -> Any:
        with Accumulator(list(leaves), self.directions) as forward:
            total = self.total(*leaves)
        return forward.jvp(total)

    def pushed(self, *leaves: Any) -> Any:
        with Accumulator(list(leaves), self.directions) as forward:
            gradient = self.gradient(*leaves)
        return [forward.jvp(g) for g in gradient]


def plain(xs: Sequence[Any]) -> list[np.ndarray]:
    return [x.numpy() for x in xs]


def compiled(function: Any, **options: Any) -> Any:
    return tf.function(function, autograph=False, **options)


def gradient_tape(p: Problem) -> Found:
    return Found(gradient=plain(p.gradient(*p.leaves)))


def nested_tapes(p: Problem) -> Found:
    return Found(product=plain(p.product(*p.leaves)))


def forward_accumulator(p: Problem) -> Found:
    return Found(slope=float(p.slope(*p.leaves)))


def accumulator_over_tape(p: Problem) -> Found:
    return Found(product=plain(p.pushed(*p.leaves)))


def vectorized_map(p: Problem) -> Found:
    """A batch whose second entry is the sample."""
    batch = [tf.stack((x + v, x)) for x, v in zip(p.leaves, p.directions, strict=True)]
    batched = tf.vectorized_map(lambda row: p.gradient(*row), batch)
    return Found(gradient=[g[1].numpy() for g in batched])


def function_unknown_shapes(p: Problem) -> Found:
    signature = [tf.TensorSpec([None] * x.shape.rank, x.dtype) for x in p.leaves]
    gradient = compiled(p.gradient, input_signature=signature)
    product = compiled(p.product, input_signature=signature)
    return Found(gradient=plain(gradient(*p.leaves)), product=plain(product(*p.leaves)))


def function_xla(p: Problem) -> Found:
    gradient, product = (compiled(f, jit_compile=True) for f in (p.gradient, p.product))
    return Found(gradient=plain(gradient(*p.leaves)), product=plain(product(*p.leaves)))


def accumulator_in_a_function(p: Problem) -> Found:
    slope, pushed = compiled(p.slope), compiled(p.pushed)
    return Found(slope=float(slope(*p.leaves)), product=plain(pushed(*p.leaves)))


def saved_model(p: Problem) -> Found:
    """The loss and its gradient, saved and loaded."""
    module = tf.Module()
    signature = [tf.TensorSpec(x.shape, x.dtype) for x in p.leaves]
    module.total = compiled(p.total, input_signature=signature)
    module.gradient = compiled(p.gradient, input_signature=signature)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder)
        loaded = tf.saved_model.load(folder)
        value = float(loaded.total(*p.leaves))
        return Found(value=value, gradient=plain(loaded.gradient(*p.leaves)))
