"""Losses of eager tensors in a CPU's memory: visited in blocks of rows, as NumPy arrays.

The gradients are made in the same visit where a tape watches the logits, or what they are made
of. Derivatives of higher order, forward mode and graphs that call the gradient get it in
TensorFlow's own operations.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from xentropy import _schedule
from xentropy._backend import Rule, ones_of
from xentropy._by_sums import suits
from xentropy._dispatch import backend_of
from xentropy._known import Plan
from xentropy._typing import Array
from xentropy_tensorflow import _namespace as xp
from xentropy_tensorflow import _products
from xentropy_tensorflow._memory import copied, empty, on_host, tensor, view
from xentropy_tensorflow._tapes import watched

# Of float32 a tile of a head's logits is at most 88 MB, a third of what TensorFlow's own takes.
TILE = 21 << 20


class Visit(NamedTuple):
    """A loss of NumPy arrays: the plan, the rule, and the memory of the leaves."""

    plan: Plan
    rule: Any
    leaves: tuple[Array | None, ...]


def plan(rule: Any, leaves: tuple[Array | None, ...]) -> Visit | None:
    """How a rule is evaluated eagerly: in blocks of rows, or, without a plan, whole.

    In blocks what can be visited in place, of eager tensors in a CPU's memory, where no tape
    and no accumulator watches anything whose gradient is no part of the visit.
    """
    if not _schedule.suits(rule, leaves):
        return None
    here = _schedule.moving(rule)
    others = (x for i, x in enumerate(leaves) if i not in here)
    if not all(x is None or on_host(x) for x in leaves) or watched(*others):
        return None
    seen = _views(leaves)
    numpy = backend_of(seen[0], "logits")
    twin = _of_numpy(rule, numpy.index_dtype)
    chosen = numpy.plan(twin, seen)
    if chosen is None:
        return None
    ops: Any = chosen.ops
    ops = _operations(ops, products=_products.suits(twin, seen))
    return Visit(chosen._replace(ops=ops, tile=TILE), twin, seen)


@cache
def _operations(numpy: Any, *, products: bool) -> Any:
    """NumPy's operations in place, with gradients in memory that TensorFlow takes.

    ``products`` are TensorFlow's as well where they are large.
    """
    ours = {"result": _result}
    if products:
        ours |= {name: getattr(_products, name) for name in _products.NAMES}
    return SimpleNamespace(**{**vars(numpy), **ours})


# A loss is called again and again with the same options.
@lru_cache(maxsize=32)
def _of_numpy(rule: Any, index_dtype: Any) -> Any:
    """The same rule with NumPy's dtypes."""
    if hasattr(rule, "loss"):
        return replace(rule, loss=_of_numpy(rule.loss, index_dtype))
    dtypes = {"dtype": rule.dtype.as_numpy_dtype, "index_dtype": index_dtype}
    return replace(rule, **{name: dtypes[name] for name in dtypes if hasattr(rule, name)})


def _result(like: Array) -> Array:
    """An array for a gradient, in memory that TensorFlow takes as it is."""
    return empty(like.shape, like.dtype)


def loss(chosen: Visit, rule: Rule, leaves: tuple[Array | None, ...]) -> Array:
    """The loss, with the gradients attached of what anything watches."""
    here = [i for i in _schedule.moving(rule) if leaves[i] is not None and watched(leaves[i])]
    if not here:
        return copied(_schedule.loss(*chosen))
    wanted = tuple(i in here for i in range(len(leaves)))

    @tf.custom_gradient
    def attached(*moving: Array) -> tuple[Array, Any]:
        made = []
        if not _schedule.ahead(chosen.rule):
            value = _schedule.loss(*chosen)
        else:
            value, gradients = _schedule.loss_and_gradients(*chosen, wanted)
            made.append(gradients)

        def pull(bar: Array) -> list[Array]:
            bar = tf.convert_to_tensor(bar)
            if not tf.executing_eagerly() or watched(bar, *leaves):
                found = _again(rule, leaves, bar, wanted)
                return [found[i] for i in here]
            # They are given away, so that no copies are made; who comes again has them made again.
            found = _schedule.worth(*chosen, wanted, made.pop() if made else None, view(bar))
            gradients = (x for x in found if x is not None)
            return [tensor(x, leaf) for x, leaf in zip(gradients, moving, strict=True)]

        return copied(value), pull

    return attached(*(leaves[i] for i in here))


def loss_and_gradients(
    chosen: Visit, leaves: tuple[Array | None, ...], wanted: tuple[bool, ...]
) -> tuple[Array, tuple[Array | None, ...]]:
    """The loss and the gradients of its sum by the wanted leaves, as tensors."""
    value, made = _schedule.loss_and_gradients(*chosen, wanted)
    both = zip(made, leaves, strict=True)
    return copied(value), tuple(None if g is None else tensor(g, x) for g, x in both)


def observed(
    rule: Any, leaves: tuple[Array | None, ...]
) -> tuple[tuple[Array, ...], tuple[Array, ...]] | None:
    """Values and residuals of rows that are made each by itself, if they can be in blocks."""
    if not _by_rows(rule, leaves):
        return None
    seen = _views(leaves)
    values, residuals = _in_blocks(rule, seen).forward(np, seen)
    return tuple(_owned(x, seen[0], leaves[0]) for x in values), tuple(map(copied, residuals))


def pulled(
    rule: Any,
    leaves: tuple[Array | None, ...],
    residuals: tuple[Array, ...],
    bars: tuple[Array | None, ...],
    wanted: tuple[bool, ...],
) -> Array | None:
    """The gradient of such rows by the first leaf, in blocks, where nobody differentiates it."""
    given = [x for x in (*leaves, *bars) if x is not None]
    if not tf.executing_eagerly() or watched(*given) or not _by_rows(rule, leaves):
        return None
    seen, left = _views(leaves), tuple(map(view, residuals))
    made = _in_blocks(rule, seen).pullback(np, seen, left, _views(bars), wanted)
    return tensor(made[0], leaves[0])


def rows_and_gradients(
    rule: Any, leaves: tuple[Array | None, ...], wanted: tuple[bool, ...], of: int
) -> tuple[tuple[Array, ...], tuple[Array | None, ...]] | None:
    """Values of such rows and the gradient of one by the first leaf, if no other is wanted."""
    if True in wanted[1:] or not wanted[0] or watched(*leaves):
        return None
    seen = observed(rule, leaves)
    if seen is None:
        return None
    values, residuals = seen
    bars = ones_of(xp, rule, values, of)
    gradient = pulled(rule, leaves, residuals, bars, wanted)
    return values, (gradient, *(None for _ in wanted[1:]))


def _by_rows(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
    """Whether rows are made each by itself, of tensors in a CPU's memory."""
    return all(x is None or on_host(x) for x in leaves) and suits(rule, leaves)


def _views(arrays: tuple[Array | None, ...]) -> tuple[Array | None, ...]:
    return tuple(None if x is None else view(x) for x in arrays)


def _in_blocks(rule: Any, seen: tuple[Array | None, ...]) -> Any:
    """The rule in blocks of NumPy's arrays, its large results in memory that TensorFlow takes."""
    numpy: Any = backend_of(seen[0], rule.names[0])
    chosen = numpy.by_rows(_of_numpy(rule, numpy.index_dtype), seen)
    ops = _operations(chosen.plan.ops, products=False)
    return replace(chosen, plan=chosen.plan._replace(ops=ops))


def _owned(made: Array, seen: Array, like: Array) -> Array:
    """A tensor with an array's numbers, over it where `_result` made it."""
    ours = (made.shape, made.dtype) == (seen.shape, seen.dtype)
    return tensor(made, like) if ours else copied(made)


def _again(
    rule: Rule, leaves: tuple[Array | None, ...], bar: Array, wanted: tuple[bool, ...]
) -> tuple[Array | None, ...]:
    """The gradients in operations that TensorFlow can differentiate."""
    still = tuple(None if leaf is None else tf.stop_gradient(leaf) for leaf in leaves)
    residuals = tuple(tf.stop_gradient(x) for x in rule.forward(xp, still)[1])
    return rule.pullback(xp, leaves, residuals, (bar,), wanted, again=True)
