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
from benchmarks.cases import DENSE, Cell
from benchmarks.contenders._contender import Answer, Contender, Named, Pair, by_itself
from benchmarks.inputs import Inputs

Operands = tuple[jax.Array, ...]
Step = Callable[..., Any]


class Jax:
    """JAX's arrays on a device."""

    rest = 0.0

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
        return tuple(jax.device_put(each, self.place) for each in (*inputs.leaves, targets))

    def pairs(self, cell: Cell) -> Sequence[Pair]:
        """Ours called plainly and in jit, both against jitted optax, and what none can avoid."""
        (title, ours), (name, loss) = _dense(cell) if cell.loss == DENSE else _head(cell)
        step = _step(cell, ours)
        plain = _contender(title, step)
        inside = _contender(f"{title}, jit", jax.jit(step))
        theirs = _contender(f"{name}, jit", jax.jit(_step(cell, loss)))
        bare = _copy() if cell.loss == DENSE else _products(cell)
        return (
            Pair("plain", plain, theirs),
            *by_itself(cell, theirs, compiled=True),
            Pair("plain", plain, bare, bare.name),
            Pair("jit", inside, theirs),
        )

    def wait(self, result: Any) -> None:
        """JAX computes while Python goes on."""
        jax.block_until_ready(result)  # type: ignore[no-untyped-call]

    def read(self, result: Any) -> Answer:
        """The loss, and the gradients where there are some."""
        leaves = jax.tree_util.tree_leaves(result)
        loss, *gradients = (np.asarray(each).astype(np.float64) for each in leaves)
        return Answer(float(loss), tuple(gradients))

    def peak(self, call: Callable[[], Any]) -> int | str:
        """By the process; the peak of an accelerator cannot be reset."""
        if self.device != "cpu":
            return "JAX does not say how much a single call takes on an accelerator"
        return peak.lacking() or peak.beyond(call)

    def logits(self, operands: Operands) -> jax.Array:
        """The array."""
        return operands[0]


def _dense(cell: Cell) -> tuple[Named, Named]:
    return ("xe.cross_entropy", partial(xe.cross_entropy, axis=cell.axis)), _optax(cell)


def _head(cell: Cell) -> tuple[Named, Named]:
    name, native = _optax(cell)

    def materialised(hidden: jax.Array, weight: jax.Array, targets: jax.Array) -> Any:
        return native(hidden @ weight.T, targets)

    return ("xe.linear_cross_entropy", xe.linear_cross_entropy), (f"{name} of @", materialised)


def _copy() -> Contender:
    return Contender("copy", lambda given: (jnp.copy(given[0]),), bare=True)


def _products(cell: Cell) -> Contender:
    """The matrix products of a head, in one program."""

    def products(hidden: jax.Array, weight: jax.Array, _: jax.Array) -> tuple[jax.Array, ...]:
        logits = hidden @ weight.T
        if cell.direction == "forward":
            return (logits,)
        return logits @ weight, logits.T @ hidden

    run = jax.jit(products)
    return Contender("products", lambda given: run(*given), compiled=True, bare=True)


def _optax(cell: Cell) -> Named:
    losses = optax.losses
    hard = cell.targets == "hard"
    function = (
        losses.softmax_cross_entropy_with_integer_labels if hard else losses.softmax_cross_entropy
    )
    return f"optax {function.__name__}", lambda x, t: function(x, t, axis=cell.axis).mean()


def _step(cell: Cell, loss: Callable[..., Any]) -> Step:
    """The loss, or the loss and its gradients by every leaf, as a tuple."""
    if cell.direction == "forward":
        return lambda *given: (loss(*given),)
    return jax.value_and_grad(loss, argnums=tuple(range(len(cell.leaves))))


def _contender(name: str, step: Step) -> Contender:
    return Contender(name, lambda given: step(*given), compiled=True)


def frameworks() -> list[Jax]:
    """The host, and a GPU where there is one."""
    found = jax.default_backend()
    return [Jax("cpu")] + ([Jax(found)] if found != "cpu" else [])
