"""The steps of a loss alone: what fresh memory, exp and reductions cost a framework."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Elements of a block that stays in the cache of a core.
BLOCK = 1 << 16


class Primitive(NamedTuple):
    """A step on so many elements, which every call does."""

    name: str
    elements: int
    call: Callable[[], Any]


def primitives(backend: str, logits: NDArray[np.float32]) -> Iterator[Primitive]:
    """The steps of a backend on an array."""
    return _OF[backend](logits)


def _numpy(x: NDArray[np.float32]) -> Iterator[Primitive]:
    out, block = np.empty_like(x), np.ascontiguousarray(x.reshape(-1)[:BLOCK])
    held = np.empty_like(block)
    yield Primitive("copy to fresh memory", x.size, x.copy)
    yield Primitive("copy to memory in use", x.size, lambda: np.copyto(out, x))
    yield Primitive("exp, a block, one thread", BLOCK, lambda: np.exp(block, out=held))
    yield Primitive("exp to memory in use, one thread", x.size, lambda: np.exp(x, out=out))
    yield Primitive("maximum of the rows, one thread", x.size, lambda: x.max(axis=-1))
    yield Primitive("sum of the rows, one thread", x.size, lambda: x.sum(axis=-1))


def _torch(logits: NDArray[np.float32]) -> Iterator[Primitive]:
    import torch

    x = torch.from_numpy(logits)
    out, block = torch.empty_like(x), x.reshape(-1)[:BLOCK].clone()
    held = torch.empty_like(block)
    huge = torch.from_numpy(np.empty_like(logits))
    yield Primitive("copy to fresh memory", x.numel(), x.clone)
    yield Primitive("copy to memory in use", x.numel(), lambda: out.copy_(x))
    fresh = "copy to fresh memory of NumPy"
    yield Primitive(fresh, x.numel(), lambda: torch.from_numpy(np.empty_like(logits)).copy_(x))
    yield Primitive("exp, a block", BLOCK, lambda: torch.exp(block, out=held))
    yield Primitive("exp to memory in use", x.numel(), lambda: torch.exp(x, out=huge))
    yield Primitive("exp to fresh memory", x.numel(), lambda: torch.exp(x))
    yield Primitive("maximum of the rows", x.numel(), lambda: torch.amax(x, dim=-1))
    yield Primitive("sum of the rows", x.numel(), lambda: torch.sum(x, dim=-1))


def _tensorflow(logits: NDArray[np.float32]) -> Iterator[Primitive]:
    import tensorflow as tf

    x, size = tf.identity(logits), logits.size

    def compiled(function: Callable[[Any], Any]) -> Callable[[], Any]:
        run = tf.function(function, jit_compile=True, autograph=False)
        return lambda: run(x)

    yield Primitive("copy, eager", size, lambda: tf.raw_ops.DeepCopy(x=x))
    yield Primitive("exp, eager", size, lambda: tf.exp(x))
    yield Primitive("exp, XLA", size, compiled(tf.exp))
    yield Primitive(
        "sum of the exp of the rows, XLA", size, compiled(lambda a: tf.reduce_sum(tf.exp(a), -1))
    )
    yield Primitive("maximum of the rows, XLA", size, compiled(lambda a: tf.reduce_max(a, axis=-1)))


def _jax(logits: NDArray[np.float32]) -> Iterator[Primitive]:
    import jax
    from jax import numpy as jnp

    x, size = jax.device_put(logits), logits.size

    def compiled(function: Callable[[Any], Any]) -> Callable[[], Any]:
        run = jax.jit(function)
        return lambda: run(x).block_until_ready()

    def apart(a: Any) -> Any:
        top = a.max(axis=-1, keepdims=True)
        return jnp.where(a == top, 0, jnp.exp(a - top)).sum(axis=-1)

    def whole(a: Any) -> Any:
        return jnp.exp(a - a.max(axis=-1, keepdims=True)).sum(axis=-1)

    yield Primitive("copy", size, compiled(jnp.copy))
    yield Primitive("exp", size, compiled(jnp.exp))
    yield Primitive("maximum of the rows", size, compiled(lambda a: a.max(axis=-1)))
    yield Primitive("sum of exp(x - max)", size, compiled(whole))
    yield Primitive("the same without the maximum, by comparison", size, compiled(apart))
    yield Primitive("argmax of the rows", size, compiled(lambda a: a.argmax(axis=-1)))


_OF: dict[str, Callable[[NDArray[np.float32]], Iterator[Primitive]]] = {
    "numpy": _numpy,
    "torch": _torch,
    "tensorflow": _tensorflow,
    "jax": _jax,
}
