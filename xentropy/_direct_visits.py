"""The visit to blocks of rows with labels in the exponentials of the logits themselves.

Rows that are out of its range are taken out of the array afterwards, and go to the general form:
so what is found of a row does not depend on those beside it. A call of which some rows that are
looked at before are out of range is left to the visit below the maximum.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from functools import partial

from xentropy import _direct
from xentropy._blocks import Block, blocks
from xentropy._direct import Range, Sums
from xentropy._inplace import widened
from xentropy._known import buffers, cut, per_row
from xentropy._rows import Leaves
from xentropy._threads import share, taken
from xentropy._typing import Array
from xentropy._visits import Task, part, row_labels

# In calls of fewer logits a pass takes less time than a look at some rows.
FEW = 1 << 14
# How many rows are looked at, as long as they are not longer than so many logits together: one
# thread does it, while the others have nothing to do.
SAMPLES, SAMPLED = 64, 1 << 14
# Of how many rows at a time the last few numbers are made.
ROWS = 1 << 18


def reach(task: Task) -> Range | None:
    """The range, or None where more than the loss of labels is wanted, or rows are likely out."""
    rule, rows, xp = task.rule, task.rows, task.plan.xp
    if not rule.bare or rule.temperature != 1.0 or task.leaves.where is not None:
        return None
    if math.prod(task.leaves.logits.shape) < FEW:
        return None
    known = _direct.range_of(xp, rule.dtype, 0.0 if task.bar is None else rows.mass * task.bar)
    return known if known is not None and _likely(task, known) else None


def _likely(task: Task, known: Range) -> bool:
    """Whether rows here and there are in range."""
    xp, axis = task.plan.xp, task.rule.axis
    some = xp.astype(task.leaves.logits[_spaced(task.leaves.logits.shape, axis)], task.rule.dtype)
    total = task.plan.ops.sum(xp.exp(some), axis)
    sums = Sums(total, total)
    if _direct.in_range(task.plan.ops, known, sums, some):
        return True
    return bool(xp.all(_direct.flags(xp, known, sums, some, axis)))


def _spaced(shape: tuple[int, ...], axis: int) -> Block:
    """Some rows of an array, as far from each other as they can be."""
    count = max(4, min(SAMPLES, SAMPLED // shape[axis]))
    each = max(1, round(count ** (1 / max(1, len(shape) - 1))))
    return tuple(slice(None, None, 1 if i == axis else -(-n // each)) for i, n in enumerate(shape))


def visited(task: Task, known: Range, cuts: tuple[Block, ...]) -> Array:
    """The losses; a gradient must not lie over the logits, of which some are read once more."""
    (_, ops, size, threads, *_), shape, axis = task.plan, task.leaves.logits.shape, task.rule.axis
    own, others = (per_row(task.plan, task.rule, task.leaves) for _ in range(2))
    share(partial(_visit_blocks, task, own, others), cuts, threads, ops.quiet)
    # What is left to do takes a few numbers of every row.
    cuts = blocks(shape, axis, max(size, ROWS * shape[axis]), threads)
    share(partial(_finish_blocks, task, known, Sums(own, others)), cuts, threads, ops.quiet)
    return others  # which the losses lie over by now


def _visit_blocks(task: Task, own: Array, others: Array, left: deque[Block]) -> None:
    """Take blocks until none is left: the sums of their rows, and the gradient."""
    (_, ops, *_), axis = task.plan, task.rule.axis
    room = buffers(task.plan, task.rule, task.leaves, 1)
    for block in taken(left):
        leaves, into = cut(task.leaves, block, task.rule), part(task.gradient, block)
        whole = into is not None and into.dtype == task.rule.dtype
        buffer = into if whole else room.of(leaves.logits.shape)[0]
        label, sums = row_labels(task, block, buffer), Sums(own[block], others[block])
        scores = widened(ops, leaves.logits, buffer)
        _direct.visit(ops, scores, label, axis, buffer=buffer, sums=sums)
        if into is not None:
            factor = part(task.rows.mass, block) * part(task.bar, block)
            _direct.gradient(ops, buffer, sums, label, factor, axis)
            if not whole:
                ops.copy(buffer, out=into)


def _finish_blocks(task: Task, known: Range, found: Sums, left: deque[Block]) -> None:
    """Take blocks until none is left: the losses of their rows, and those out of range anew."""
    for block in taken(left):
        sums, logits = Sums(found.own[block], found.others[block]), task.leaves.logits[block]
        flags = None
        if not _direct.in_range(task.plan.ops, known, sums, logits):
            flags = ~_direct.flags(task.plan.xp, known, sums, logits, task.rule.axis)
        into = _direct.losses(task.plan.ops, sums, part(task.rows.mass, block))
        if flags is not None and task.plan.ops.count(flags):
            _visit_apart(task, block, flags, into)


# Rows out of range.


def _visit_apart(task: Task, block: Block, flags: Array, losses: Array) -> None:
    """Visit rows of a block with a flag by themselves, and write what is found to its place."""
    xp, alone = task.plan.xp, _taken(task, cut(task.leaves, block, task.rule), flags)
    rule = replace(task.rule, axis=1)
    visit = rule.visit(xp, alone)
    _put(task, losses, flags, visit.left.losses)
    if task.gradient is not None:
        bar = part(task.bar, block)
        bar = bar if isinstance(bar, float) else _rows(task, bar, flags)
        made = rule.shaped(xp, alone, bar * rule.by_first(xp, alone, visit))
        _put(task, part(task.gradient, block), flags, made)


def _taken(task: Task, leaves: Leaves, flags: Array) -> Leaves:
    """The leaves of the rows with a flag, their classes last."""
    each = task.plan.ops.squeeze(flags, task.rule.axis)
    samples = leaves.sample_weights
    return leaves._replace(
        logits=_rows(task, leaves.logits, flags),
        targets=leaves.targets[each],
        sample_weights=None if samples is None else samples[each],
    )


def _rows(task: Task, x: Array, flags: Array) -> Array:
    """The rows of an array that have a flag, the class axis last."""
    ops, axis = task.plan.ops, task.rule.axis
    return ops.moveaxis(x, axis, -1)[ops.squeeze(flags, axis)]


def _put(task: Task, into: Array, flags: Array, made: Array) -> None:
    """Write the rows that have a flag."""
    ops, axis = task.plan.ops, task.rule.axis
    ops.moveaxis(into, axis, -1)[ops.squeeze(flags, axis)] = made
