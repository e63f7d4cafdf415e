"""Train the same classifier four times: NumPy, PyTorch, TensorFlow and JAX, one loss.

Multinomial logistic regression on the handwritten digits that come with scikit-learn, by plain
gradient descent from zero. `predict` and `objective` are written once and run on every
framework; what is left to each framework is how it makes an array and how it is asked for a
gradient, which is a few lines apiece.

    python examples/digits.py
    python examples/digits.py --backend numpy --backend torch --steps 50 --out curves.png
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import digits_report as report
import numpy as np
from numpy.typing import NDArray

import xentropy as xe

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

Array = Any


# --- the model: one code path for every framework -----------------------------------------


def predict(weights: Array, images: Array) -> Array:
    """Logits of a linear classifier; the last column of `images` is 1 and carries the bias."""
    return images @ weights


def objective(weights: Array, images: Array, labels: Array) -> Array:
    """Mean cross-entropy: the framework is whatever the arrays belong to."""
    return xe.cross_entropy(predict(weights, images), labels)


# --- what each framework does its own way -------------------------------------------------


class Framework(Protocol):
    """How a framework makes an array, gives one back, and differentiates `objective`."""

    name: str

    def array(self, values: NDArray[Any]) -> Array: ...

    def numpy(self, array: Array) -> NDArray[Any]: ...

    def value_and_grad(
        self, weights: Array, images: Array, labels: Array
    ) -> tuple[Array, Array]: ...


class NumPy:
    """No autograd: `xe.value_and_grad` gives the logits' gradient, one product the weights'."""

    name = "numpy"

    def array(self, values: NDArray[Any]) -> Array:
        return values

    def numpy(self, array: Array) -> NDArray[Any]:
        return np.asarray(array)

    def value_and_grad(self, weights: Array, images: Array, labels: Array) -> tuple[Array, Array]:
        logits = predict(weights, images)
        value, slope = xe.value_and_grad(xe.cross_entropy)(logits, labels)
        return value, images.T @ slope


class Torch:
    """`backward()` in its functional spelling."""

    name = "torch"

    def __init__(self) -> None:
        import torch

        self.torch = torch

    def array(self, values: NDArray[Any]) -> Array:
        return self.torch.from_numpy(values)

    def numpy(self, array: Array) -> NDArray[Any]:
        return np.asarray(array.detach())

    def value_and_grad(self, weights: Array, images: Array, labels: Array) -> tuple[Array, Array]:
        leaf = weights.detach().requires_grad_()
        value = objective(leaf, images, labels)
        return value.detach(), self.torch.autograd.grad(value, leaf)[0]


class TensorFlow:
    """A gradient tape inside a `tf.function`."""

    name = "tensorflow"

    def __init__(self) -> None:
        import tensorflow as tf

        self.tf = tf
        self.value_and_grad = tf.function(self._value_and_grad)

    def array(self, values: NDArray[Any]) -> Array:
        return self.tf.constant(values)

    def numpy(self, array: Array) -> NDArray[Any]:
        return np.asarray(array)

    def _value_and_grad(self, weights: Array, images: Array, labels: Array) -> tuple[Array, Array]:
        with self.tf.GradientTape() as tape:
            tape.watch(weights)
            value = objective(weights, images, labels)
        return value, tape.gradient(value, weights)


class Jax:
    """`jax.jit` of `jax.value_and_grad`."""

    name = "jax"

    def __init__(self) -> None:
        import jax

        # JAX makes float64 arrays only when this is on; float32 ones stay what they are.
        config: Any = jax.config
        config.update("jax_enable_x64", True)
        self.jnp = jax.numpy
        self.value_and_grad = jax.jit(jax.value_and_grad(objective))

    def array(self, values: NDArray[Any]) -> Array:
        return self.jnp.asarray(values)

    def numpy(self, array: Array) -> NDArray[Any]:
        return np.asarray(array)


FRAMEWORKS: Mapping[str, Callable[[], Framework]] = {
    "numpy": NumPy,
    "torch": Torch,
    "tensorflow": TensorFlow,
    "jax": Jax,
}


# --- data and training --------------------------------------------------------------------


@dataclass(frozen=True)
class Digits:
    """Images as rows of 64 pixels and a 1, and their labels."""

    train_images: NDArray[Any]
    train_labels: NDArray[Any]
    test_images: NDArray[Any]
    test_labels: NDArray[Any]


@dataclass(frozen=True)
class Run:
    """One framework's training: the loss before every step, and the logits of the test images."""

    name: str
    losses: NDArray[np.float64]
    logits: NDArray[Any]
    accuracy: float


def load_digits(dtype: str) -> Digits:
    """Read the digits, scale the pixels to [0, 1], hold a quarter back for the test."""
    from sklearn.datasets import load_digits as read
    from sklearn.model_selection import train_test_split

    pixels, labels = read(return_X_y=True)
    images = np.hstack([pixels / 16, np.ones((len(pixels), 1))]).astype(dtype)
    parts = train_test_split(images, labels, test_size=0.25, random_state=0, stratify=labels)
    return Digits(parts[0], parts[2], parts[1], parts[3])


def train(framework: Framework, digits: Digits, steps: int, rate: float) -> Run:
    """Descend the objective from zero weights in full batches."""
    images = framework.array(digits.train_images)
    labels = framework.array(digits.train_labels)
    weights = framework.array(np.zeros((images.shape[1], 10), digits.train_images.dtype))
    losses = []
    for _ in range(steps):
        value, gradient = framework.value_and_grad(weights, images, labels)
        weights = weights - rate * gradient
        losses.append(float(value))
    logits = framework.numpy(predict(weights, framework.array(digits.test_images)))
    accuracy = float(np.mean(logits.argmax(-1) == digits.test_labels))
    return Run(framework.name, np.array(losses), logits, accuracy)


def is_installed(name: str) -> bool:
    """Look for a framework without importing it."""
    return importlib.util.find_spec(name) is not None


def train_all(names: Sequence[str], digits: Digits, steps: int, rate: float) -> list[Run]:
    """Train on every framework named that is installed, and say which are not."""
    runs = []
    for name in names:
        if not is_installed(name):
            print(f"{name}: not installed, skipped")
            continue
        runs.append(train(FRAMEWORKS[name](), digits, steps, rate))
    return runs


# --- the command line --------------------------------------------------------------------


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train on digits with one loss, four frameworks.")
    add = parser.add_argument
    add("--backend", action="append", choices=FRAMEWORKS, help="repeatable (default: all four)")
    add("--steps", type=int, default=500, help="number of gradient steps (default: 500)")
    add("--rate", type=float, default=0.5, help="step size (default: 0.5)")
    add("--dtype", choices=["float32", "float64"], default="float32")
    add("--out", type=Path, default=Path("digits.png"), help="where the plot goes")
    add("--write-logits", type=Path, metavar="PATH", help="write 32 rows of test logits as JSON")
    options = parser.parse_args(arguments)
    if options.steps < 1:
        parser.error(f"--steps must be at least 1, got {options.steps}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, print, draw; return 1 when there was nothing to train with."""
    options = parse(arguments)
    digits = load_digits(options.dtype)
    names = list(dict.fromkeys(options.backend or FRAMEWORKS))
    runs = train_all(names, digits, options.steps, options.rate)
    if not runs:
        return 1
    report.print_table(runs)
    if options.write_logits:
        report.write_logits(runs[0], digits, options.write_logits)
        print(f"logits of {runs[0].name} written to {options.write_logits}")
    report.plot(runs, options.out, float(np.finfo(options.dtype).eps))
    print(f"plot written to {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
