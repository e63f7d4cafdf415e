"""Keras on TensorFlow's tensors: its losses and the drop-ins for them."""

from __future__ import annotations

import os

from xentropy.parity._case import Case
from xentropy.parity.columns._tensorflow import Tensorflow
from xentropy.parity.columns._twins import Twin


class Keras(Tensorflow):
    """TensorFlow's adapter with Keras' losses."""

    def native(self, case: Case) -> Twin | None:
        """Keras' loss."""
        from xentropy.parity.columns._keras_twins import twin

        return twin(case)


def make(compiled: bool) -> Keras:
    """The adapter."""
    os.environ["KERAS_BACKEND"] = "tensorflow"  # Keras reads it when it is imported.
    return Keras(compiled)
