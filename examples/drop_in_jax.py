"""Train a JAX network with an optax optimiser twice: with optax' loss, and with the drop-in.

The only difference is the import. A small network learns the handwritten digits that come with
scikit-learn; both trainings start from the same weights and see the same batches.

    python examples/drop_in_jax.py
    python examples/drop_in_jax.py --epochs 5
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from optax import softmax_cross_entropy_with_integer_labels as native
from side_by_side import Run, Split, digits, show

# The one line to change: `from optax import ...` becomes `from xentropy_jax import ...`.
from xentropy_jax import softmax_cross_entropy_with_integer_labels as ours

Params = dict[str, jax.Array]
Loss = Callable[[jax.Array, jax.Array], jax.Array]

HIDDEN, CLASSES, BATCH, RATE = 64, 10, 64, 3e-3


def new_parameters(inputs: int) -> Params:
    """Weights of a network with one hidden layer, the same ones every time."""
    first, second = jax.random.split(jax.random.key(0))
    return {
        "hidden": jax.random.normal(first, (inputs, HIDDEN)) * inputs**-0.5,
        "shift": jnp.zeros(HIDDEN),
        "out": jax.random.normal(second, (HIDDEN, CLASSES)) * HIDDEN**-0.5,
    }


def predict(params: Params, images: jax.Array) -> jax.Array:
    """The logits."""
    return jax.nn.relu(images @ params["hidden"] + params["shift"]) @ params["out"]


def train(name: str, loss: Loss, data: tuple[Split, Split], epochs: int) -> Run:
    """Adam over the batches of every epoch."""
    optimiser = optax.adam(RATE)

    def mean(params: Params, images: jax.Array, labels: jax.Array) -> jax.Array:
        return loss(predict(params, images), labels).mean()

    @jax.jit
    def step(params: Params, state: Any, images: jax.Array, labels: jax.Array) -> Any:
        value, slope = jax.value_and_grad(mean)(params, images, labels)
        updates, state = optimiser.update(slope, state)
        return optax.apply_updates(params, updates), state, value

    known, held = data
    params = new_parameters(known.images.shape[1])
    state, curve = optimiser.init(params), []
    draw = np.random.default_rng(0)
    for _ in range(epochs):
        values = []
        for place in batches(len(known.labels), draw):
            params, state, value = step(params, state, known.images[place], known.labels[place])
            values.append(value)
        curve.append(float(np.mean(values)))
    hits = predict(params, jnp.asarray(held.images)).argmax(-1) == held.labels
    return Run(name, curve, float(hits.mean()))


def batches(rows: int, draw: np.random.Generator) -> np.ndarray:
    """The places of whole batches, in a new order."""
    whole = rows - rows % BATCH
    return draw.permutation(rows)[:whole].reshape(-1, BATCH)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train both ways and print the curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    epochs = parser.parse_args(arguments).epochs
    data = digits()
    show(train("optax", native, data, epochs), train("xentropy_jax", ours, data, epochs))


if __name__ == "__main__":
    main()
