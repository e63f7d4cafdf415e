"""Rows of which every process holds some classes, visited in blocks where they can be written to.

A process may not write a gradient before it has heard from the others, so there are two visits:
one leaves a few numbers per row, which travel, the other writes the gradient. Each has one block
in hand. Labels without smoothing are visited in place; all else is in the general form, block by
block.
"""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple, cast

from xentropy import _inplace, _partial, _reduction, _targets
from xentropy._blocks import Block, blocks
from xentropy._inplace import Found, Rows
from xentropy._known import Plan, cut
from xentropy._partial import Part
from xentropy._rows import Leaves, Left, RowLoss
from xentropy._shards import Shards
from xentropy._stats import Coefficients, Stats, times
from xentropy._targets import Whole
from xentropy._typing import Array


class Task(NamedTuple):
    """A gradient by logits: the namespace of all classes, and what is known of all rows."""

    plan: Plan
    shards: Shards
    rule: RowLoss
    leaves: Leaves
    left: Left
    whole: Whole


def _in_place(rule: _partial.Rule, leaves: Leaves) -> bool:
    """Whether a block's exponentials can be made where it lies: of labels alone."""
    plain = isinstance(rule, RowLoss) and rule.hard and rule.label_smoothing == 0
    return plain and leaves.where is None and _partial.loss_of(rule).softcap is None


def _cuts(chosen: Plan, loss: RowLoss, leaves: Leaves) -> tuple[Block, ...]:
    return blocks(leaves.logits.shape, loss.axis, chosen.block_size, chosen.threads)


# The first visit.


def observe(chosen: Plan, leaves: Leaves, first: int, rule: _partial.Rule) -> Part:
    """What a visit to the classes of this process leaves."""
    loss, found = _partial.loss_of(rule), None
    for block in _cuts(chosen, loss, leaves):
        with chosen.ops.quiet():
            part = _observe(chosen, cut(leaves, block, loss), first, rule)
        if found is None:
            room = partial(_room, chosen, loss, leaves)
            found = _partial.mapped(room, part)
        _partial.mapped(partial(_write, block), found, part)
    return cast("Part", found)


def _room(chosen: Plan, loss: RowLoss, leaves: Leaves, like: Array) -> Array:
    """Room for a number per row of the dtype of those of a block."""
    rows = (*leaves.logits.shape[: loss.axis], 1, *leaves.logits.shape[loss.axis + 1 :])
    return chosen.ops.buffer(rows, like.dtype, like)


def _write(block: Block, into: Array, found: Array) -> None:
    into[block] = found


def _observe(chosen: Plan, leaves: Leaves, first: int, rule: _partial.Rule) -> Part:
    """What a visit to a block leaves; in place, if its rows are finite."""
    part = _visit(chosen, leaves, first, rule) if _in_place(rule, leaves) else None
    return _partial.observe(chosen.xp, (leaves, first), rule) if part is None else part


def _visit(chosen: Plan, leaves: Leaves, first: int, rule: Any) -> Part | None:
    """What a visit in place leaves, of labels."""
    (xp, ops, *_), axis = chosen, rule.axis
    own = _partial.belief(xp, rule, leaves, leaves.logits, first)
    place = ops.place(leaves.logits.shape, ops.index(own.label), axis)
    buffer = ops.buffer(leaves.logits.shape, rule.dtype, leaves.logits)
    scores = leaves.logits
    if scores.dtype != buffer.dtype:
        scores = ops.copy(scores, out=buffer)
    how = {"axis": axis, "temperature": rule.temperature, "buffer": buffer, "spare": buffer}
    seen = _inplace.visit(ops, scores, Coefficients(label=place, on=1.0), **how)
    if seen is None:
        return None
    peak, rest, depth, _ = seen[0]
    gap = -cast("Array", depth)
    stats = Stats(peak, rest, times(xp, own.on, gap), own.on)
    t = _partial.weighed(xp, rule, leaves, own)
    heavy = None if t is None else stats._replace(gap=times(xp, t.on, gap), mass=t.on)
    return Part(stats, heavy, None, None, None, None, None)


# The second visit.


def gradient(task: Task, bar: Array) -> Array:
    """The gradient by the logits, given that by the reduced loss."""
    (chosen, _, loss, leaves, left, _), xp = task, task.plan.xp
    if loss.reduction == "none":
        bar = xp.expand_dims(bar, axis=loss.axis)
    rows = _reduction.spread(xp, _partial.reducer(xp, loss, leaves, left), bar)
    result = chosen.ops.result(leaves.logits)
    for block in _cuts(chosen, loss, leaves):
        known = (_partial.mapped(itemgetter(block), x) for x in (left, task.whole))
        here = Task(*task[:3], cut(leaves, block, loss), *known)
        with chosen.ops.quiet():
            _pull(here, rows if rows.ndim == 0 else rows[block], result[block])
    return result


def _pull(task: Task, bar: Array, into: Array) -> None:
    """Write the gradient of a block."""
    ops, left = task.plan.ops, task.left
    plain = _in_place(task.rule, task.leaves) and ops.finite(left.max) and ops.finite(left.rest)
    if plain:
        _pull_in_place(task, bar, into)
        return
    visit = task.rule.visit(task.shards, task.leaves, left, task.whole)
    made = bar * task.rule.by_first(task.shards, task.leaves, visit)
    ops.copy(task.rule.shaped(task.plan.xp, task.leaves, made), out=into)


def _pull_in_place(task: Task, bar: Array, into: Array) -> None:
    """The same in place: exponentials below the largest logit of all classes become it."""
    (xp, ops, *_), rule, leaves, left = task.plan, task.rule, task.leaves, task.left
    scores = leaves.logits
    buffer = into if into.dtype == rule.dtype else ops.buffer(scores.shape, rule.dtype, scores)
    below = ops.subtract(ops.copy(scores, out=buffer), left.max, out=buffer)
    if rule.temperature != 1.0:
        below /= rule.temperature
    own = _partial.belief(
        xp, rule, leaves, scores, task.shards.first_class(scores.shape[rule.axis])
    )
    place = ops.place(scores.shape, ops.index(own.label), rule.axis)
    found = Found(left.max, left.rest, ops.pick(below, place, rule.axis), None)
    rows = _rows(task)
    exp = ops.exp(below, out=buffer)
    made = _inplace.gradient(ops, exp, found, rows, bar, rule.temperature, False, out=buffer)
    at_label = _inplace.gradient_at_label(ops, found, rows, bar, temperature=rule.temperature)
    at_label = ops.where(own.on != 0, at_label, ops.pick(made, place, rule.axis))
    ops.put(made, place, at_label, rule.axis)
    if made is not into:
        ops.copy(made, out=into)


def _rows(task: Task) -> Rows:
    """What is known of the rows of a block: the label has all the mass that its row has."""
    z, rule, xp = None, task.rule, task.plan.xp
    if rule.z_loss:
        targets = _partial.row_targets(xp, rule, task.leaves, task.left.max)
        z = rule.z_loss * _targets.row_scale(xp, targets)
    return Rows(Coefficients(), task.left.mass, task.left.mass, z)
