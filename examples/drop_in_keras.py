"""Train one Keras model twice, with Keras' loss and with xentropy's: one import is different.

    KERAS_BACKEND=jax python examples/drop_in_keras.py --epochs 30

It runs on whichever backend Keras runs: KERAS_BACKEND, or what ~/.keras/keras.json says, names
tensorflow, jax or torch. It needs Keras, that backend and scikit-learn, whose digits it learns.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import keras
from keras.losses import SparseCategoricalCrossentropy as Native
from side_by_side import Run, digits, show

from xentropy_keras import SparseCategoricalCrossentropy as Ours


def train(name: str, loss: Any, epochs: int) -> Run:
    """Train with a loss: the same weights and the same batches every time."""
    training, test = digits()
    keras.utils.set_random_seed(0)
    layers = [keras.Input((64,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(10)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.003), loss=loss, metrics=["accuracy"])
    batches = {"epochs": epochs, "batch_size": 64, "verbose": 0}
    history = model.fit(training.images, training.labels, **batches)
    accuracy = model.evaluate(test.images, test.labels, verbose=0, return_dict=True)["accuracy"]
    return Run(name, history.history["loss"], accuracy)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30, help="passes over the digits (30)")
    epochs = parser.parse_args(arguments).epochs
    if keras.backend.backend() == "numpy":
        print("Keras does not train on NumPy: set KERAS_BACKEND to tensorflow, jax or torch")
        return 1
    native = train("keras.losses", Native(from_logits=True), epochs)
    ours = train("xentropy_keras", Ours(from_logits=True), epochs)
    print(f"Keras {keras.__version__} on {keras.backend.backend()}")
    show(native, ours)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
