"""Losses of a linear head in graphs: one loop over blocks of rows, see `xentropy._linear_scan`.

The gradients are made with the loss where a tape watches at the time, else when they are asked for.
Their own derivatives are those of the general form.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from xentropy import _linear_once, _linear_scan
from xentropy._backend import Rule
from xentropy._linear import Head, LinearLoss
from xentropy._linear_plans import MOVING
from xentropy._options import current
from xentropy._typing import Array
from xentropy_tensorflow import _namespace as xp
from xentropy_tensorflow._graph_loops import loops
from xentropy_tensorflow._tapes import pushed, watched


def suits(rule: Rule, leaves: tuple[Array | None, ...]) -> bool:
    """Whether a head is visited like this: in a graph, by its lengths, and no forward mode."""
    if tf.executing_eagerly() or not isinstance(rule, LinearLoss):
        return False
    known = all(x is None or x.shape.is_fully_defined() for x in leaves)
    return known and _linear_scan.suits(rule, leaves) and not pushed(*leaves)


def loss(rule: LinearLoss, leaves: Head) -> Array:
    """The loss, with the gradients of hidden, weight and bias attached."""
    here = [i for i, n in enumerate(Head._fields) if n in MOVING and leaves[i] is not None]
    now = [i for i in here if watched(leaves[i])]

    @tf.custom_gradient
    def attached(*_: Array) -> tuple[Array, Any]:
        value, made = _visited(rule, leaves, now)

        def pull(bar: Array) -> list[Array]:
            ready = made if set(now) == set(here) else _visited(rule, leaves, here)[1]
            return list(_slopes(rule, leaves, here, ready, bar))

        return value, pull

    found: Array = attached(*(leaves[i] for i in here))
    return found


def _visited(rule: LinearLoss, leaves: Head, here: list[int]) -> tuple[Array, Head]:
    wanted = tuple(i in here for i in range(len(leaves)))
    ops = loops(current().compile is not False)
    if ops.once and _linear_once.suits(rule, leaves):
        return _linear_once.visited(xp, ops, rule, leaves, wanted)
    return _linear_scan.visited(xp, ops, rule, leaves, wanted)


def _slopes(
    rule: LinearLoss,
    leaves: Head,
    here: list[int],
    made: Head,
    bar: Array,
) -> tuple[Array, ...]:
    """The gradients times what the loss is worth, with derivatives by all that floats."""
    floating = [i for i, x in enumerate(leaves) if x is not None and x.dtype.is_floating]

    @tf.custom_gradient
    def attached(bar: Array, *given: Array) -> tuple[list[Array], Any]:
        def pull(*seconds: Array) -> list[Array]:
            sources = [bar, *given]
            with tf.GradientTape() as tape:
                tape.watch(sources)
                others = dict(zip(floating, given, strict=True))
                again = _again(rule, [others.get(i, x) for i, x in enumerate(leaves)], here, bar)
            zero = tf.UnconnectedGradients.ZERO
            found: list[Array] = tape.gradient(again, sources, seconds, zero)
            return found

        return _times(bar, [made[i] for i in here]), pull

    found = attached(bar, *(leaves[i] for i in floating))
    return tuple(found) if isinstance(found, list | tuple) else (found,)


def _times(bar: Array, made: list[Array]) -> list[Array]:
    """What is made times a number; nothing is copied where that is 1, as it mostly is."""
    found: list[Array] = tf.cond(
        bar == 1, lambda: made, lambda: [xp.astype(bar, x.dtype) * x for x in made]
    )
    return found


def _again(
    rule: LinearLoss, leaves: list[Array | None], here: list[int], bar: Array
) -> list[Array]:
    """The gradients in operations that TensorFlow can differentiate itself."""
    wanted = tuple(i in here for i in range(len(leaves)))
    found = rule.pullback(xp, tuple(leaves), (), (bar,), wanted, again=True)
    return [found[i] for i in here]
