"""The loss of labels alone, reduced, by a log-softmax that a framework makes in one operation.

The surprisal of a label is (m - x) + log s, where s is the sum of all exp(x_j - m). Neither term is
negative, so nothing cancels; but s is 1 + r, rounded, and a loss near 0 is all in the digits of r
that are lost. Beside a loss of 1 they are small. So it will do for the sum or the mean of losses
that are 1 or more on the average. All others are left to the visits that know r apart from s, and
so are rows with an infinity that make it NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from xentropy._blocks import Block, Buffers
from xentropy._inplace import Numbers
from xentropy._known import buffers, per_row
from xentropy._typing import Array
from xentropy._visits import Task, row_labels, widened

Operation = Callable[..., Array]

# In calls of fewer logits a pass takes less time than a look at what came of it.
FEW = 1 << 14
# What a row must lose, on the average.
LEAST = 1.0


def visited(task: Task, cuts: list[Block]) -> Array | None:
    """The losses, one operation to a block; None where it will not do."""
    operation = _operation(task)
    if operation is None:
        return None
    losses = per_row(task.plan, task.rule, task.leaves)
    room = buffers(task.plan, task.rule, task.leaves, 1)
    for block in cuts:
        _visit(task, operation, block, room, losses[block])
        # Rows of a call are alike as a rule: the first of them tell what to expect of all.
        if len(cuts) > 1 and block is cuts[0] and not _large(-losses[block], 1.0):
            return None
    mass = task.rows.mass
    task.plan.ops.multiply(losses, -mass, out=losses)
    return losses if _large(losses, mass) else None


def _operation(task: Task) -> Operation | None:
    """The log-softmax, or None where there is none, or more is wanted than the loss of labels."""
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
    logs = operation(widened(task, logits, buffer), axis, out=buffer)
    ops.pick(logs, row_labels(task, block, buffer), axis, out=into)


def _large(losses: Array, mass: Numbers) -> bool:
    """Whether losses of rows with a mass are at least 1 on the average; not if one is NaN.

    Where weights of two signs cancel, or all losses are negative, they are not.
    """
    rows = math.prod(losses.shape)
    total = mass * rows if isinstance(mass, float) else float(abs(mass).sum())
    return float(losses.sum()) >= LEAST * total
