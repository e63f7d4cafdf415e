"""What is known of rows before they are visited: what labels, weights and probabilities tell."""

from __future__ import annotations

import math
from collections import deque
from functools import partial
from typing import Any, NamedTuple

from xentropy import _stats, _targets
from xentropy._blocks import Block, Buffers, wide
from xentropy._divergence import Divergence
from xentropy._inplace import Numbers, Ops, Rows, widened
from xentropy._pair import PairLoss
from xentropy._rows import Leaves, RowLoss
from xentropy._stats import Coefficients
from xentropy._threads import share, taken
from xentropy._typing import Array, Namespace

# Of float32 a tile is at most 54 MB. For every tile a library that multiplies rearranges the whole
# weight, and its gradient is read and written once more: so it pays to have few.
TILE = 13 << 20


class Plan(NamedTuple):
    """A schedule in blocks of rows: operations in place, entries of a block, threads.

    ``least`` is what blocks of few logits have at least, see `sized`; ``tile`` is about how many
    logits of a head are made at a time.
    """

    xp: Namespace
    ops: Ops
    block_size: int
    threads: int
    least: int
    tile: int = TILE


def sized(chosen: Plan, shape: tuple[int, ...], parts: int) -> Plan:
    """The plan with blocks of these logits, of which all threads together have one of the parts.

    So logits that take little memory are not visited in buffers that take more. Less than a quarter
    of a block stays in one, see `blocks`.
    """
    total = math.prod(shape)
    if 4 * total <= chosen.block_size:
        return chosen
    most = max(total // (parts * chosen.threads), chosen.least)
    return chosen._replace(block_size=min(chosen.block_size, most))


def known(
    chosen: Plan,
    rule: RowLoss,
    leaves: Leaves,
    cuts: tuple[Block, ...],
    *,
    in_place: bool,
    later: bool = False,
) -> tuple[Rows, bool, float | None]:
    """What labels and weights tell of the rows, and what a mean divides by.

    The flag says that the masses of rows are known. Where a mean `divides_by_mass`, they may be so
    ``later``, and the divisor with them.
    """
    if not (rule.hard and in_place):
        return _weighed(chosen, rule, leaves, cuts, later=later)
    kept = kept_labels(chosen.xp, rule, leaves)
    bare = leaves.class_weights is leaves.sample_weights is leaves.alpha is kept is None
    if bare and rule.label_smoothing == 0:
        return _plain(chosen, rule, leaves)
    return _weighted(chosen, rule, leaves, kept)


def kept_labels(xp: Namespace, rule: RowLoss, leaves: Leaves) -> Array | None:
    """Which rows of labels count, the class axis kept; None where all of them do."""
    if rule.ignore_index is None:
        return None
    info = xp.iinfo(leaves.targets.dtype)
    if not int(info.min) <= rule.ignore_index <= int(info.max):
        return None
    kept = leaves.targets != rule.ignore_index
    return None if bool(xp.all(kept)) else xp.expand_dims(kept, axis=rule.axis)


def _plain(chosen: Plan, rule: RowLoss, leaves: Leaves) -> tuple[Rows, bool, float | None]:
    """Labels alone: every row has the coefficient 1, at its label."""
    t = Coefficients(label=chosen.ops.unsqueeze(leaves.targets, rule.axis), on=1.0)
    return Rows(t, 1.0, 1.0, rule.z_loss or None), True, plain_divisor(rule, leaves)


def labels_of(chosen: Plan, rule: RowLoss, leaves: Leaves) -> Array:
    """The labels in a dtype to pick with, the class axis kept."""
    return chosen.ops.index(chosen.ops.unsqueeze(leaves.targets, rule.axis))


def plain_divisor(rule: RowLoss, leaves: Leaves) -> float | None:
    """What a mean divides by where every row has a label of coefficient 1."""
    if rule.reduction != "mean":
        return None
    count = leaves.normalizer
    return float(math.prod(leaves.targets.shape) if count is None else count)


def divided(ops: Ops, total: Array, divisor: float | None, empty: float) -> Array:
    """A sum over what a mean divides by, if it is one; ``empty`` of nothing.

    A framework's own division takes longer, and rounds the divisor.
    """
    if divisor is None:
        return total
    return ops.number(float(total) / divisor if divisor else empty, total)


def reduced(
    chosen: Plan,
    rule: RowLoss,
    divisor: float | None,
    losses: Array,
    total: Array | None = None,
) -> Array:
    """The reduced loss, of losses or of their total."""
    if rule.reduction == "none":
        return chosen.ops.squeeze(losses, rule.axis)
    return divided(chosen.ops, losses.sum() if total is None else total, divisor, rule.empty)


def share_of(xp: Namespace, rule: Any, divisor: float | None, bar: Numbers) -> Numbers:
    """The gradient by every row's loss, given that by the reduced one: one number, or one for each.

    A mean over nothing has none.
    """
    if rule.reduction == "none":
        return bar if isinstance(bar, float) else xp.expand_dims(bar, axis=rule.axis)
    if divisor is None:
        return float(bar)
    return float(bar) / divisor if divisor else 0.0


def _weighted(
    chosen: Plan, rule: RowLoss, leaves: Leaves, kept: Array | None
) -> tuple[Rows, bool, float | None]:
    """Labels with weights, smoothing or ignored rows; what all rows share is a number."""
    xp, logits = chosen.xp, leaves.logits
    # All that is asked of it is its dtype and its number of classes.
    like = chosen.ops.buffer((logits.shape[rule.axis],), rule.dtype, logits)
    like = _stats.along(xp, like, logits.ndim, rule.axis)
    labels = chosen.ops.unsqueeze(leaves.targets, rule.axis)
    labels = _targets.judged_labels(xp, labels, kept, rule.index_dtype)
    targets = rule.targets(xp, leaves, like, labels)
    scale = _targets.row_scale(xp, targets)
    t = _targets.coefficients(xp, targets, scale)
    mass = scale if leaves.class_weights is None else _stats.mass(xp, t, rule.axis)
    if not by_class(leaves):
        t = t._replace(weights=None)
    elif isinstance(scale, float) and hasattr(t.spread, "shape"):  # one mask tells of all rows
        t = t._replace(spread=float(xp.reshape(t.spread, ())))
    divisor = _divisor(chosen.xp, rule, leaves, mass, scale)
    if leaves.alpha is not None:  # then there is no smoothing, see `_plans`
        on = rule.balanced(xp, leaves, t).on
        mass = on if on.ndim else float(on)
        t = t._replace(on=mass)
    own, z = _own(xp, t), None if rule.z_loss == 0 else rule.z_loss * scale
    return Rows(t, mass, own, z), True, divisor


def _divisor(
    xp: Namespace, rule: RowLoss, leaves: Leaves, mass: Numbers, scale: Numbers
) -> float | None:
    """What a mean divides by where labels have such masses, and such weights of their rows."""
    by_scale = rule.normalizer == "valid"
    if isinstance(scale if by_scale else mass, float):
        return plain_divisor(rule, leaves)
    kept = _stats.counted(xp, scale, scale) if by_scale else None
    divisor = rule.reducer(xp, leaves, mass, kept).divisor
    return None if divisor is None else float(divisor)


def by_class(leaves: Leaves) -> bool:
    """Whether what labels or probabilities weigh is not the same for all classes."""
    return leaves.class_weights is not None or leaves.where is not None


def _own(xp: Namespace, t: Coefficients) -> Numbers:
    """The coefficients of the labels."""
    if t.spread is None:
        return t.on
    more = t.spread if t.weights is None else t.spread * _targets.lookup(xp, t.weights, t.label)
    return t.on + more


def _weighed(
    chosen: Plan, rule: RowLoss, leaves: Leaves, cuts: tuple[Block, ...], *, later: bool
) -> tuple[Rows, bool, float | None]:
    """Probabilities: before the visit they are weighed where the gradient divides by their sum."""
    masses, z = per_row(chosen, rule, leaves), rule.z_loss or None
    by_mass = divides_by_mass(rule, leaves)
    weighed = by_mass and not later
    if weighed:
        weigh = partial(_weigh, chosen, rule, leaves, masses)
        share(weigh, cuts, chosen.threads, chosen.ops.quiet)
    scale = _scale(chosen, rule, leaves)
    kept = None if scale is None else _stats.counted(chosen.xp, scale, scale)
    if z is not None and scale is not None:
        z = z * scale
    rows = Rows(Coefficients(), masses, None, z)
    if by_mass and later:
        return rows, weighed, None
    how = rule.reducer(chosen.xp, leaves, masses, kept)
    return rows, weighed, None if how.divisor is None else float(how.divisor)


def divides_by_mass(rule: RowLoss | PairLoss | Divergence, leaves: Any) -> bool:
    """Whether a mean divides by what the coefficients of all rows, or elements, sum to."""
    return rule.reduction == "mean" and rule.normalizer == "weights" and leaves.normalizer is None


def _scale(chosen: Plan, rule: RowLoss, leaves: Leaves) -> Array | None:
    """The sample weight of every row, 0 where it is ignored; None where all are 1."""
    xp, scale = chosen.xp, None
    if leaves.sample_weights is not None:
        scale = xp.expand_dims(xp.astype(leaves.sample_weights, rule.dtype), axis=rule.axis)
    kept = kept_labels(xp, rule, leaves) if rule.hard else None
    return _targets.scaled(xp, scale, kept, rule.dtype)


def _weigh(chosen: Plan, rule: RowLoss, leaves: Leaves, masses: Array, left: deque[Block]) -> None:
    """Take blocks until none is left, and write what the coefficients of each row sum to."""
    room = buffers(chosen, rule, leaves, 1)
    for block in taken(left):
        part = cut(leaves, block, rule)
        t = coefficients_of(chosen, rule, part, room.of(part.logits.shape)[0])
        mass_of(chosen, t, rule.axis, out=masses[block])


def coefficients_of(chosen: Plan, rule: RowLoss, leaves: Leaves, room: Array) -> Coefficients:
    """The coefficients of a block; probabilities without weights where they are, or widened."""
    if not rule.as_given(leaves):
        return _targets.coefficients(chosen.xp, rule.targets(chosen.xp, leaves, room))
    return Coefficients(dense=widened(chosen.ops, leaves.targets, room))


def mass_of(chosen: Plan, t: Coefficients, axis: int, *, out: Array) -> None:
    """Write what the coefficients of every row sum to."""
    if t.on is None and t.spread is None:
        chosen.ops.sum(t.dense, axis, out=out)
    else:
        chosen.ops.copy(_stats.mass(chosen.xp, t, axis), out=out)


def per_row(chosen: Plan, rule: RowLoss | Divergence, leaves: Any) -> Array:
    """Room for one number per row."""
    return _room(chosen, rule, leaves, _row_shape(rule, leaves))


def buffers(chosen: Plan, rule: RowLoss | Divergence, leaves: Any, count: int) -> Buffers:
    """So many buffers of a thread."""
    return Buffers(partial(_room, chosen, rule, leaves), count)


def _room(chosen: Plan, rule: RowLoss | Divergence, leaves: Any, shape: tuple[int, ...]) -> Array:
    """An array of no particular values in the dtype that is computed in."""
    return chosen.ops.buffer(shape, rule.dtype, leaves.logits)


def _row_shape(rule: RowLoss | Divergence, leaves: Any) -> tuple[int, ...]:
    """The shape of what has one number per row."""
    shape = leaves.logits.shape
    return (*shape[: rule.axis], 1, *shape[rule.axis + 1 :])


def cut(leaves: Leaves, block: Block, rule: RowLoss) -> Leaves:
    """The leaves of a block; what belongs to classes, or to all, belongs to every block."""
    logits, targets, by_class, samples, mask, *others = leaves
    without = block[: rule.axis] + block[rule.axis + 1 :]
    targets = targets[without] if rule.hard else targets[block]
    samples = None if samples is None else samples[without]
    if mask is not None and mask.ndim == logits.ndim:
        mask = wide(mask, block)
    return Leaves(logits[block], targets, by_class, samples, mask, *others)
