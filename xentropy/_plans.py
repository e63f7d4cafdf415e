"""Plans: how a loss over classes is scheduled where arrays lie in memory and can be written to.

Rows are visited in blocks that fit into a cache, on several threads, and each block gives its
losses and its gradient in one visit. Beyond logits and gradient there is one number per row for
every statistic, and one block per thread. What is traced, or lies elsewhere, is no business of
this module: it goes to a compiler whole.
"""

from __future__ import annotations

import math
from collections import deque
from functools import partial
from typing import Any, NamedTuple

from xentropy import _inplace, _stats, _targets
from xentropy._blocks import Block, blocks, wide
from xentropy._inplace import Numbers, Ops, Rows
from xentropy._options import current
from xentropy._rows import Leaves, RowLoss
from xentropy._stats import Coefficients
from xentropy._threads import cpus, share, taken
from xentropy._typing import Array, Namespace

# Of float32 a block is a megabyte: it fits, with the logits it came from, into a second-level
# cache, and the calls on it cost little beside the work in them.
BLOCK_SIZE = 1 << 18


class Plan(NamedTuple):
    """A schedule in blocks of rows: operations in place, entries of a block, threads."""

    xp: Namespace
    ops: Ops
    block_size: int
    threads: int


def plan(xp: Namespace, ops: Ops, threads: int | None = None) -> Plan:
    """The plan for blocks of rows, by the options that hold; ``threads`` are the backend's."""
    set_ = current()
    wanted = set_.threads or cpus() if threads is None else threads
    return Plan(xp, ops, set_.block_size or BLOCK_SIZE, wanted)


def suits(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
    """Whether a loss can be visited in place: one of logits that no link bends.

    With a mask only labels: in place, 0 times the infinity of a class that takes no part is NaN.
    """
    if not isinstance(rule, RowLoss) or rule.source != "logits" or rule.link is not None:
        return False
    given = Leaves(*leaves)
    uneven = given.where is not None and (rule.label_smoothing != 0 or not rule.hard)
    return given.alpha is None and not uneven and 0 not in given.logits.shape


class Task(NamedTuple):
    """One call: what it needs, what is known of its rows, and where its results go.

    ``bar`` is the gradient by every row's loss; it and ``gradient`` are None where only the
    losses are wanted. Everything of rows keeps the class axis; a number stands for equal rows.
    """

    plan: Plan
    rule: RowLoss
    leaves: Leaves
    rows: Rows
    bar: Numbers
    losses: Array
    gradient: Array | None


def loss(chosen: Plan, rule: Any, leaves: tuple[Array | None, ...]) -> Array:
    """The reduced loss."""
    return _run(chosen, rule, Leaves(*leaves), None, None)


def loss_and_gradient(
    chosen: Plan,
    rule: Any,
    leaves: tuple[Array | None, ...],
    *,
    bar: Array | float = 1.0,
    out: Array | None = None,
) -> tuple[Array, Array]:
    """The reduced loss, and bar times its gradient by the logits; ``out`` may be the logits."""
    given = Leaves(*leaves)
    gradient = chosen.ops.result(given.logits) if out is None else out
    return _run(chosen, rule, given, bar, gradient), gradient


def _run(
    chosen: Plan, rule: RowLoss, leaves: Leaves, bar: Array | float | None, gradient: Array | None
) -> Array:
    """Visit all rows. The loss is reduced at the end, the same however the rows were cut."""
    cuts = blocks(leaves.logits.shape, rule.axis, chosen.block_size, chosen.threads)
    with chosen.ops.quiet():
        rows, divisor = _known(chosen, rule, leaves, cuts)
        factor = None if bar is None else _spread(chosen.xp, rule, divisor, bar)
        losses = _per_row(chosen, rule, leaves.logits)
        task = Task(chosen, rule, leaves, rows, factor, losses, gradient)
        share(partial(_work, task), cuts, chosen.threads, chosen.ops.quiet)
        return _reduced(chosen.xp, rule, divisor, losses)


def _per_row(chosen: Plan, rule: RowLoss, logits: Array) -> Array:
    """Room for one number per row."""
    shape = (*logits.shape[: rule.axis], 1, *logits.shape[rule.axis + 1 :])
    return chosen.ops.buffer(math.prod(shape), rule.dtype, logits).reshape(shape)


def _work(task: Task, left: deque[Block]) -> None:
    """Take blocks until none is left, all in one buffer."""
    ops, rule, buffer = task.plan.ops, task.rule, None
    for block in taken(left):
        leaves = _cut(task.leaves, block, rule)
        shape = leaves.logits.shape
        count = math.prod(shape)
        if buffer is None or buffer.shape[0] < count:
            buffer = ops.buffer(count, rule.dtype, leaves.logits)
        _visit(task, leaves, block, buffer[:count].reshape(shape))


def _visit(task: Task, leaves: Leaves, block: Block, buffer: Array) -> None:
    """Visit a block: its losses and its gradient go to their places."""
    ops, rule = task.plan.ops, task.rule
    axis, temperature = rule.axis, rule.temperature
    rows = _rows(task, leaves, block, buffer)
    scores = _scores(task, leaves, buffer)
    seen = _inplace.visit(ops, scores, rows.t, axis=axis, temperature=temperature, buffer=buffer)
    found = _inplace.losses(ops, seen, rows, temperature)
    if not ops.finite(found):
        _visit_any(task, leaves, block)
        return
    task.losses[block] = found
    if task.gradient is None:
        return
    into = task.gradient[block]
    # Logits that the chain needs must not be written over by their gradient.
    direct = into.dtype == buffer.dtype and rule.softcap is None
    out = into if direct else buffer
    bar = _of_rows(task.bar, block)
    gradient = _inplace.gradient(ops, seen, rows, bar, axis=axis, temperature=temperature, out=out)
    if not direct:
        ops.copy(rule.chain(task.plan.xp, leaves, gradient), out=into)


def _visit_any(task: Task, leaves: Leaves, block: Block) -> None:
    """Visit a block in the general form, which knows infinities and NaN."""
    xp, rule = task.plan.xp, task.rule
    visit = rule.visit(xp, leaves)
    task.losses[block] = visit.left.losses
    if task.gradient is not None:
        gradient = _of_rows(task.bar, block) * rule.by_first(xp, leaves, visit)
        task.gradient[block] = rule.shaped(xp, leaves, gradient)


def _scores(task: Task, leaves: Leaves, buffer: Array) -> Array:
    """The logits of a block in the compute dtype, capped and masked."""
    if task.rule.softcap is not None or leaves.where is not None:
        return task.rule.scores(task.plan.xp, leaves)
    if leaves.logits.dtype == buffer.dtype:
        return leaves.logits
    return task.plan.ops.copy(leaves.logits, out=buffer)


# What is known before the visit.


def _known(
    chosen: Plan, rule: RowLoss, leaves: Leaves, cuts: list[Block]
) -> tuple[Rows, float | None]:
    """What labels and weights tell of the rows, and what a mean divides by."""
    plain = rule.hard and leaves.class_weights is None and leaves.sample_weights is None
    if plain and rule.label_smoothing == 0 and _none_ignored(chosen.xp, rule, leaves):
        return _plain(chosen, rule, leaves)
    if rule.hard:
        return _weighted(chosen, rule, leaves)
    return Rows(Coefficients(), None), _soft(chosen, rule, leaves, cuts)


def _none_ignored(xp: Namespace, rule: RowLoss, leaves: Leaves) -> bool:
    if rule.ignore_index is None:
        return True
    info = xp.iinfo(leaves.targets.dtype)
    if not int(info.min) <= rule.ignore_index <= int(info.max):
        return True
    return not bool(xp.any(leaves.targets == rule.ignore_index))


def _plain(chosen: Plan, rule: RowLoss, leaves: Leaves) -> tuple[Rows, float | None]:
    """Labels alone: every row has the coefficient 1, at its label."""
    label = chosen.ops.index(chosen.xp.expand_dims(leaves.targets, axis=rule.axis))
    rows = Rows(Coefficients(label=label, on=1.0), 1.0, 1.0, rule.z_loss or None)
    if rule.reduction != "mean":
        return rows, None
    return rows, float(math.prod(label.shape) if leaves.normalizer is None else leaves.normalizer)


def _weighted(chosen: Plan, rule: RowLoss, leaves: Leaves) -> tuple[Rows, float | None]:
    """Labels with weights, smoothing or ignored rows."""
    xp, logits = chosen.xp, leaves.logits
    # All that is asked of it is its dtype and its number of classes.
    like = chosen.ops.buffer(logits.shape[rule.axis], rule.dtype, logits)
    targets = rule.targets(xp, leaves, _stats.along(xp, like, logits.ndim, rule.axis))
    t = _targets.coefficients(xp, targets)
    mass, own = _stats.mass(xp, t, rule.axis), t.on
    if t.spread is not None:
        own = own + t.spread * _targets.lookup(xp, t.weights, t.label)
    z = None if rule.z_loss == 0 else rule.z_loss * _targets.row_scale(xp, targets)
    kept = _targets.kept_rows(xp, targets) if rule.normalizer == "valid" else None
    how = rule.reducer(xp, leaves, mass, kept)
    weights = None if leaves.class_weights is None else t.weights
    t = t._replace(label=chosen.ops.index(t.label), weights=weights)
    return Rows(t, mass, own, z), None if how.divisor is None else float(how.divisor)


def _soft(chosen: Plan, rule: RowLoss, leaves: Leaves, cuts: list[Block]) -> float | None:
    """What a mean of losses of probabilities divides by."""
    xp, scale, kept = chosen.xp, leaves.sample_weights, None
    masses = _per_row(chosen, rule, leaves.logits)
    if rule.reduction == "mean" and rule.normalizer == "weights" and leaves.normalizer is None:
        weigh = partial(_weigh, chosen, rule, leaves, masses)
        share(weigh, cuts, chosen.threads, chosen.ops.quiet)
    if rule.normalizer == "valid" and scale is not None:
        scale = xp.astype(scale, rule.dtype)
        kept = _stats.counted(xp, scale, scale)
    how = rule.reducer(xp, leaves, masses, kept)
    return None if how.divisor is None else float(how.divisor)


def _weigh(chosen: Plan, rule: RowLoss, leaves: Leaves, masses: Array, left: deque[Block]) -> None:
    """Take blocks until none is left, and write what the coefficients of each row sum to."""
    xp = chosen.xp
    for block in taken(left):
        part = _cut(leaves, block, rule)
        targets = rule.targets(xp, part, xp.astype(part.logits, rule.dtype))
        masses[block] = _stats.mass(xp, _targets.coefficients(xp, targets), rule.axis)


def _rows(task: Task, leaves: Leaves, block: Block, buffer: Array) -> Rows:
    """What is known of the rows of a block."""
    xp, rule = task.plan.xp, task.rule
    if rule.hard:
        (label, on, spread, weights, _), mass, own, z = task.rows
        place = task.plan.ops.place(buffer.shape, label[block], rule.axis)
        t = Coefficients(place, _of_rows(on, block), _of_rows(spread, block), weights)
        return Rows(t, *(_of_rows(x, block) for x in (mass, own, z)))
    targets = rule.targets(xp, leaves, buffer)
    t = _targets.coefficients(xp, targets)
    z = None if rule.z_loss == 0 else rule.z_loss * _targets.row_scale(xp, targets)
    weights = None if leaves.class_weights is None else t.weights
    return Rows(t._replace(weights=weights), _stats.mass(xp, t, rule.axis), None, z)


def _of_rows(x: Numbers, block: Block) -> Numbers:
    """The part of an array of rows that keeps the class axis; numbers are for all rows."""
    return x if x is None or isinstance(x, float) else x[block]


def _cut(leaves: Leaves, block: Block, rule: RowLoss) -> Leaves:
    """The leaves of a block; what belongs to classes, or to all, belongs to every block."""
    logits, targets, by_class, samples, mask, *others = leaves
    without = block[: rule.axis] + block[rule.axis + 1 :]
    targets = targets[without] if rule.hard else targets[block]
    samples = None if samples is None else samples[without]
    if mask is not None and mask.ndim == logits.ndim:
        mask = wide(mask, block)
    return Leaves(logits[block], targets, by_class, samples, mask, *others)


# How losses become one.


def _spread(xp: Namespace, rule: RowLoss, divisor: float | None, bar: Array | float) -> Numbers:
    """The gradient by every row's loss; a mean over nothing has none."""
    if rule.reduction == "none":
        return bar if isinstance(bar, float) else xp.expand_dims(bar, axis=rule.axis)
    if divisor is None:
        return float(bar)
    return float(bar) / divisor if divisor else 0.0


def _reduced(xp: Namespace, rule: RowLoss, divisor: float | None, losses: Array) -> Array:
    if rule.reduction == "none":
        return xp.squeeze(losses, axis=rule.axis)
    total = xp.sum(losses)
    if divisor is None:
        return total
    return total / divisor if divisor else xp.zeros_like(total) + rule.empty
