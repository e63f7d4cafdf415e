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
from xentropy._inplace import Found, Numbers, Ops, Rows
from xentropy._options import current
from xentropy._rows import Leaves, RowLoss
from xentropy._stats import Coefficients
from xentropy._threads import cpus, share, taken
from xentropy._typing import Array, Namespace

# Of float32 a block is a megabyte: it fits, with the logits it came from, into a second-level
# cache, and the calls on it cost little beside the work in them.
BLOCK_SIZE = 1 << 18
# Of how many rows at a time the last few numbers are made.
ROWS = 1 << 14


class Plan(NamedTuple):
    """A schedule in blocks of rows: operations in place, entries of a block, threads."""

    xp: Namespace
    ops: Ops
    block_size: int
    threads: int


def plan(xp: Namespace, ops: Ops, threads: int | None = None) -> Plan:
    """The plan in blocks, by the options that hold.

    ``threads`` is how many an operation has of its own: then one thread calls them, on blocks
    that are as much larger.
    """
    set_ = current()
    if threads is None:
        return Plan(xp, ops, set_.block_size or BLOCK_SIZE, set_.threads or cpus())
    return Plan(xp, ops, set_.block_size or BLOCK_SIZE * threads, 1)


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
    """One call: what it needs, what is known and found out of its rows, where its results go.

    ``weighed`` says that the mass of every row is known. ``bar`` is the gradient by every row's
    loss; it and ``gradient`` are None where only the losses are wanted. ``at_label`` holds the
    labels' logits where a softcap asks for them; ``done`` the blocks that the general form did.
    Everything of rows keeps the class axis; a number stands for equal rows.
    """

    plan: Plan
    rule: RowLoss
    leaves: Leaves
    rows: Rows
    weighed: bool
    bar: Numbers
    found: Found
    losses: Array
    gradient: Array | None
    at_label: Array | None
    done: list[Block]


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
    ops, shape = chosen.ops, leaves.logits.shape
    cuts = blocks(shape, rule.axis, chosen.block_size, chosen.threads)
    with ops.quiet():
        rows, weighed, divisor = _known(chosen, rule, leaves, cuts)
        factor = None if bar is None else _spread(chosen.xp, rule, divisor, bar)
        found, losses = _room(chosen, rule, leaves, rows)
        picked = None if rule.softcap is None else _at_label(chosen, rule, leaves, rows)
        task = Task(
            chosen, rule, leaves, rows, weighed, factor, found, losses, gradient, picked, []
        )
        share(partial(_visit_blocks, task), cuts, chosen.threads, ops.quiet)
        # What is left to do takes a few numbers of every row.
        cuts = blocks(shape, rule.axis, max(chosen.block_size, ROWS * shape[rule.axis]))
        share(partial(_finish_blocks, task), cuts, chosen.threads, ops.quiet)
        return _reduced(chosen.xp, rule, divisor, losses)


# What is known before the visit.


def _known(
    chosen: Plan, rule: RowLoss, leaves: Leaves, cuts: list[Block]
) -> tuple[Rows, bool, float | None]:
    """What labels and weights tell of the rows, and what a mean divides by."""
    if not rule.hard:
        return _soft(chosen, rule, leaves, cuts)
    bare = leaves.class_weights is None and leaves.sample_weights is None
    if bare and rule.label_smoothing == 0 and _none_ignored(chosen.xp, rule, leaves):
        return _plain(chosen, rule, leaves)
    return _weighted(chosen, rule, leaves)


def _none_ignored(xp: Namespace, rule: RowLoss, leaves: Leaves) -> bool:
    if rule.ignore_index is None:
        return True
    info = xp.iinfo(leaves.targets.dtype)
    if not int(info.min) <= rule.ignore_index <= int(info.max):
        return True
    return not bool(xp.any(leaves.targets == rule.ignore_index))


def _plain(chosen: Plan, rule: RowLoss, leaves: Leaves) -> tuple[Rows, bool, float | None]:
    """Labels alone: every row has the coefficient 1, at its label."""
    label = chosen.ops.index(chosen.xp.expand_dims(leaves.targets, axis=rule.axis))
    rows = Rows(Coefficients(label=label, on=1.0), 1.0, 1.0, rule.z_loss or None)
    if rule.reduction != "mean":
        return rows, True, None
    count = math.prod(label.shape) if leaves.normalizer is None else leaves.normalizer
    return rows, True, float(count)


def _weighted(chosen: Plan, rule: RowLoss, leaves: Leaves) -> tuple[Rows, bool, float | None]:
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
    return Rows(t, mass, own, z), True, None if how.divisor is None else float(how.divisor)


def _soft(
    chosen: Plan, rule: RowLoss, leaves: Leaves, cuts: list[Block]
) -> tuple[Rows, bool, float | None]:
    """Probabilities: they are weighed before the visit where a mean divides by what they sum to."""
    xp, kept, z = chosen.xp, None, rule.z_loss or None
    masses = _per_row(chosen, rule, leaves)
    by_mass = rule.reduction == "mean" and rule.normalizer == "weights"
    weighed = by_mass and leaves.normalizer is None
    if weighed:
        weigh = partial(_weigh, chosen, rule, leaves, masses)
        share(weigh, cuts, chosen.threads, chosen.ops.quiet)
    if leaves.sample_weights is not None:
        scale = xp.expand_dims(xp.astype(leaves.sample_weights, rule.dtype), axis=rule.axis)
        kept, z = _stats.counted(xp, scale, scale), None if z is None else z * scale
    how = rule.reducer(xp, leaves, masses, kept)
    divisor = None if how.divisor is None else float(how.divisor)
    return Rows(Coefficients(), masses, None, z), weighed, divisor


def _weigh(chosen: Plan, rule: RowLoss, leaves: Leaves, masses: Array, left: deque[Block]) -> None:
    """Take blocks until none is left, and write what the coefficients of each row sum to."""
    xp = chosen.xp
    for block in taken(left):
        part = _cut(leaves, block, rule)
        like = xp.astype(part.logits, rule.dtype)
        masses[block] = _coefficients(xp, rule, part, like)[1]


def _coefficients(
    xp: Namespace, rule: RowLoss, leaves: Leaves, like: Array
) -> tuple[Coefficients, Array]:
    """The coefficients of a block of probabilities, and what they sum to."""
    t = _targets.coefficients(xp, rule.targets(xp, leaves, like))
    mass = _stats.mass(xp, t, rule.axis)
    return t if leaves.class_weights is not None else t._replace(weights=None), mass


def _room(chosen: Plan, rule: RowLoss, leaves: Leaves, rows: Rows) -> tuple[Found, Array]:
    """Room for what is found out about every row, and for its loss."""
    spread = rows.t.spread is not None or not rule.hard
    wanted = (rows.z is not None, True, rule.hard, spread, True)
    *found, losses = (_per_row(chosen, rule, leaves) if want else None for want in wanted)
    return Found(*found), losses


def _per_row(chosen: Plan, rule: RowLoss, leaves: Leaves) -> Array:
    """Room for one number per row."""
    shape = leaves.logits.shape
    shape = (*shape[: rule.axis], 1, *shape[rule.axis + 1 :])
    return chosen.ops.buffer(math.prod(shape), rule.dtype, leaves.logits).reshape(shape)


def _at_label(chosen: Plan, rule: RowLoss, leaves: Leaves, rows: Rows) -> Array | None:
    """The logits at the labels, before a gradient is written over them."""
    if not rule.hard:
        return None
    place = chosen.ops.place(leaves.logits.shape, rows.t.label, rule.axis)
    return chosen.ops.pick(leaves.logits, place, rule.axis)


# The visit.


def _visit_blocks(task: Task, left: deque[Block]) -> None:
    """Take blocks until none is left, all in one buffer."""
    ops, rule, buffer = task.plan.ops, task.rule, None
    for block in taken(left):
        leaves = _cut(task.leaves, block, rule)
        shape = leaves.logits.shape
        count = math.prod(shape)
        if buffer is None or buffer.shape[0] < 2 * count:
            buffer = ops.buffer(2 * count, rule.dtype, leaves.logits)
        own, spare = (buffer[i * count : (i + 1) * count].reshape(shape) for i in range(2))
        _visit(task, leaves, block, own, own if task.gradient is None else spare)


def _visit(task: Task, leaves: Leaves, block: Block, buffer: Array, spare: Array) -> None:
    """Visit a block: what is found out about its rows, and its gradient, go to their places."""
    ops, rule = task.plan.ops, task.rule
    rows, scores = _rows(task, leaves, block, buffer), _scores(task, leaves, buffer)
    how = {"axis": rule.axis, "temperature": rule.temperature, "buffer": buffer, "spare": spare}
    found, sharp = _inplace.visit(ops, scores, rows.t, **how)
    if not _inplace.tame(ops, found, masked=leaves.where is not None):
        _visit_any(task, leaves, block)
        return
    for place, value in zip(task.found, found, strict=True):
        if place is not None:
            place[block] = value
    if task.gradient is None:
        return
    into, bar = task.gradient[block], _of_rows(task.bar, block)
    # Logits that the chain needs must not be written over by their gradient.
    direct = into.dtype == buffer.dtype and rule.softcap is None
    out = into if direct else buffer
    made = _inplace.gradient(
        ops, buffer, found, rows, bar, temperature=rule.temperature, sharp=sharp, out=out
    )
    if not direct:
        ops.copy(rule.chain(task.plan.xp, leaves, made), out=into)


def _visit_any(task: Task, leaves: Leaves, block: Block) -> None:
    """Visit a block in the general form, which knows infinities and NaN."""
    xp, rule = task.plan.xp, task.rule
    visit = rule.visit(xp, leaves)
    task.losses[block] = visit.left.losses
    task.found.rest[block] = math.nan  # by which these rows are known
    task.done.append(block)
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


def _rows(task: Task, leaves: Leaves, block: Block, buffer: Array) -> Rows:
    """What is known of the rows of a block."""
    rule, (t, *numbers) = task.rule, task.rows
    if rule.hard:
        place = task.plan.ops.place(buffer.shape, t.label[block], rule.axis)
        t = Coefficients(place, _of_rows(t.on, block), _of_rows(t.spread, block), t.weights)
        return Rows(t, *(_of_rows(x, block) for x in numbers))
    t, mass = _coefficients(task.plan.xp, rule, leaves, buffer)
    task.rows.mass[block] = mass
    return Rows(t, *(_of_rows(x, block) for x in numbers))


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


# What is left to do for every row.


def _finish_blocks(task: Task, left: deque[Block]) -> None:
    """Take blocks until none is left, and make their losses and the gradient at the labels."""
    ops, (t, *numbers) = task.plan.ops, task.rows
    for block in taken(left):
        found = Found(*(_of_rows(x, block) for x in task.found))
        rows = Rows(t._replace(on=_of_rows(t.on, block)), *(_of_rows(x, block) for x in numbers))
        losses = _inplace.losses(ops, found, rows, task.rule.temperature)
        into = task.losses[block]
        ops.copy(_but(task, found, into, losses), out=into)
        if task.gradient is not None and t.on is not None:
            _finish_label(task, block, found, rows)


def _finish_label(task: Task, block: Block, found: Found, rows: Rows) -> None:
    """Write the gradient at the labels."""
    (xp, ops, *_), rule = task.plan, task.rule
    into, bar = task.gradient[block], _of_rows(task.bar, block)  # type: ignore[index]
    place = ops.place(into.shape, rows.t.label[block], rule.axis)
    made = _inplace.gradient_at_label(ops, found, rows, bar, temperature=rule.temperature)
    if task.at_label is not None:
        made = rule.chain(xp, task.leaves._replace(logits=task.at_label[block]), made)
    made = xp.astype(made, into.dtype, copy=False)
    if task.done:
        made = _but(task, found, ops.pick(into, place, rule.axis), made)
    ops.put(into, place, made, rule.axis)


def _but(task: Task, found: Found, done: Array, made: Array) -> Array:
    """What was made, but for the rows that the general form has done."""
    return task.plan.ops.where(found.rest != found.rest, done, made) if task.done else made


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
