"""The visit to rows in blocks: in place where rows are finite, in the general form elsewhere."""

from __future__ import annotations

import math
from collections import deque
from functools import partial
from typing import Any, NamedTuple

from xentropy import _given, _inplace
from xentropy._blocks import Block, Buffers, blocks
from xentropy._inplace import Found, Numbers, Rows
from xentropy._known import Plan, buffers, by_class, coefficients_of, cut, mass_of, per_row
from xentropy._rows import Leaves, RowLoss
from xentropy._stats import Coefficients, along
from xentropy._threads import share, taken
from xentropy._typing import Array

# Of how many rows at a time the last few numbers are made.
ROWS = 1 << 14


class Task(NamedTuple):
    """One call: what it needs, what is known of its rows, where its gradient goes.

    ``weighed`` says that the mass of every row is known. ``bar`` is the gradient by every row's
    loss; it and ``gradient`` are None where only the losses are wanted. ``at_label`` holds the
    labels' logits where a softcap asks for them; ``over`` says that the gradient may lie over the
    logits or the targets. Everything of rows keeps the class axis; a number stands for equal rows.
    """

    plan: Plan
    rule: RowLoss
    leaves: Leaves
    rows: Rows
    weighed: bool
    bar: Numbers
    gradient: Array | None
    at_label: Array | None
    over: bool = False


def alone(task: Task) -> Array:
    """The losses, where one block has all rows."""
    room = _buffers(task).new(task.leaves.logits.shape)
    found = _visit(task, task.leaves, None, room)
    if found is None:
        return _visit_any(task, task.leaves, None)
    return _finish(task, None, found)


def in_general(task: Task, cuts: tuple[Block, ...]) -> Array:
    """The losses, where blocks are visited in the general form."""
    if len(cuts) == 1:
        return _visit_any(task, task.leaves, None)
    losses = per_row(task.plan, task.rule, task.leaves)

    def work(left: deque[Block]) -> None:
        for block in taken(left):
            losses[block] = _visit_any(task, cut(task.leaves, block, task.rule), block)

    share(work, cuts, task.plan.threads, task.plan.ops.quiet)
    return losses


def shared(task: Task, cuts: tuple[Block, ...]) -> Array:
    """The losses, where threads share blocks of rows."""
    (_, ops, size, threads, *_), rule, leaves = task.plan, task.rule, task.leaves
    found, strange = _room(task), deque[Block]()
    # They lie over what they are made of in the end.
    losses = found.gap if found.depth is None else found.depth
    share(partial(_visit_blocks, task, found, losses, strange), cuts, threads, ops.quiet)
    # What is left to do takes a few numbers of every row.
    shape = leaves.logits.shape
    cuts = blocks(shape, rule.axis, max(size, ROWS * shape[rule.axis]))
    share(partial(_finish_blocks, task, found, losses, strange), cuts, threads, ops.quiet)
    return losses


def _room(task: Task) -> Found:
    """Room for what is found out about every row."""
    plan, rule, leaves = task.plan, task.rule, task.leaves
    wanted = (task.rows.z is not None, True, rule.hard, _has_others(task))
    return Found(*(per_row(plan, rule, leaves) if want else None for want in wanted))


def _has_others(task: Task) -> bool:
    """Whether other classes than labels have coefficients."""
    return task.rows.t.spread is not None or not task.rule.hard


def _buffers(task: Task) -> Buffers:
    """Room for the exponentials, what is made on the way, and coefficients of every entry."""
    every = not task.rule.hard or task.rows.t.weights is not None
    return buffers(task.plan, task.rule, task.leaves, 3 if every else 2)


def at_label(chosen: Plan, rule: RowLoss, leaves: Leaves, rows: Rows) -> Array | None:
    """The logits at the labels, before a gradient is written over them."""
    if not rule.hard:
        return None
    place = chosen.ops.place(leaves.logits.shape, chosen.ops.index(rows.t.label), rule.axis)
    return chosen.ops.pick(leaves.logits, place, rule.axis)


def _visit_blocks(
    task: Task, found: Found, losses: Array, strange: deque[Block], left: deque[Block]
) -> None:
    """Take blocks until none is left, all in the same buffers; ``strange`` are not visited here."""
    room = _buffers(task)
    for block in taken(left):
        leaves = cut(task.leaves, block, task.rule)
        seen = _visit(task, leaves, block, room.of(leaves.logits.shape))
        if seen is None:
            losses[block] = _visit_any(task, leaves, block)
            strange.append(block)
            found.rest[block] = math.nan  # by which these rows are known
            continue
        for place, value in zip(found, seen, strict=True):
            if place is not None:
                place[block] = value


def _visit(task: Task, leaves: Leaves, block: Block | None, room: list[Array]) -> Found | None:
    """Visit a block: what is found out about its rows; its gradient goes to its place.

    None where it holds NaN or an infinity that the visit cannot take; then nothing is written.
    """
    ops, rule, (buffer, spare, *more) = task.plan.ops, task.rule, room
    if rule.source != "logits":
        return _visit_given(task, leaves, block, room)
    if task.gradient is None and not more:
        spare = buffer
    rows, scores = rows_in(task, leaves, block, room), scores_of(task, leaves, *room[:2])
    known: dict[str, Any] = {"axis": rule.axis, "temperature": rule.temperature}
    seen = _inplace.visit(ops, scores, rows.t, **known, buffer=buffer, spare=spare)
    if seen is None:
        return None
    found, sharp = seen
    if leaves.where is not None and rule.hard and not ops.finite(found.depth):
        return None  # a label's class takes no part, and its gradient is 0
    if task.gradient is not None:
        _write(task, leaves, block, room, found, rows, sharp=sharp)
    return found


def _visit_given(
    task: Task, leaves: Leaves, block: Block | None, room: list[Array]
) -> Found | None:
    """The same of probabilities as given."""
    rows = rows_in(task, leaves, block, room)
    into, bar = part(task.gradient, block), part(task.bar, block)
    gap = _given.visit(task.plan.ops, task.rule, leaves.logits, rows.t, bar, into, room)
    return None if gap is None else Found(None, task.plan.ops.zeros(gap), None, gap)


def _write(
    task: Task,
    leaves: Leaves,
    block: Block | None,
    room: list[Array],
    found: Found,
    rows: Rows,
    *,
    sharp: bool,
) -> None:
    """Write the gradient of a block, but for its labels."""
    ops, rule, (exp, spare, *_) = task.plan.ops, task.rule, room
    into, bar = part(task.gradient, block), part(task.bar, block)
    # Logits that the chain needs must not be written over by their gradient, nor targets.
    direct = into.dtype == exp.dtype and rule.softcap is None and (rule.hard or not task.over)
    out, how = into if direct else exp, (rule.temperature, sharp)
    rows = _bent(task, found, rows)
    made = _inplace.gradient(ops, exp, found, rows, bar, *how, out=out, spare=spare)
    if not direct:
        ops.copy(rule.chain(task.plan.xp, leaves, made), out=into)


def _bent(task: Task, found: Found, rows: Rows) -> Rows:
    """The rows of the cross-entropy that has the gradient of the loss: a link bends them."""
    (xp, ops, *_), link = task.plan, task.rule.link
    return rows if link is None else _inplace.bent(ops, found, rows, partial(link.slope, xp))


def _visit_any(task: Task, leaves: Leaves, block: Block | None) -> Array:
    """The losses of a block in the general form, which knows infinities and NaN."""
    xp, rule = task.plan.xp, task.rule
    visit = rule.visit(xp, leaves)
    if not task.weighed:
        task.plan.ops.copy(visit.left.mass, out=part(task.rows.mass, block))
    if task.gradient is not None:
        gradient = part(task.bar, block) * rule.by_first(xp, leaves, visit)
        into = part(task.gradient, block)
        task.plan.ops.copy(rule.shaped(xp, leaves, gradient), out=into)
    return visit.left.losses


def scores_of(task: Task, leaves: Leaves, buffer: Array, spare: Array) -> Array:
    """The logits of a block in the compute dtype, capped and masked; into the buffers if at all."""
    xp, ops = task.plan.xp, task.plan.ops
    if task.rule.softcap is not None:
        return task.rule.scores(xp, leaves)
    if leaves.where is None:
        return _inplace.widened(ops, leaves.logits, buffer)
    mask = along(xp, leaves.where, leaves.logits.ndim, task.rule.axis)
    return _inplace.masked(ops, leaves.logits, mask, out=buffer, spare=spare)


def row_labels(task: Task, block: Block | None, buffer: Array) -> Array:
    """The places of the labels of a block."""
    label = task.plan.ops.index(part(task.rows.t.label, block))
    return task.plan.ops.place(buffer.shape, label, task.rule.axis)


def rows_in(task: Task, leaves: Leaves, block: Block | None, room: list[Array]) -> Rows:
    """What is known of the rows of a block."""
    rows = _rows_of(task.rows, block)
    if task.rule.hard:
        return rows._replace(t=rows.t._replace(label=row_labels(task, block, room[0])))
    t = coefficients_of(task.plan, task.rule, leaves, room[-1])
    if not task.weighed:
        mass_of(task.plan, t, task.rule.axis, out=rows.mass)
    return rows._replace(t=t if by_class(leaves) else t._replace(weights=None))


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
        _finish_labels(task, block, found, _bent(task, found, rows), done)
    (xp, ops, *_), link = task.plan, task.rule.link
    curve = None if link is None else partial(link.value, xp)
    return _inplace.losses(ops, found, rows, task.rule.temperature, curve)


def _finish_labels(
    task: Task, block: Block | None, found: Found, rows: Rows, done: Array | None
) -> None:
    """Write the gradient at the labels."""
    (xp, ops, *_), rule = task.plan, task.rule
    into, bar = part(task.gradient, block), part(task.bar, block)
    place = row_labels(task, block, into)
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
