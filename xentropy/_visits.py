"""The visit to rows in blocks: in place where rows are finite, in the general form elsewhere."""

from __future__ import annotations

import math
from collections import deque
from functools import partial
from typing import Any, NamedTuple

from xentropy import _inplace
from xentropy._blocks import Block, blocks
from xentropy._inplace import Found, Numbers, Rows
from xentropy._known import Plan, coefficients_of, cut, per_row
from xentropy._rows import Leaves, RowLoss
from xentropy._stats import Coefficients
from xentropy._threads import share, taken
from xentropy._typing import Array

# Of how many rows at a time the last few numbers are made.
ROWS = 1 << 14


class Task(NamedTuple):
    """One call: what it needs, what is known of its rows, where its gradient goes.

    ``weighed`` says that the mass of every row is known. ``bar`` is the gradient by every row's
    loss; it and ``gradient`` are None where only the losses are wanted. ``at_label`` holds the
    labels' logits where a softcap asks for them. Everything of rows keeps the class axis; a number
    stands for equal rows.
    """

    plan: Plan
    rule: RowLoss
    leaves: Leaves
    rows: Rows
    weighed: bool
    bar: Numbers
    gradient: Array | None
    at_label: Array | None


def alone(task: Task) -> Array:
    """The losses, where one block has all rows."""
    ops, rule, leaves = task.plan.ops, task.rule, task.leaves
    buffer = ops.buffer(leaves.logits.shape, rule.dtype, leaves.logits)
    spare = buffer if task.gradient is None else None
    found = _visit(task, leaves, None, buffer, spare)
    if found is None:
        return _visit_any(task, leaves, None)
    return _finish(task, None, found)


def in_general(task: Task, cuts: list[Block]) -> Array:
    """The losses, where blocks are visited in the general form."""
    if len(cuts) == 1:
        return _visit_any(task, task.leaves, None)
    losses = per_row(task.plan, task.rule, task.leaves)

    def work(left: deque[Block]) -> None:
        for block in taken(left):
            losses[block] = _visit_any(task, cut(task.leaves, block, task.rule), block)

    share(work, cuts, task.plan.threads, task.plan.ops.quiet)
    return losses


def shared(task: Task, cuts: list[Block]) -> Array:
    """The losses, where threads share blocks of rows."""
    (_, ops, size, threads, *_), rule, leaves = task.plan, task.rule, task.leaves
    losses = per_row(task.plan, rule, leaves)
    found, strange = _room(task), deque[Block]()
    share(partial(_visit_blocks, task, found, losses, strange), cuts, threads, ops.quiet)
    # What is left to do takes a few numbers of every row.
    shape = leaves.logits.shape
    cuts = blocks(shape, rule.axis, max(size, ROWS * shape[rule.axis]))
    share(partial(_finish_blocks, task, found, losses, strange), cuts, threads, ops.quiet)
    return losses


def _room(task: Task) -> Found:
    """Room for what is found out about every row."""
    rows, rule = task.rows, task.rule
    others = rows.t.spread is not None or not rule.hard
    wanted = (rows.z is not None, True, rule.hard, others)
    return Found(*(per_row(task.plan, rule, task.leaves) if want else None for want in wanted))


def at_label(chosen: Plan, rule: RowLoss, leaves: Leaves, rows: Rows) -> Array | None:
    """The logits at the labels, before a gradient is written over them."""
    if not rule.hard:
        return None
    place = chosen.ops.place(leaves.logits.shape, rows.t.label, rule.axis)
    return chosen.ops.pick(leaves.logits, place, rule.axis)


def _visit_blocks(
    task: Task, found: Found, losses: Array, strange: deque[Block], left: deque[Block]
) -> None:
    """Take blocks until none is left, all in one buffer; ``strange`` are those not visited here."""
    rule, room = task.rule, Buffers(task, 2)
    for block in taken(left):
        leaves = cut(task.leaves, block, rule)
        own, spare = room.of(leaves.logits.shape)
        seen = _visit(task, leaves, block, own, own if task.gradient is None else spare)
        if seen is None:
            losses[block] = _visit_any(task, leaves, block)
            strange.append(block)
            found.rest[block] = math.nan  # by which these rows are known
            continue
        for place, value in zip(found, seen, strict=True):
            if place is not None:
                place[block] = value


class Buffers:
    """Buffers of a thread, in the shape of a block; blocks differ by a row at most."""

    def __init__(self, task: Task, count: int) -> None:
        self._ops, self._dtype, self._like = task.plan.ops, task.rule.dtype, task.leaves.logits
        self._count = count
        self._flat: Array | None = None
        self._found: list[Array] = []

    def of(self, shape: tuple[int, ...]) -> list[Array]:
        """The buffers; those of the last block where it had this shape."""
        if not self._found or self._found[0].shape != shape:
            flat, size = self._flat, math.prod(shape)
            if flat is None or flat.shape[0] < self._count * size:
                flat = self._ops.buffer((self._count * size,), self._dtype, self._like)
                self._flat = flat
            starts = range(0, self._count * size, size)
            self._found = [flat[i : i + size].reshape(shape) for i in starts]
        return self._found


def _visit(
    task: Task, leaves: Leaves, block: Block | None, buffer: Array, spare: Array | None
) -> Found | None:
    """Visit a block: what is found out about its rows; its gradient goes to its place.

    None where it holds NaN or an infinity that the visit cannot take; then nothing is written.
    """
    ops, rule = task.plan.ops, task.rule
    rows, scores = _rows(task, leaves, block, buffer), scores_of(task, leaves, buffer)
    known = {"axis": rule.axis, "temperature": rule.temperature}
    how: dict[str, Any] = {**known, "buffer": buffer, "spare": spare}
    seen = _inplace.visit(ops, scores, rows.t, **how)
    if seen is None:
        return None
    found, sharp = seen
    if leaves.where is not None and not ops.finite(found.depth):
        return None  # a label's class takes no part, and its gradient is 0
    if task.gradient is not None:
        _write(task, leaves, block, buffer, found, rows, sharp=sharp)
    return found


def _write(
    task: Task,
    leaves: Leaves,
    block: Block | None,
    exp: Array,
    found: Found,
    rows: Rows,
    *,
    sharp: bool,
) -> None:
    """Write the gradient of a block, but for its labels."""
    ops, rule = task.plan.ops, task.rule
    into, bar = part(task.gradient, block), part(task.bar, block)
    # Logits that the chain needs must not be written over by their gradient.
    direct = into.dtype == exp.dtype and rule.softcap is None
    out, how = into if direct else exp, (rule.temperature, sharp)
    made = _inplace.gradient(ops, exp, found, rows, bar, *how, out=out)
    if not direct:
        ops.copy(rule.chain(task.plan.xp, leaves, made), out=into)


def _visit_any(task: Task, leaves: Leaves, block: Block | None) -> Array:
    """The losses of a block in the general form, which knows infinities and NaN."""
    xp, rule = task.plan.xp, task.rule
    visit = rule.visit(xp, leaves)
    if task.gradient is not None:
        gradient = part(task.bar, block) * rule.by_first(xp, leaves, visit)
        into = part(task.gradient, block)
        task.plan.ops.copy(rule.shaped(xp, leaves, gradient), out=into)
    return visit.left.losses


def scores_of(task: Task, leaves: Leaves, buffer: Array) -> Array:
    """The logits of a block in the compute dtype, capped and masked."""
    if task.rule.softcap is not None or leaves.where is not None:
        return task.rule.scores(task.plan.xp, leaves)
    return widened(task, leaves.logits, buffer)


def widened(task: Task, logits: Array, buffer: Array) -> Array:
    """The logits of a block in the dtype of a buffer, which is written to only where it differs."""
    return logits if logits.dtype == buffer.dtype else task.plan.ops.copy(logits, out=buffer)


def row_labels(task: Task, block: Block | None, buffer: Array) -> Array:
    """The places of the labels of a block."""
    label = part(task.rows.t.label, block)
    return task.plan.ops.place(buffer.shape, label, task.rule.axis)


def _rows(task: Task, leaves: Leaves, block: Block | None, buffer: Array) -> Rows:
    """What is known of the rows of a block."""
    if task.rule.hard:
        rows = _rows_of(task.rows, block)
        return rows._replace(t=rows.t._replace(label=row_labels(task, block, buffer)))
    t, mass = coefficients_of(task.plan.xp, task.rule, leaves, buffer)
    if not task.weighed:
        task.plan.ops.copy(mass, out=part(task.rows.mass, block))
    return _rows_of(task.rows, block)._replace(t=t)


def _rows_of(rows: Rows, block: Block | None) -> Rows:
    """What labels tell of the rows of a block."""
    if block is None:
        return rows
    t, *numbers = rows
    label, on, spread = (part(x, block) for x in t[:3])
    return Rows(Coefficients(label, on, spread, t.weights), *(part(x, block) for x in numbers))


def part(x: Numbers, block: Block | None) -> Numbers:
    """The part of an array that keeps the class axis; numbers are for all rows."""
    return x if block is None or x is None or isinstance(x, float) else x[block]


# What is left to do for every row.


def _finish_blocks(
    task: Task, found: Found, losses: Array, strange: deque[Block], left: deque[Block]
) -> None:
    """Take blocks until none is left, and finish all rows but the strange ones."""
    for block in taken(left):
        here = Found(*(part(x, block) for x in found))
        into = losses[block]
        known = (here.rest != here.rest) if strange else None
        made = _finish(task, block, here, known)
        task.plan.ops.copy(_but(task, known, into, made), out=into)


def _finish(task: Task, block: Block | None, found: Found, done: Array | None = None) -> Array:
    """The losses of visited rows; the gradient at their labels goes to its place."""
    rows = _rows_of(task.rows, block)
    if task.gradient is not None and task.rule.hard:
        _finish_labels(task, block, found, rows, done)
    return _inplace.losses(task.plan.ops, found, rows, task.rule.temperature)


def _finish_labels(
    task: Task, block: Block | None, found: Found, rows: Rows, done: Array | None
) -> None:
    """Write the gradient at the labels."""
    (xp, ops, *_), rule = task.plan, task.rule
    into, bar = part(task.gradient, block), part(task.bar, block)
    place = ops.place(into.shape, rows.t.label, rule.axis)
    made = _inplace.gradient_at_label(ops, found, rows, bar, temperature=rule.temperature)
    if task.at_label is not None:
        leaves = task.leaves._replace(logits=part(task.at_label, block))
        made = rule.chain(xp, leaves, made)
    if made.dtype != into.dtype:
        made = xp.astype(made, into.dtype)
    if done is not None:
        made = _but(task, done, ops.pick(into, place, rule.axis), made)
    ops.put(into, place, made, rule.axis)


def _but(task: Task, done: Array | None, old: Array, made: Array) -> Array:
    """What was made, but for the rows that were done in the general form."""
    return made if done is None else task.plan.ops.where(done, old, made)
