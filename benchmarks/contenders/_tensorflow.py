"""TensorFlow: eager with a tape, in ``tf.function``, and compiled by XLA."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

import xentropy as xe
from benchmarks import peak
from benchmarks.cases import DENSE, Cell
from benchmarks.contenders._contender import Answer, Contender, Named, Pair, by_itself
from benchmarks.inputs import Inputs

Loss = Callable[..., Any]
#: Bytes from which every call takes pieces of the sizes that it asks for.
ROOM = 1 << 30
SPARSE, SOFT = "sparse_softmax_cross_entropy_with_logits", "softmax_cross_entropy_with_logits"


class Tensorflow:
    """TensorFlow's tensors on a device."""

    rest = 0.0

    def __init__(self, device: str) -> None:
        self.device = device

    def start(self) -> None:
        """Every function is made anew for its cell."""

    def operands(self, inputs: Inputs) -> tuple[Any, ...]:
        """Tensors on the device, labels as int32; and before that room in the host's allocator.

        It keeps what is freed. What it has to ask the system for in a call would count twice, and
        where it has but a piece of up to twice the size that is asked for, all of that counts.
        """
        hard = inputs.targets.dtype.kind == "i"
        targets = inputs.targets.astype(np.int32) if hard else inputs.targets
        with tf.device(self.device):
            if self.device == "CPU":
                tf.zeros(max(ROOM, 8 * sum(x.nbytes for x in inputs.leaves)), tf.uint8)
            return tuple(map(tf.identity, (*inputs.leaves, targets)))

    def pairs(self, cell: Cell) -> Sequence[Pair]:
        """Each way of running against itself, and eager against what none can avoid."""
        functions = _dense(cell) if cell.loss == DENSE else _head(cell)
        bare = _copy() if cell.loss == DENSE else _products(cell)
        made = {m: [_contender(cell, m, *each) for each in functions] for m in WAYS}
        eager, *compiled = [Pair(m, ours, theirs) for m, (ours, theirs) in made.items()]
        itself = by_itself(cell, eager.theirs, compiled=True)
        return [eager, *itself, *compiled, Pair("eager", eager.ours, bare, bare.name)]

    def wait(self, result: Any) -> None:
        """Wait for an accelerator."""
        if self.device != "CPU":
            tf.test.experimental.sync_devices()

    def read(self, result: Any) -> Answer:
        """The loss, and the gradients where there are some."""
        loss, *gradients = (tf.cast(each, tf.float64).numpy() for each in result)
        return Answer(float(loss), tuple(gradients))

    def peak(self, call: Callable[[], Any]) -> int | str:
        """By TensorFlow's allocator; and what the process grew by beside that, on the host."""
        device = "CPU:0" if self.device == "CPU" else self.device
        if self.device == "CPU" and peak.lacking():
            return peak.lacking()
        tf.config.experimental.reset_memory_stats(device)
        before = tf.config.experimental.get_memory_info(device)["current"]
        beside = peak.beyond(call) if self.device == "CPU" else _ran(call)
        highest = tf.config.experimental.get_memory_info(device)["peak"]
        return int(highest - before) + beside

    def logits(self, operands: tuple[Any, ...]) -> Any:
        """The tensor."""
        return operands[0]


def _ran(call: Callable[[], Any]) -> int:
    """A call whose process does not grow by what it computes."""
    call()
    return 0


def _dense(cell: Cell) -> tuple[Named, Named]:
    return ("xe.cross_entropy", partial(_ours, cell.axis)), _native(cell)


def _ours(axis: int, logits: Any, targets: Any) -> Any:
    return xe.cross_entropy(logits, targets, axis=axis)


def _head(cell: Cell) -> tuple[Named, Named]:
    name, native = _native(cell)

    def materialised(hidden: Any, weight: Any, targets: Any) -> Any:
        return native(tf.matmul(hidden, weight, transpose_b=True), targets)

    return ("xe.linear_cross_entropy", xe.linear_cross_entropy), (f"{name} of matmul", materialised)


def _copy() -> Contender:
    return Contender("copy", lambda given: (tf.raw_ops.DeepCopy(x=given[0]),), bare=True)


def _products(cell: Cell) -> Contender:
    """The matrix products of a head."""

    def call(given: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden, weight, _ = given
        logits = tf.matmul(hidden, weight, transpose_b=True)
        if cell.direction == "forward":
            return (logits,)
        return tf.matmul(logits, weight), tf.matmul(logits, hidden, transpose_a=True)

    return Contender("products", call, bare=True)


def _native(cell: Cell) -> tuple[str, Loss]:
    """TensorFlow's function: the sparse one takes its classes last, so images are transposed."""
    if cell.targets == "soft":
        return SOFT, lambda x, t: tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(
            labels=t, logits=x, axis=cell.axis))  # fmt: skip
    last = [0, *range(2, len(cell.shape)), 1]

    def sparse(x: Any, t: Any) -> Any:
        x = x if cell.axis == -1 else tf.transpose(x, last)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=t, logits=x)
        return tf.reduce_mean(losses)

    return SPARSE, sparse


def _eager(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


#: How a step is run in each mode.
WAYS: dict[str, Callable[..., Any]] = {
    "eager": _eager,
    "tf.function": partial(tf.function, autograph=False),
    "XLA": partial(tf.function, autograph=False, jit_compile=True),
}


def _contender(cell: Cell, mode: str, name: str, loss: Loss) -> Contender:
    """A step of training or evaluation, run in a mode. Our eager calls may compile as well."""
    step = partial(_forward if cell.direction == "forward" else _taped, loss)
    run = WAYS[mode](step)
    title = name if mode == "eager" else f"{name}, {mode}"
    return Contender(title, lambda given: run(*given), compiled=True)


def _forward(loss: Loss, *given: Any) -> tuple[Any]:
    return (loss(*given),)


def _taped(loss: Loss, *given: Any) -> tuple[Any, ...]:
    leaves = list(given[:-1])
    with tf.GradientTape() as tape:
        tape.watch(leaves)
        value = loss(*given)
    return value, *tape.gradient(value, leaves)


def frameworks() -> list[Tensorflow]:
    """The host, and a GPU where there is one."""
    tf.get_logger().setLevel("ERROR")  # it advises against a new function for every cell
    found = tf.config.list_physical_devices("GPU")
    return [Tensorflow("CPU")] + ([Tensorflow("GPU:0")] if found else [])
