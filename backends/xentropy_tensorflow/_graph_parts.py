"""A visit to the rows of a graph's logits in parts, one after the other, in a loop.

A program of XLA's sets aside room for what any of its branches may write, arrays of the size of
what it visits: of all rows that is twice what the logits take.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from xentropy._rows import Leaves, Left, RowLoss
from xentropy._typing import Array
from xentropy_tensorflow import _namespace as xp

Visit = Callable[[Leaves], Left]

# Rows are cut into so many parts at least and at most, or else into parts of about so many logits.
FEWEST, MOST = 8, 64
SIZE = 1 << 20


def visited(rule: RowLoss, leaves: Leaves, visit: Visit) -> Left:
    """What visits to parts of the rows leave; all lengths are known."""
    shape = leaves.logits.shape.as_list()
    along = _longest(shape, rule.axis)
    if along is None:
        return visit(leaves)
    count = min(_parts(math.prod(shape)), shape[along])
    size = shape[along] // count
    found = [_looped(rule, leaves, visit, along, count)]
    if size * count < shape[along]:
        rest = shape[along] - size * count
        found.append(visit(_part(rule, leaves, along, size * count, rest)))
    return Left(*(tf.concat(parts, along) for parts in zip(*found, strict=True)))


def _parts(size: int) -> int:
    """Into how many parts rows of so many logits are cut."""
    return max(FEWEST, min(MOST, size // SIZE))


def _longest(shape: list[int], axis: int) -> int | None:
    """The axis that is cut: the first one of rows that is long enough, or else the longest."""
    rows = [i for i in range(len(shape)) if i != axis and shape[i] > 1]
    long = (i for i in rows if shape[i] >= FEWEST)
    return next(long, max(rows, key=lambda i: shape[i], default=None))


def _looped(rule: RowLoss, leaves: Leaves, visit: Visit, along: int, count: int) -> Left:
    """The visits to parts that are equally long."""
    shape = leaves.logits.shape.as_list()
    size = shape[along] // count
    part = [size if i == along else 1 if i == rule.axis else n for i, n in enumerate(shape)]
    room = [tf.TensorArray(rule.dtype, count, element_shape=part) for _ in Left._fields]

    def step(i: Array, room: list[Array]) -> tuple[Array, list[Array]]:
        left = visit(_part(rule, leaves, along, i * size, size))
        return i + 1, [r.write(i, x) for r, x in zip(room, left, strict=True)]

    def more(i: Array, _: list[Array]) -> Array:
        return i < count

    start = tf.constant(0), room
    _, room = tf.while_loop(more, step, start, parallel_iterations=1, maximum_iterations=count)
    return Left(*(_joined(r.stack(), along) for r in room))


def _joined(parts: Array, along: int) -> Array:
    """Equal parts of an axis, which are the entries of the first one, put together."""
    count, *shape = parts.shape.as_list()
    order = [*range(1, along + 1), 0, *range(along + 1, parts.shape.rank)]
    shape[along] *= count
    return tf.reshape(tf.transpose(parts, order), shape)


def _part(rule: RowLoss, leaves: Leaves, along: int, start: Array | int, size: int) -> Leaves:
    """The leaves of some rows; what belongs to classes, or to all, belongs to every part."""
    logits, targets, _, samples, mask, *_ = leaves
    # Where the axis lies in what has none of classes.
    without = along - (along > rule.axis)

    def cut(x: Array | None, axis: int) -> Array | None:
        return None if x is None else xp.part(x, axis, start, size)

    if mask is not None and mask.shape.rank == logits.shape.rank and mask.shape[along] != 1:
        mask = cut(mask, along)
    return leaves._replace(
        logits=cut(logits, along),
        targets=cut(targets, without if rule.hard else along),
        sample_weights=cut(samples, without),
        where=mask,
    )
