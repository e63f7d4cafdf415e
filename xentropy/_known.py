"""What is known of rows before they are visited: what labels, weights and probabilities tell."""

from __future__ import annotations

import math
from collections import deque
from functools import partial
from typing import NamedTuple

from xentropy import _stats, _targets
from xentropy._blocks import Block, wide
from xentropy._inplace import Numbers, Ops, Rows
from xentropy._rows import Leaves, RowLoss
from xentropy._stats import Coefficients
from xentropy._threads import share, taken
from xentropy._typing import Array, Namespace

# Of float32 a tile is at most 54 MB. For every tile a library that multiplies rearranges the whole
# weight, and its gradient is read and written once more: so it pays to have few.
TILE = 13 << 20


class Plan(NamedTuple):
    """A schedule in blocks of rows: operations in place, entries of a block, threads.

    ``tile`` is about how many logits of a head are made at a time.
    """

    xp: Namespace
    ops: Ops
    block_size: int
    threads: int
    tile: int = TILE


def known(
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
    t = Coefficients(label=labels_of(chosen, rule, leaves), on=1.0)
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


def share_of(xp: Namespace, rule: RowLoss, divisor: float | None, bar: Numbers) -> Numbers:
    """The gradient by every row's loss, given that by the reduced one: one number, or one for each.

    A mean over nothing has none.
    """
    if rule.reduction == "none":
        return bar if isinstance(bar, float) else xp.expand_dims(bar, axis=rule.axis)
    if divisor is None:
        return float(bar)
    return float(bar) / divisor if divisor else 0.0


def _weighted(chosen: Plan, rule: RowLoss, leaves: Leaves) -> tuple[Rows, bool, float | None]:
    """Labels with weights, smoothing or ignored rows."""
    xp, logits = chosen.xp, leaves.logits
    # All that is asked of it is its dtype and its number of classes.
    like = chosen.ops.buffer((logits.shape[rule.axis],), rule.dtype, logits)
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
    masses, z = per_row(chosen, rule, leaves), rule.z_loss or None
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
        part = cut(leaves, block, rule)
        like = xp.astype(part.logits, rule.dtype)
        masses[block] = coefficients_of(xp, rule, part, like)[1]


def coefficients_of(
    xp: Namespace, rule: RowLoss, leaves: Leaves, like: Array
) -> tuple[Coefficients, Array]:
    """The coefficients of a block of probabilities, and what they sum to."""
    t = _targets.coefficients(xp, rule.targets(xp, leaves, like))
    mass = _stats.mass(xp, t, rule.axis)
    return t if leaves.class_weights is not None else t._replace(weights=None), mass


def per_row(chosen: Plan, rule: RowLoss, leaves: Leaves) -> Array:
    """Room for one number per row."""
    return chosen.ops.buffer(_row_shape(rule, leaves), rule.dtype, leaves.logits)


def _row_shape(rule: RowLoss, leaves: Leaves) -> tuple[int, ...]:
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
