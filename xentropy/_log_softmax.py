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

from xentropy._blocks import Block, Buffers
from xentropy._inplace import gap_of, is_one, widened
from xentropy._known import buffers, cut, per_row
from xentropy._typing import Array
from xentropy._visits import Task, part, row_labels, rows_in

Operation = Callable[..., Array]

# In calls of fewer logits a pass takes less time than a look at what came of it.
FEW = 1 << 14
# What a row must lose at least, on the average; and of how many additions it must lose 1.
LEAST, ADDED = 0.5, 64


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
    for block in cuts:
        here = logs[block]
        _visit(task, operation, block, room, here)
        first = len(cuts) > 1 and block is cuts[0]
        if first and _lost(task, here, block, least) is None:
            return None
    return _lost(task, logs, None, least)


def _lost(task: Task, logs: Array, block: Block | None, least: float) -> Array | None:
    """What rows lose, or None where it is little, or NaN; weights of two signs may cancel."""
    mass, lost = part(task.rows.mass, block), -logs.sum()
    weight = mass * math.prod(logs.shape) if isinstance(mass, float) else float(abs(mass).sum())
    return lost if float(lost) >= least * weight else None


def _operation(task: Task) -> tuple[Operation, int] | None:
    """The log-softmax, if there is one and no more is wanted than surprisals of plain logits.

    And how many numbers it adds to one another.
    """
    rule, shape = task.rule, task.leaves.logits.shape
    if not rule.plain or rule.reduction == "none" or rule.temperature != 1.0:
        return None
    if task.gradient is not None or task.leaves.where is not None or math.prod(shape) < FEW:
        return None
    return task.plan.ops.log_softmax(shape, rule.axis, rule.dtype)


def _visit(task: Task, operation: Operation, block: Block, room: Buffers, into: Array) -> None:
    """Write what the coefficients of every row of a block weigh the logarithms to."""
    ops, axis, logits = task.plan.ops, task.rule.axis, task.leaves.logits[block]
    hands = room.of(logits.shape)
    logs = operation(widened(ops, logits, hands[0]), axis, out=hands[0])
    if task.rule.hard:
        ops.pick(logs, row_labels(task, block, logs), axis, out=into)
    if not is_one(task.rows.t.on):
        _weigh(task, block, hands, into)


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
