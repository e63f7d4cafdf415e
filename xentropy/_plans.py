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
    """Whether a rule can be evaluated in blocks of rows: a loss over classes of any row at all."""
    return isinstance(rule, RowLoss) and 0 not in Leaves(*leaves).logits.shape


def _in_place(rule: RowLoss, leaves: Leaves) -> bool:
    """Whether blocks can be visited in place: of a loss of logits that no link bends.

    With a mask only labels: in place, 0 times the infinity of a class that takes no part is NaN.
    Any other loss is visited in the general form, block by block.
    """
    if rule.source != "logits" or rule.link is not None or leaves.alpha is not None:
        return False
    return leaves.where is None or (rule.hard and rule.label_smoothing == 0)


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


def written(
    ops: Ops, gradients: tuple[Array | None, ...], out: Array | None
) -> tuple[Array | None, ...]:
    """Gradients, of which the only one is in its place where a place is given."""
    if out is None or any(gradient is out for gradient in gradients):
        return gradients
    return tuple(None if g is None else ops.copy(g, out=out) for g in gradients)


def _run(
    chosen: Plan, rule: RowLoss, leaves: Leaves, bar: Array | float | None, gradient: Array | None
) -> Array:
    """Visit all rows. The loss is reduced at the end, the same however the rows were cut."""
    with chosen.ops.quiet():
        cuts = blocks(leaves.logits.shape, rule.axis, chosen.block_size, chosen.threads)
        in_place = _in_place(rule, leaves)
        rows, weighed, divisor = _known(chosen, rule, leaves, cuts, in_place=in_place)
        factor = None if bar is None else _spread(chosen.xp, rule, divisor, bar)
        picked = None
        if in_place and rule.softcap is not None:
            picked = _at_label(chosen, rule, leaves, rows)
        task = Task(chosen, rule, leaves, rows, weighed, factor, gradient, picked)
        if not in_place:
            losses = _in_general(task, cuts)
        else:
            losses = _alone(task) if len(cuts) == 1 else _shared(task, cuts)
        return _reduced(chosen.xp, rule, divisor, losses)


def _alone(task: Task) -> Array:
    """The losses, where one block has all rows."""
    ops, rule, leaves = task.plan.ops, task.rule, task.leaves
    buffer = ops.buffer(leaves.logits.shape, rule.dtype, leaves.logits)
    spare = buffer if task.gradient is None else None
    found = _visit(task, leaves, None, buffer, spare)
    if found is None:
        return _visit_any(task, leaves, None)
    return _finish(task, None, found)


def _in_general(task: Task, cuts: list[Block]) -> Array:
    """The losses, where blocks are visited in the general form."""
    if len(cuts) == 1:
        return _visit_any(task, task.leaves, None)
    losses = _per_row(task.plan, task.rule, task.leaves)

    def work(left: deque[Block]) -> None:
        for block in taken(left):
            losses[block] = _visit_any(task, _cut(task.leaves, block, task.rule), block)

    share(work, cuts, task.plan.threads, task.plan.ops.quiet)
    return losses


def _shared(task: Task, cuts: list[Block]) -> Array:
    """The losses, where threads share blocks of rows."""
    (_, ops, size, threads), rule, leaves = task.plan, task.rule, task.leaves
    losses = _per_row(task.plan, rule, leaves)
    found, strange = _room(task), deque[Block]()
    share(partial(_visit_blocks, task, found, losses, strange), cuts, threads, ops.quiet)
    # What is left to do takes a few numbers of every row.
    shape = leaves.logits.shape
    cuts = blocks(shape, rule.axis, max(size, ROWS * shape[rule.axis]))
    share(partial(_finish_blocks, task, found, losses, strange), cuts, threads, ops.quiet)
    return losses


# What is known before the visit.


def _known(
    chosen: Plan, rule: RowLoss, leaves: Leaves, cuts: list[Block], *, in_place: bool
) -> tuple[Rows, bool, float | None]:
    """What labels and weights tell of the rows, and what a mean divides by."""
    if not (rule.hard and in_place):
        return _weighed(chosen, rule, leaves, cuts)
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
    label = chosen.ops.index(leaves.targets.reshape(_row_shape(rule, leaves)))
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


def _weighed(
    chosen: Plan, rule: RowLoss, leaves: Leaves, cuts: list[Block]
) -> tuple[Rows, bool, float | None]:
    """Probabilities: they are weighed before the visit where a mean divides by what they sum to."""
    masses, z = _per_row(chosen, rule, leaves), rule.z_loss or None
    by_mass = rule.reduction == "mean" and rule.normalizer == "weights"
    weighed = by_mass and leaves.normalizer is None
    if weighed:
        weigh = partial(_weigh, chosen, rule, leaves, masses)
        share(weigh, cuts, chosen.threads, chosen.ops.quiet)
    scale = _scale(chosen, rule, leaves)
    kept = None if scale is None else _stats.counted(chosen.xp, scale, scale)
    if z is not None and scale is not None:
        z = z * scale
    how = rule.reducer(chosen.xp, leaves, masses, kept)
    divisor = None if how.divisor is None else float(how.divisor)
    return Rows(Coefficients(), masses, None, z), weighed, divisor


def _scale(chosen: Plan, rule: RowLoss, leaves: Leaves) -> Array | None:
    """The sample weight of every row, 0 where it is ignored; None where all are 1."""
    xp, scale = chosen.xp, None
    if leaves.sample_weights is not None:
        scale = xp.expand_dims(xp.astype(leaves.sample_weights, rule.dtype), axis=rule.axis)
    if not rule.hard or _none_ignored(xp, rule, leaves):
        return scale
    kept = xp.expand_dims(leaves.targets != rule.ignore_index, axis=rule.axis)
    return xp.astype(kept, rule.dtype) if scale is None else xp.where(kept, scale, 0 * scale)


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


def _room(task: Task) -> Found:
    """Room for what is found out about every row."""
    rows, rule = task.rows, task.rule
    others = rows.t.spread is not None or not rule.hard
    wanted = (rows.z is not None, True, rule.hard, others)
    return Found(*(_per_row(task.plan, rule, task.leaves) if want else None for want in wanted))


def _per_row(chosen: Plan, rule: RowLoss, leaves: Leaves) -> Array:
    """Room for one number per row."""
    return chosen.ops.buffer(_row_shape(rule, leaves), rule.dtype, leaves.logits)


def _row_shape(rule: RowLoss, leaves: Leaves) -> tuple[int, ...]:
    """The shape of what has one number per row."""
    shape = leaves.logits.shape
    return (*shape[: rule.axis], 1, *shape[rule.axis + 1 :])


def _at_label(chosen: Plan, rule: RowLoss, leaves: Leaves, rows: Rows) -> Array | None:
    """The logits at the labels, before a gradient is written over them."""
    if not rule.hard:
        return None
    place = chosen.ops.place(leaves.logits.shape, rows.t.label, rule.axis)
    return chosen.ops.pick(leaves.logits, place, rule.axis)


# The visit.


def _visit_blocks(
    task: Task, found: Found, losses: Array, strange: deque[Block], left: deque[Block]
) -> None:
    """Take blocks until none is left, all in one buffer; ``strange`` are those not visited here."""
    ops, rule, buffer = task.plan.ops, task.rule, None
    for block in taken(left):
        leaves = _cut(task.leaves, block, rule)
        shape = leaves.logits.shape
        count = math.prod(shape)
        if buffer is None or buffer.shape[0] < 2 * count:
            buffer = ops.buffer((2 * count,), rule.dtype, leaves.logits)
        own, spare = (buffer[i * count : (i + 1) * count].reshape(shape) for i in range(2))
        seen = _visit(task, leaves, block, own, own if task.gradient is None else spare)
        if seen is None:
            losses[block] = _visit_any(task, leaves, block)
            strange.append(block)
            found.rest[block] = math.nan  # by which these rows are known
            continue
        for place, value in zip(found, seen, strict=True):
            if place is not None:
                place[block] = value


def _visit(
    task: Task, leaves: Leaves, block: Block | None, buffer: Array, spare: Array | None
) -> Found | None:
    """Visit a block: what is found out about its rows; its gradient goes to its place.

    None where it holds NaN or an infinity that the visit cannot take; then nothing is written.
    """
    ops, rule = task.plan.ops, task.rule
    rows, scores = _rows(task, leaves, block, buffer), _scores(task, leaves, buffer)
    how = {"axis": rule.axis, "temperature": rule.temperature, "buffer": buffer, "spare": spare}
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
    into, bar = _part(task.gradient, block), _part(task.bar, block)
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
        gradient = _part(task.bar, block) * rule.by_first(xp, leaves, visit)
        into = _part(task.gradient, block)
        task.plan.ops.copy(rule.shaped(xp, leaves, gradient), out=into)
    return visit.left.losses


def _scores(task: Task, leaves: Leaves, buffer: Array) -> Array:
    """The logits of a block in the compute dtype, capped and masked."""
    if task.rule.softcap is not None or leaves.where is not None:
        return task.rule.scores(task.plan.xp, leaves)
    if leaves.logits.dtype == buffer.dtype:
        return leaves.logits
    return task.plan.ops.copy(leaves.logits, out=buffer)


def _rows(task: Task, leaves: Leaves, block: Block | None, buffer: Array) -> Rows:
    """What is known of the rows of a block."""
    if task.rule.hard:
        rows = _rows_of(task.rows, block)
        place = task.plan.ops.place(buffer.shape, rows.t.label, task.rule.axis)
        return rows._replace(t=rows.t._replace(label=place))
    t, mass = _coefficients(task.plan.xp, task.rule, leaves, buffer)
    if not task.weighed:
        task.plan.ops.copy(mass, out=_part(task.rows.mass, block))
    return _rows_of(task.rows, block)._replace(t=t)


def _rows_of(rows: Rows, block: Block | None) -> Rows:
    """What labels tell of the rows of a block."""
    if block is None:
        return rows
    t, *numbers = rows
    label, on, spread = (_part(x, block) for x in t[:3])
    return Rows(Coefficients(label, on, spread, t.weights), *(_part(x, block) for x in numbers))


def _part(x: Numbers, block: Block | None) -> Numbers:
    """The part of an array that keeps the class axis; numbers are for all rows."""
    return x if block is None or x is None or isinstance(x, float) else x[block]


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


def _finish_blocks(
    task: Task, found: Found, losses: Array, strange: deque[Block], left: deque[Block]
) -> None:
    """Take blocks until none is left, and finish all rows but the strange ones."""
    for block in taken(left):
        part = Found(*(_part(x, block) for x in found))
        into = losses[block]
        known = (part.rest != part.rest) if strange else None
        made = _finish(task, block, part, known)
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
    into, bar = _part(task.gradient, block), _part(task.bar, block)
    place = ops.place(into.shape, rows.t.label, rule.axis)
    made = _inplace.gradient_at_label(ops, found, rows, bar, temperature=rule.temperature)
    if task.at_label is not None:
        leaves = task.leaves._replace(logits=_part(task.at_label, block))
        made = rule.chain(xp, leaves, made)
    if made.dtype != into.dtype:
        made = xp.astype(made, into.dtype)
    if done is not None:
        made = _but(task, done, ops.pick(into, place, rule.axis), made)
    ops.put(into, place, made, rule.axis)


def _but(task: Task, done: Array | None, old: Array, made: Array) -> Array:
    """What was made, but for the rows that were done in the general form."""
    return made if done is None else task.plan.ops.where(done, old, made)


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
    total = losses.sum()
    if divisor is None:
        return total
    return total / divisor if divisor else xp.zeros_like(total) + rule.empty
