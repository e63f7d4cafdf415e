"""Losses of eager tensors in a CPU's memory: visited in blocks of rows, as NumPy arrays.

The gradient is made in the same visit where a tape watches the logits. Derivatives of higher
order, forward mode and graphs that call the gradient get it in TensorFlow's own operations.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import tensorflow as tf

from xentropy import _plans
from xentropy._backend import Rule
from xentropy._dispatch import backend_of
from xentropy._known import Plan
from xentropy._rows import RowLoss
from xentropy._typing import Array
from xentropy_tensorflow import _namespace as xp
from xentropy_tensorflow._memory import empty, on_host, tensor, view
from xentropy_tensorflow._tapes import watched


class Visit(NamedTuple):
    """A loss of NumPy arrays: the plan, the rule, and the memory of the leaves."""

    plan: Plan
    rule: RowLoss
    leaves: tuple[Array | None, ...]


def plan(rule: Rule, leaves: tuple[Array | None, ...]) -> Visit | None:
    """How a rule is evaluated eagerly: in blocks of rows, or, without a plan, whole.

    In blocks what can be visited in place, of eager tensors in a CPU's memory, where no tape
    and no accumulator watches anything but the logits.
    """
    if not _plans.suits(rule, leaves):
        return None
    if not all(x is None or on_host(x) for x in leaves) or watched(*leaves[1:]):
        return None
    seen = tuple(None if x is None else view(x) for x in leaves)
    numpy = backend_of(seen[0], "logits")
    twin = _of_numpy(rule, numpy.index_dtype)
    chosen = numpy.plan(twin, seen)
    return None if chosen is None else Visit(chosen, twin, seen)


def _of_numpy(rule: Any, index_dtype: Any) -> RowLoss:
    """The same rule with NumPy's dtypes."""
    twin: RowLoss = replace(rule, dtype=rule.dtype.as_numpy_dtype, index_dtype=index_dtype)
    return twin


def loss(chosen: Visit, rule: Rule, leaves: tuple[Array | None, ...]) -> Array:
    """The loss, with its gradient by the logits attached where anything watches them."""
    if not watched(leaves[0]):
        return tf.convert_to_tensor(_plans.loss(*chosen))

    @tf.custom_gradient
    def attached(logits: Array) -> tuple[Array, Any]:
        made = []
        if chosen.rule.reduction == "none":  # the gradient waits for what each row is worth
            value = _plans.loss(*chosen)
        else:
            value, gradient = _loss_and_gradient(chosen, logits)
            made.append(gradient)

        def pull(bar: Array) -> Array:
            bar = tf.convert_to_tensor(bar)
            if not tf.executing_eagerly() or watched(bar, *leaves):
                return _again(rule, leaves, bar)
            # It is given away, so that no copy is made of it; who comes again has it made again.
            gradient = _times(chosen, logits, made.pop() if made else None, view(bar))
            return tensor(gradient, logits)

        return tf.convert_to_tensor(value), pull

    return attached(leaves[0])


def loss_and_gradient(chosen: Visit, logits: Array) -> tuple[Array, Array]:
    """The loss and the gradient of its sum by the logits, as tensors."""
    value, gradient = _loss_and_gradient(chosen, logits)
    return tf.convert_to_tensor(value), tensor(gradient, logits)


def _loss_and_gradient(chosen: Visit, logits: Array, bar: Any = 1.0) -> tuple[Array, Array]:
    out = empty(tuple(logits.shape), logits.dtype.as_numpy_dtype)
    return _plans.loss_and_gradient(*chosen, bar=bar, out=out)


def _times(chosen: Visit, logits: Array, made: Array | None, bar: Array) -> Array:
    """The gradient times what the loss is worth, over itself where it is made already.

    A number above 1 may be there to save small entries, which are lost in what was made.
    """
    if made is None:
        return _loss_and_gradient(chosen, logits, bar if bar.ndim else float(bar))[1]
    if bar == 1:
        return made
    if abs(bar) < 1 and made.dtype == chosen.rule.dtype:
        made *= bar
        return made
    return _plans.loss_and_gradient(*chosen, bar=float(bar), out=made)[1]


def _again(rule: Rule, leaves: tuple[Array | None, ...], bar: Array) -> Array:
    """The gradient by the logits in operations that TensorFlow can differentiate."""
    still = tuple(None if leaf is None else tf.stop_gradient(leaf) for leaf in leaves)
    residuals = tuple(tf.stop_gradient(x) for x in rule.forward(xp, still)[1])
    wanted = tuple(i == 0 for i in range(len(leaves)))
    return rule.pullback(xp, leaves, residuals, (bar,), wanted, again=True)[0]
