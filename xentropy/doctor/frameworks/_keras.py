"""Keras: the drop-in for its loss, on the tensors of the backend that Keras is set to."""

from __future__ import annotations

from typing import Any

import keras

from xentropy.doctor._exact import LABELS, LOGITS
from xentropy.doctor.frameworks import Framework, Loss, Numbers, framework


def versions() -> dict[str, str]:
    """Keras', and those of its backend."""
    return {"keras": keras.__version__} | _below().versions()


def devices() -> list[str]:
    """Those of the backend."""
    return _below().devices()


def run(_loss: Loss, compiled: bool) -> Numbers:
    """The call of the drop-in; with NumPy below Keras has no gradients."""
    if keras.config.backend() != "numpy":
        return _below().run(drop_in, compiled)
    x, labels = keras.ops.array(LOGITS, "float32"), keras.ops.array(LABELS, "int32")
    return Numbers(drop_in(x, labels).tolist(), None)


def drop_in(logits: Any, labels: Any, **_reduction: str) -> Any:
    """Keras' own name for the call, which has no reduction."""
    from xentropy_keras import sparse_categorical_crossentropy

    return sparse_categorical_crossentropy(labels, logits, from_logits=True)


def _below() -> Framework:
    return framework(keras.config.backend())
