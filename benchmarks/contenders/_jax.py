"""JAX: called plainly and inside the user's jit, beside jitted optax."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
import optax
from jax import numpy as jnp

import xentropy as xe
from benchmarks import peak
from benchmarks.cases import Cell
from benchmarks.contenders._contender import Answer, Contender, Pair
from benchmarks.inputs import Inputs

Operands = tuple[jax.Array, jax.Array]
Step = Callable[[jax.Array, jax.Array], Any]


class Jax:
    """JAX's arrays on a device."""

    def __init__(self, platform: str) -> None:
        self.device = platform
        self.place = jax.devices(platform)[0]

    def start(self) -> None:
        """Forget what was compiled."""
        jax.clear_caches()  # type: ignore[no-untyped-call]

    def operands(self, inputs: Inputs) -> Operands:
        """Arrays on the device, labels as int32."""
        hard = inputs.targets.dtype.kind == "i"
        targets = inputs.targets.astype(np.int32) if hard else inputs.targets
        return jax.device_put(inputs.logits, self.place), jax.device_put(targets, self.place)

    def pairs(self, cell: Cell) -> Sequence[Pair]:
        """Ours called plainly and in jit, both against jitted optax, and a copy."""
        ours = _step(cell, partial(xe.cross_entropy, axis=cell.axis))
        name, loss = _optax(cell)
        plain = _contender("xe.cross_entropy", ours)
        inside = _contender("xe.cross_entropy, jit", jax.jit(ours))
        theirs = _contender(f"{name}, jit", jax.jit(_step(cell, loss)))
        copy = Contender("copy", lambda given: (jnp.copy(given[0]),))
        return (
            Pair("plain", plain, theirs),
            Pair("plain", plain, copy, "copy"),
            Pair("jit", inside, theirs),
        )

    def wait(self, result: Any) -> None:
        """JAX computes while Python goes on."""
        jax.block_until_ready(result)  # type: ignore[no-untyped-call]

    def read(self, result: Any) -> Answer:
        """The loss, and the gradient where there is one."""
        loss, *gradient = (np.asarray(each).astype(np.float64) for each in result)
        return Answer(float(loss), gradient[0] if gradient else None)

    def peak(self, call: Callable[[], Any]) -> int | str:
        """By the process; the peak of an accelerator cannot be reset."""
        if self.device != "cpu":
            return "JAX does not say how much a single call takes on an accelerator"
        return peak.lacking() or peak.beyond(call)

    def logits(self, operands: Operands) -> jax.Array:
        """The array."""
        return operands[0]


def _optax(cell: Cell) -> tuple[str, Callable[..., Any]]:
    losses = optax.losses
    hard = cell.targets == "hard"
    function = (
        losses.softmax_cross_entropy_with_integer_labels if hard else losses.softmax_cross_entropy
    )
    return f"optax {function.__name__}", lambda x, t: function(x, t, axis=cell.axis).mean()


def _step(cell: Cell, loss: Callable[..., Any]) -> Step:
    """The loss, or the loss and its gradient, as a tuple."""
    if cell.direction == "forward":
        return lambda logits, targets: (loss(logits, targets),)
    return jax.value_and_grad(loss)


def _contender(name: str, step: Step) -> Contender:
    return Contender(name, lambda given: step(*given), compiled=True)


def frameworks() -> list[Jax]:
    """The host, and a GPU where there is one."""
    found = jax.default_backend()
    return [Jax("cpu")] + ([Jax(found)] if found != "cpu" else [])
