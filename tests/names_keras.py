"""What the names in the declared differences of Keras mean, natively and as drop-ins."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import keras
from drop_ins import pick
from keras_backend import dtype_of, grad, tensor

LOSSES = (
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "KLDivergence",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "kl_divergence",
    "sparse_categorical_crossentropy",
)


def names(*, ours: bool) -> dict[str, Any]:
    """Keras' names; the losses are those of the drop-ins or of ``keras.losses``."""
    module = import_module("xentropy_keras") if ours else keras.losses
    shared = {"tensor": tensor, "cast": keras.ops.cast, "dtype_of": dtype_of, "inf": math.inf}
    softmax, sigmoid = keras.activations.softmax, keras.activations.sigmoid
    shared |= {"grad": grad}
    return {**shared, "softmax": softmax, "sigmoid": sigmoid, **pick(module, *LOSSES)}
