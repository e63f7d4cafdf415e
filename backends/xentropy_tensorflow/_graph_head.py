"""Losses of a linear head in graphs: one loop over blocks of rows, see `xentropy._linear_scan`.

The gradients are made with the loss where a tape watches at the time, else when they are asked for.
Their own derivatives are those of the general form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from xentropy import _linear_scan
from xentropy._backend import Rule
from xentropy._linear import Head, LinearLoss
from xentropy._linear import bounds as bounds_of
from xentropy._linear import logits_of as head_logits
from xentropy._linear_plans import MOVING
from xentropy._linear_scan import Rows, Step, Sums
from xentropy._options import current
from xentropy._rows import RowLoss
from xentropy._typing import Array, DType
from xentropy_tensorflow import _namespace as xp
from xentropy_tensorflow._graph import Operations
from xentropy_tensorflow._tapes import pushed, watched

# Of so many classes at a time a product is added to the weight's gradient.
PART = 1 << 12


class Loops(Operations):
    """TensorFlow's loops, and products in them; what lies between two products XLA makes one."""

    def over(
        self, step: Step, sums: Sums, count: int, size: int, dtype: DType
    ) -> tuple[Sums, Rows]:
        """A loop whose steps wait for one another: one block of logits at a time."""
        rows = tuple(tf.TensorArray(dtype, size=count) for _ in range(2))

        def body(i: Array, held: list[Array], rows: tuple[Any, ...]) -> Any:
            found, made = step(_filled(sums, held), i * size, size)
            written = tuple(array.write(i, x) for array, x in zip(rows, made, strict=True))
            return i + 1, [x for x in found if x is not None], written

        _, held, rows = tf.while_loop(
            lambda i, *_: i < count,
            body,
            (0, [x for x in sums if x is not None], rows),
            parallel_iterations=1,
            maximum_iterations=count,
        )
        losses, by_hidden = (array.concat() for array in rows)
        return _filled(sums, held), (losses, by_hidden)

    def cut(self, x: Array, start: Any, size: int) -> Array:
        """Some rows, as many as are known beforehand."""
        return xp.part(x, 0, start, size)

    def logits(self, rule: RowLoss, rows: Head) -> Array:
        """The logits of rows, in the compute dtype."""
        return head_logits(xp, rule, rows)

    def zeros(self, shape: tuple[int, int], dtype: DType) -> tuple[Array, ...]:
        """A sum in parts: no product has the size of the weight."""
        return tuple(tf.zeros((stop - start, shape[1]), dtype) for start, stop in _parts(shape[0]))

    def added(self, total: tuple[Array, ...], made: Array, hidden: Array) -> tuple[Array, ...]:
        """Part by part of the classes."""
        bounds = _parts(made.shape[1])
        return tuple(
            part + tf.matmul(made[:, start:stop], hidden, transpose_a=True)
            for part, (start, stop) in zip(total, bounds, strict=True)
        )

    def whole(self, total: tuple[Array, ...]) -> Array:
        """The parts put together."""
        return tf.concat(total, axis=0)

    def fused(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """XLA compiles what is done with a block, unless the options say otherwise."""
        if current().compile is False:
            return function
        compiled: Callable[..., Any] = tf.function(function, jit_compile=True, autograph=False)
        return compiled


def _parts(classes: int) -> list[tuple[int, Any]]:
    return bounds_of(classes, PART)


def _filled(sums: Sums, held: list[Array]) -> Sums:
    """Sums where there are some."""
    left = iter(held)
    return Sums(*(None if x is None else next(left) for x in sums))


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
    return _linear_scan.visited(xp, Loops(), rule, leaves, wanted)


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
