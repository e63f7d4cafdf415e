"""Losses of few logits by labels, weighted or not: an operation costs more than what it does.

So there is one block, and as few operations on it as can be: labels are always left out of the
sum of exponentials, as those of long rows are, which spares a look at how confident rows are; and
whether rows are finite is asked once, of what their losses sum to. A row that is ignored weighs 0.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from xentropy._inplace import Numbers, Ops
from xentropy._known import Plan, divides_by_mass, labels_of, plain_divisor, share_of
from xentropy._links import Shares
from xentropy._rows import Leaves, RowLoss
from xentropy._typing import Array

# So many logits are few.
FEW = 1 << 12


class Weights(NamedTuple):
    """What rows weigh, and their labels do, the class axis kept; None where all weigh 1."""

    rows: Array | None
    labels: Array | None


class Seen(NamedTuple):
    """Rows that were visited: their exponentials, e - 1 at the labels, r, and the surprisals."""

    exp: Array
    own: Array
    rest: Array
    surprisal: Array


def _suits(chosen: Plan, rule: RowLoss, leaves: Leaves) -> bool:
    """Whether a loss is of few logits, in one block, by labels that weigh something at most."""
    if math.prod(leaves.logits.shape) > min(FEW, chosen.block_size):
        return False
    return rule.of_labels and leaves.where is leaves.alpha is None


def visit(
    chosen: Plan, rule: RowLoss, leaves: Leaves, bar: Numbers, out: Array | None
) -> tuple[Array, Array | None] | None:
    """The reduced loss, and ``bar`` times its gradient if that is not None.

    None where logits are many or have more than labels, and where rows are not finite; before that
    is known nothing is written to ``out``.
    """
    if not _suits(chosen, rule, leaves):
        return None
    (xp, ops, *_), logits, axis, link = chosen, leaves.logits, rule.axis, rule.link
    labels, kept = _labels(chosen, rule, leaves)
    place = ops.place(logits.shape, labels, axis)
    with ops.quiet():
        scores, buffer, into = _room(ops, rule, logits, bar, out)
        weights = _weights(chosen, rule, leaves, labels, kept)
        divisor = _divisor(rule, leaves, weights)
        seen = _seen(ops, scores, place, axis, rule.temperature, buffer)
        shares = None if link is None else _shares(ops, seen)
        losses = seen.surprisal if link is None else link.value(xp, seen.surprisal, shares)
        losses = losses if weights.labels is None else losses * weights.labels
        value = _reduced(ops, rule, divisor, losses)
        if value is None or into is None:
            return None if value is None else (value, None)
        share = share_of(xp, rule, divisor, bar) / rule.temperature
        if link is not None:
            share = share * link.slope(xp, seen.surprisal, shares)
        return value, _gradient(ops, seen, place, share, weights.labels, axis, into)


def _labels(chosen: Plan, rule: RowLoss, leaves: Leaves) -> tuple[Array, Array | None]:
    """The labels to pick with, the class axis kept, and which of them count, if not all do."""
    xp, labels, kept = chosen.xp, labels_of(chosen, rule, leaves), None
    # Few numbers of Python are looked at sooner than an array of them.
    if rule.ignore_index is not None and rule.ignore_index in labels.reshape((-1,)).tolist():
        kept = labels != rule.ignore_index
        labels = xp.where(kept, labels, xp.zeros_like(labels))
    return labels, kept


def _weights(
    chosen: Plan, rule: RowLoss, leaves: Leaves, labels: Array, kept: Array | None
) -> Weights:
    """What class weights, sample weights and ignored labels come to."""
    xp, rows = chosen.xp, None if kept is None else chosen.xp.astype(kept, rule.dtype)
    if leaves.sample_weights is not None:
        samples = xp.astype(leaves.sample_weights, rule.dtype)
        samples = chosen.ops.unsqueeze(samples, rule.axis)
        rows = samples if rows is None else samples * rows
    if leaves.class_weights is None:
        return Weights(rows, rows)
    own = xp.astype(leaves.class_weights, rule.dtype)[labels]
    return Weights(rows, own if rows is None else own * rows)


def _divisor(rule: RowLoss, leaves: Leaves, weights: Weights) -> float | None:
    """What a mean divides by."""
    if divides_by_mass(rule, leaves) and weights.labels is not None:
        return float(weights.labels.sum())
    valid = rule.normalizer == "valid" and leaves.normalizer is None
    if rule.reduction == "mean" and valid and weights.rows is not None:
        return float((weights.rows != 0).sum())
    return plain_divisor(rule, leaves)


def _room(
    ops: Ops, rule: RowLoss, logits: Array, bar: Numbers, out: Array | None
) -> tuple[Array, Array | None, Array | None]:
    """The logits in the compute dtype, room for their exponentials, and for the gradient."""
    fresh = bar is not None and out is None
    into = ops.result(logits) if fresh else out
    if logits.dtype == rule.dtype:
        return logits, into if fresh else None, into
    wide = ops.copy(logits, out=ops.buffer(logits.shape, rule.dtype, logits))
    return wide, wide, into


def _seen(
    ops: Ops, scores: Array, place: Any, axis: int, temperature: float, buffer: Array | None
) -> Seen:
    """Visit the rows; the exponentials lie in the buffer, if there is one."""
    exp = ops.subtract(scores, ops.max(scores, axis), out=buffer)
    if temperature != 1.0:
        exp /= temperature
    depth = ops.pick(exp, place, axis)
    ops.exp(exp, out=exp)
    own = ops.expm1(depth)
    ops.put(exp, place, own, axis)
    rest = ops.sum(exp, axis)
    return Seen(exp, own, rest, ops.log1p(rest) - depth)


def _shares(ops: Ops, seen: Seen) -> Shares:
    """The probability of every label, and of all others: what is left of r without e - 1."""
    total, others = seen.rest + ops.ONE, seen.rest - seen.own
    return Shares(ops.exp(-seen.surprisal), ops.divide(others, total))


def _gradient(
    ops: Ops, seen: Seen, place: Any, bar: Numbers, weights: Array | None, axis: int, into: Array
) -> Array:
    """The gradient, ``bar`` that by the losses over T: e p, and at the label (e - 1 - r) p."""
    direct = into.dtype == seen.exp.dtype
    bar = bar if weights is None else bar * weights
    ops.put(seen.exp, place, seen.own - seen.rest, axis)
    out = into if direct else seen.exp
    made = ops.multiply(seen.exp, ops.divide(bar, seen.rest + ops.ONE), out=out)
    if weights is not None:
        made += 0.0  # of a row that weighs nothing the label's is -0
    return made if direct else ops.copy(made, out=into)


def _reduced(ops: Ops, rule: RowLoss, divisor: float | None, losses: Array) -> Array | None:
    """The reduced loss, or None where one of a row is not finite."""
    if rule.reduction == "none":
        return ops.squeeze(losses, rule.axis) if ops.finite(losses) else None
    total = losses.sum()
    number = float(total)
    if not math.isfinite(number):
        return None
    if divisor is None:
        return total
    return ops.number(number / divisor if divisor else rule.empty, total)
