"""The loss of labels alone, reduced, by a log-softmax that a framework makes in one operation.

The surprisal of a label is (m - x) + log s, where s is the sum of all exp(x_j - m). Neither term is
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
from xentropy._inplace import widened
from xentropy._known import buffers, per_row
from xentropy._typing import Array
from xentropy._visits import Task, row_labels

Operation = Callable[..., Array]

# In calls of fewer logits a pass takes less time than a look at what came of it.
FEW = 1 << 14
# What a row must lose at least, on the average; and of how many additions it must lose 1.
LEAST, ADDED = 0.5, 64


def total(task: Task, cuts: tuple[Block, ...]) -> Array | None:
    """What all rows lose, one operation to a block; None where it will not do."""
    found = _operation(task)
    if found is None:
        return None
    operation, added = found
    least = max(LEAST, added / ADDED)
    logs = _logs(task, operation, cuts, least)
    return None if logs is None else _lost(task, logs, least)


def _logs(task: Task, operation: Operation, cuts: tuple[Block, ...], least: float) -> Array | None:
    """The logarithm of every label's probability; None if it will not do of the first rows.

    Rows of a call are alike as a rule: the first of them tell what to expect of all.
    """
    arrays = (task.plan, task.rule, task.leaves)
    logs, room = per_row(*arrays), buffers(*arrays, 1)
    for block in cuts:
        here = logs if len(cuts) == 1 else logs[block]
        _visit(task, operation, block, room, here)
        first = len(cuts) > 1 and block is cuts[0]
        if first and not -float(here.sum()) >= least * math.prod(here.shape):  # nor where it is NaN
            return None
    return logs


def _lost(task: Task, logs: Array, least: float) -> Array | None:
    """The sum of the losses, or None where it is small; weights of two signs may cancel."""
    mass, ops = task.rows.mass, task.plan.ops
    if isinstance(mass, float):
        lost, weight = -logs.sum(), mass * math.prod(logs.shape)
    else:
        lost = -ops.multiply(logs, mass, out=logs).sum()
        weight = float(abs(mass).sum())
    return lost if float(lost) >= least * weight else None


def _operation(task: Task) -> tuple[Operation, int] | None:
    """The log-softmax, if there is one and no more is wanted than the loss of labels.

    And how many numbers it adds to one another.
    """
    rule, shape = task.rule, task.leaves.logits.shape
    if not rule.bare or rule.reduction == "none" or rule.temperature != 1.0:
        return None
    if task.gradient is not None or task.leaves.where is not None or math.prod(shape) < FEW:
        return None
    return task.plan.ops.log_softmax(shape, rule.axis, rule.dtype)


def _visit(task: Task, operation: Operation, block: Block, room: Buffers, into: Array) -> None:
    """Write the logarithm of the probability of every label of a block."""
    ops, axis, logits = task.plan.ops, task.rule.axis, task.leaves.logits[block]
    (buffer,) = room.of(logits.shape)
    logs = operation(widened(ops, logits, buffer), axis, out=buffer)
    ops.pick(logs, row_labels(task, block, buffer), axis, out=into)
