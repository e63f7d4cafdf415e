"""The support table of the documentation: every function in every way of running it, tried out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import blocks
import numpy as np
from kits import Array, Function, JaxKit, Kit, NumPyKit, TensorFlowKit, TorchKit
from numpy.typing import NDArray

import xentropy as xe

Compiler = Callable[[Function], Function]
X = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
LABELS = [0, 2, 1, 1, 0]
HALVES = np.full((5, 3), 0.5, "float32").tolist()

# The targets are Python lists, which a call of any framework takes, and a compiler closes over.
FUNCTIONS: Mapping[str, Function] = {
    "softmax": xe.softmax,
    "log_softmax": xe.log_softmax,
    "logsumexp": xe.logsumexp,
    "sigmoid": xe.sigmoid,
    "log_sigmoid": xe.log_sigmoid,
    "cross_entropy": partial(xe.cross_entropy, targets=LABELS),
    "nll_loss": partial(xe.nll_loss, targets=LABELS),
    "binary_cross_entropy": partial(xe.binary_cross_entropy, targets=HALVES),
    "entropy": xe.entropy,
    "kl_divergence": partial(xe.kl_divergence, targets=HALVES),
    "focal_loss": partial(xe.focal_loss, targets=LABELS),
    "poly_loss": partial(xe.poly_loss, targets=LABELS),
    "generalized_cross_entropy": partial(xe.generalized_cross_entropy, targets=LABELS),
    "score": partial(xe.score, targets=LABELS),
}


class StrictKit(NumPyKit):
    """array-api-strict, for any other array-API namespace: the standard and nothing else."""

    name = "array-api-strict"

    def array(self, values: Any, dtype: str) -> Array:
        import array_api_strict as strict

        return strict.asarray(values, dtype=getattr(strict, dtype))


def ways() -> Mapping[str, tuple[Kit, Compiler | None]]:
    """Return every way of running a function: its framework, and how that compiles."""
    torch, tensorflow, jax = TorchKit(), TensorFlowKit(), JaxKit()
    return {
        "NumPy": (NumPyKit(), None),
        "PyTorch": (torch, None),
        "`torch.compile`": (torch, partial(torch.compile, fullgraph=True)),
        "TensorFlow": (tensorflow, None),
        "`tf.function`": (tensorflow, partial(tensorflow.compile, jit_compile=False)),
        "XLA": (tensorflow, tensorflow.compile),
        "JAX": (jax, None),
        "`jax.jit`": (jax, jax.compile),
        "array API": (StrictKit(), None),
    }


def value_and_grad(
    function: Function, kit: Kit, compiler: Compiler | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Run a function and its gradient, by autograd where the framework has it."""
    x = kit.array(X, "float32")
    if isinstance(kit, NumPyKit):
        value, gradient = xe.value_and_grad(function)(x)
        return kit.numpy(first(value)), kit.numpy(gradient)
    called = function if compiler is None else compiler(function)
    return kit.numpy(first(called(x))), kit.gradient(lambda x: first(called(x)), x)


def first(result: Any) -> Array:
    """The loss of a score, and any other result itself."""
    return result.loss if isinstance(result, xe.Score) else result


def mark(name: str, way: str, kit: Kit, compiler: Compiler | None) -> str:
    """Tick a function that gives the value and the gradient of float64 on NumPy."""
    function = FUNCTIONS[name]
    value, gradient = xe.value_and_grad(function)(X.astype("float64"))
    try:
        found = value_and_grad(function, kit, compiler)
        for ours, true in zip(found, (first(value), gradient), strict=True):
            np.testing.assert_allclose(ours, true, rtol=1e-5, atol=1e-7)
    except Exception as error:  # whatever the framework raises, the table cannot claim the cell
        raise SystemExit(f"{name} does not work in {way}: {error}") from error
    return "✓"


def table() -> str:
    """Try everything."""
    columns = ways()
    rows = [
        [f"`{name}`", *(mark(name, title, *way) for title, way in columns.items())]
        for name in FUNCTIONS
    ]
    lines = [["", *columns], ["---"] + [":-:"] * len(columns), *rows]
    return "\n".join(map(blocks.line, lines)) + "\n"
