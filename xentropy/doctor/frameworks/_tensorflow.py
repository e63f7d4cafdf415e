"""TensorFlow, under a tape."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from xentropy.doctor._exact import LABELS, LOGITS
from xentropy.doctor.frameworks import Loss, Numbers


def versions() -> dict[str, str]:
    """TensorFlow's."""
    return {"tensorflow": tf.__version__}


def devices() -> list[str]:
    """The host and the accelerators."""
    found = tf.config.list_physical_devices()
    return [device.name.removeprefix("/physical_device:") for device in found]


def run(loss: Loss, compiled: bool) -> Numbers:
    """The call, compiled by XLA where that is asked for, and its tape."""

    def taped(x: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            values = loss(x, labels, reduction="none")
        return values, tape.gradient(values, x)

    call = tf.function(taped, jit_compile=True, autograph=False) if compiled else taped
    found = call(tf.constant(LOGITS, tf.float32), tf.constant(LABELS, tf.int32))
    values, gradient = (tensor.numpy().ravel().tolist() for tensor in found)
    return Numbers(values, gradient)
