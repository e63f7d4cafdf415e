"""Loops over the rows of a linear head in graphs, and products in them: TensorFlow's, or XLA's."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from xentropy._linear import Head
from xentropy._linear import logits_of as head_logits
from xentropy._linear_scan import Rows, Step, Sums
from xentropy._rows import Leaves, Left, RowLoss
from xentropy._typing import Array, DType
from xentropy_tensorflow import _namespace as xp
from xentropy_tensorflow._graph import Operations
from xentropy_tensorflow._graph_parts import visited

try:
    from tensorflow.compiler.tf2xla.ops.gen_xla_ops import (
        xla_dynamic_slice,
        xla_dynamic_update_slice,
    )
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext
except ImportError:  # they have no public names; without them XLA is given what a graph is
    GraphOrParentsInXlaContext = None

# Of float32 a block of logits is at most 64 MiB, which is what TensorFlow's allocator asks for at a
# time. Of its classes so many are taken at a time that their weight has about so many entries, in
# no more parts than these, as each is traced.
BLOCK = 1 << 24
PART = 1 << 21
MOST = 32
# Of exponentials that are made once, a block is 92 MB, of rows enough for quick products, and their
# parts are larger, as nothing else is large.
HELD = 22 << 20
PARTS = 1 << 22


class Loops(Operations):
    """TensorFlow's loops, and products in them; what lies between two products XLA makes one."""

    block = BLOCK
    held = HELD
    # Whether exponentials are made once, see `xentropy._linear_once`.
    once = True

    def classes(self, shape: tuple[int, int]) -> int:
        """Few: what lies between two products of a block never has the block's size."""
        return _classes(shape, PART)

    def parts(self, shape: tuple[int, int]) -> int:
        """How many classes are visited at a time."""
        return _classes(shape, PARTS)

    def turned(self, x: Array) -> Array:
        """By XLA: TensorFlow would leave it to the product, which then takes longer."""
        return self.fused(partial(tf.transpose, perm=(1, 0)))(x)

    def across(self, a: Array, b: Array) -> Array:
        """a.T @ b."""
        return tf.matmul(a, b, transpose_a=True)

    def then(self, x: Array, made: Array | None) -> Array:
        """Of two products at a time each would take as long as both."""
        if made is None:
            return x
        with tf.control_dependencies([made]):
            return tf.identity(x)

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
        return self.plus(total, start, self.across(made, hidden))


def _classes(shape: tuple[int, int], size: int) -> int:
    """How many classes have a weight of about so many entries."""
    count, features = shape
    return -(-count // min(MOST, -(-count * features // size) or 1))


def _wide(x: Array, each: int) -> Array:
    """The same bits in words of 64: TensorFlow writes a part of an array word by word."""
    return tf.bitcast(x if each == 1 else tf.reshape(x, [-1, each]), tf.int64)


def _filled(sums: Sums, held: list[Array]) -> Sums:
    """Sums where there are some."""
    left = iter(held)
    return Sums(*(None if x is None else next(left) for x in sums))


class Compiled(Loops):
    """The same where XLA compiles all of it: it writes in place inside of loops."""

    once = False

    def classes(self, shape: tuple[int, int]) -> int:
        """All: XLA makes their gradient where the logits lie."""
        return shape[0]

    def after(self, start: int, made: Any) -> int:
        """Known: a compiler finds an order that needs little memory."""
        return start

    def plus(self, total: Array, start: int, x: Array) -> Array:
        """All entries."""
        return total + x

    def added(self, total: Array, start: int, made: Array, hidden: Array) -> Array:
        """Part by part of all classes: the product never has the size of the weight."""
        classes = total.shape[0]
        size = max(1, PART // total.shape[1])
        whole = classes // size
        if whole:
            total = _added_in_parts(total, made, hidden, whole, size)
        rest = classes - whole * size
        return _added(total, made, hidden, tf.constant(whole * size), rest) if rest else total

    def fused(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """All of it is compiled."""
        return function


def _added_in_parts(total: Array, made: Array, hidden: Array, count: int, size: int) -> Array:
    """A loop over equal parts of the classes."""

    def step(i: Array, total: Array) -> tuple[Array, Array]:
        return i + 1, _added(total, made, hidden, i * size, size)

    start = tf.constant(0), total
    _, total = tf.while_loop(lambda i, _: i < count, step, start, maximum_iterations=count)
    return total


def _added(total: Array, made: Array, hidden: Array, start: Array, size: int) -> Array:
    """The product of some classes, added in place."""
    part = xla_dynamic_slice(made, [0, start], [made.shape[0], size])
    old = xla_dynamic_slice(total, [start, 0], [size, total.shape[1]])
    new = old + tf.matmul(part, hidden, transpose_a=True)
    return xla_dynamic_update_slice(total, new, [start, 0])


def loops(compiled: bool) -> Loops:
    """Those for the graph that is being traced."""
    by_xla = GraphOrParentsInXlaContext
    inside = by_xla is not None and by_xla(tf.compat.v1.get_default_graph())
    return Compiled(compiled) if inside else Loops(compiled)
