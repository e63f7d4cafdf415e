"""The loss alone, reduced, by a log-softmax that a framework makes in one operation.

The surprisal of a class is (m - x) + log s, where s is the sum of all exp(x_j - m). Neither term is
negative, so nothing cancels; but s is 1 + r, rounded, and a loss near 0 is all in the digits of r
that are lost. So are those that go with every addition, where an operation adds n numbers of a row
one after the other. Beside a loss of n / 64, and of a half, they are small. So it will do for the
sum or the mean of losses that are so much or more on the average. All others are left to the visits
that know r apart from s, and so are rows with an infinity that make it NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from xentropy._blocks import Block
from xentropy._inplace import gap_of, is_one, widened
from xentropy._known import buffers, cut, per_row
from xentropy._typing import Array
from xentropy._visits import Task, part, row_labels, rows_in

Operation = Callable[..., Array]

# In calls of fewer logits a pass takes less time than a look at what came of it.
FEW = 1 << 14
# What a row must lose at least, on the average; and of how many additions it must lose 1.
LEAST, ADDED = 0.5, 64


class Work(NamedTuple):
    """A block, its logits, the places of its labels, and where its rows' logarithms go."""

    block: Block
    logits: Array
    place: Any
    into: Array


def total(task: Task, cuts: tuple[Block, ...]) -> Array | None:
    """What all rows lose, one operation to a block; None where it will not do.

    Rows of a call are alike as a rule: the first of them tell what to expect of all.
    """
    found = _operation(task)
    if found is None:
        return None
    operation, added = found
    arrays, least = (task.plan, task.rule, task.leaves), max(LEAST, added / ADDED)
    logs, room = per_row(*arrays), buffers(*arrays, 1 if task.rule.hard else 2)
    works = _works(task, cuts, logs)
    for work in works:
        _visit(task, operation, work, room.of(work.logits.shape))
        first = len(cuts) > 1 and work is works[0]
        if first and _lost(task, work.into, work.block, least) is None:
            return None
    return _lost(task, logs, None, least)


def _works(task: Task, cuts: tuple[Block, ...], logs: Array) -> list[Work]:
    """All blocks, cut before the first is visited: visits sweep Python's own code out of caches."""
    logits, hard = task.leaves.logits, task.rule.hard
    parts = [(block, logits[block], logs[block]) for block in cuts]
    return [Work(b, x, row_labels(task, b, x) if hard else None, into) for b, x, into in parts]


def _lost(task: Task, logs: Array, block: Block | None, least: float) -> Array | None:
    """What rows lose, or None where it is little, or NaN; weights of two signs may cancel."""
    mass, summed = part(task.rows.mass, block), logs.sum()
    lost = -float(summed)
    weight = mass * math.prod(logs.shape) if isinstance(mass, float) else float(abs(mass).sum())
    return task.plan.ops.number(lost, summed) if lost >= least * weight else None


def _operation(task: Task) -> tuple[Operation, int] | None:
    """The log-softmax, if there is one and no more is wanted than surprisals of plain logits.

    And how many numbers it adds to one another.
    """
    rule, shape = task.rule, task.leaves.logits.shape
    if not rule.plain or rule.reduction == "none" or rule.temperature != 1.0:
        return None
    if task.gradient is not None or task.leaves.where is not None or math.prod(shape) < FEW:
        return None
    return task.plan.ops.log_softmax(shape, rule.axis, rule.dtype, labels=rule.hard)


def _visit(task: Task, operation: Operation, work: Work, hands: list[Array]) -> None:
    """Write what the coefficients of every row of a block weigh the logarithms to."""
    ops, axis, room = task.plan.ops, task.rule.axis, hands[0]
    logs = operation(widened(ops, work.logits, room), axis, out=room)
    if work.place is not None:
        ops.pick(logs, work.place, axis, out=work.into)
    if not is_one(task.rows.t.on):
        _weigh(task, work.block, hands, work.into)


def _weigh(task: Task, block: Block, room: list[Array], into: Array) -> None:
    """Weigh the labels' logarithms, and add those of all classes, which are written over."""
    ops, axis, logs = task.plan.ops, task.rule.axis, room[0]
    t = rows_in(task, cut(task.leaves, block, task.rule), block, room).t
    others = gap_of(ops, logs, t, axis, logs)
    if t.on is None:
        ops.multiply(others, -ops.ONE, out=into)
        return
    ops.multiply(into, t.on, out=into)
    if others is not None:
        into -= others
