"""Losses of a linear head in graphs: one loop over blocks of rows, see `xentropy._linear_scan`.

The gradients are made with the loss where a tape watches at the time, else when they are asked for.
Their own derivatives are those of the general form.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from xentropy import _linear_scan
from xentropy._backend import Rule
from xentropy._linear import Head, LinearLoss
from xentropy._linear import logits_of as head_logits
from xentropy._linear_plans import MOVING
from xentropy._linear_scan import Rows, Step, Sums
from xentropy._options import current
from xentropy._rows import Leaves, Left, RowLoss
from xentropy._typing import Array, DType
from xentropy_tensorflow import _namespace as xp
from xentropy_tensorflow._graph import Operations
from xentropy_tensorflow._graph_parts import visited
from xentropy_tensorflow._tapes import pushed, watched

# Of float32 a block of logits is at most 64 MiB, which is what TensorFlow's allocator asks for at a
# time. Of its classes so many are taken at a time that their weight has about so many entries, in
# no more parts than these, as each is traced.
BLOCK = 1 << 24
PART = 1 << 21
MOST = 32


class Loops(Operations):
    """TensorFlow's loops, and products in them; what lies between two products XLA makes one."""

    block = BLOCK

    def classes(self, shape: tuple[int, int]) -> int:
        """Few: what lies between two products of a block never has the block's size."""
        count, features = shape
        return -(-count // min(MOST, -(-count * features // PART) or 1))

    def over(
        self, step: Step, sums: Sums, count: int, size: int, dtype: DType
    ) -> tuple[Sums, Rows]:
        """A loop whose steps wait for one another: one block at a time."""
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

    def after(self, start: int, made: Any) -> Array:
        """Known to nobody before: of two blocks at a time there would be two."""
        with tf.control_dependencies([x for x in tf.nest.flatten(made) if x is not None]):
            return tf.constant(start)

    def cut(self, x: Array, start: Any, size: int, axis: int = 0) -> Array:
        """Some entries, as many as are known beforehand."""
        return xp.part(x, axis, start, size)

    def logits(self, rule: RowLoss, rows: Head) -> Array:
        """The logits of rows, in the compute dtype."""
        return head_logits(xp, rule, rows)

    def observed(self, visit: Callable[[Leaves], Left], rule: RowLoss, leaves: Leaves) -> Left:
        """Part by part of the rows: XLA holds an array of the size of what it visits."""
        return visited(rule, leaves, self.fused(visit))

    def plus(self, total: Array, start: int, x: Array) -> Array:
        """Written where the entries lie: nobody else holds the sum of a loop."""
        if x.shape[0] == total.shape[0]:
            return total + x
        flat, row = tf.reshape(total, [-1]), math.prod(total.shape[1:])
        begin, size = start * row, x.shape[0] * row
        new = xp.part(flat, 0, begin, size) + tf.reshape(x, [-1])
        each = 8 // total.dtype.size
        if row % each == 0:
            flat, new = _wide(flat, each), _wide(new, each)
            begin, size = begin // each, size // each
        made = tf.raw_ops.TensorStridedSliceUpdate(
            input=flat,
            begin=tf.constant([begin], tf.int64),
            end=tf.constant([begin + size], tf.int64),
            strides=tf.constant([1], tf.int64),
            value=new,
        )
        made = tf.ensure_shape(made, flat.shape)
        return tf.reshape(tf.bitcast(made, total.dtype), total.shape)

    def added(self, total: Array, start: int, made: Array, hidden: Array) -> Array:
        """The product of some classes."""
        return self.plus(total, start, tf.matmul(made, hidden, transpose_a=True))


def _wide(x: Array, each: int) -> Array:
    """The same bits in words of 64: TensorFlow writes a part of an array word by word."""
    return tf.bitcast(x if each == 1 else tf.reshape(x, [-1, each]), tf.int64)


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
    return _linear_scan.visited(xp, Loops(current().compile is not False), rule, leaves, wanted)


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
