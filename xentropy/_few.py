"""Losses of few logits that have nothing but labels: an operation costs more than what it does.

So there is one block, and as few operations on it as can be: labels are always left out of the
sum of exponentials, as those of long rows are, which spares a look at how confident rows are; and
whether rows are finite is asked once, of what their losses sum to.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from xentropy._inplace import Numbers, Ops
from xentropy._known import Plan, labels_of, plain_divisor, share_of
from xentropy._rows import Leaves, RowLoss
from xentropy._typing import Array

# So many logits are few.
FEW = 1 << 12


class Seen(NamedTuple):
    """Rows that were visited: their exponentials, e - 1 at the labels, r, and the surprisals."""

    exp: Array
    own: Array
    rest: Array
    surprisal: Array


def _suits(chosen: Plan, rule: RowLoss, leaves: Leaves) -> bool:
    """Whether a loss is of few logits, in one block, that have nothing but labels."""
    logits, labels, by_class, samples, mask, _, alpha = leaves
    if math.prod(logits.shape) > min(FEW, chosen.block_size) or not rule.of_labels:
        return False
    if not (by_class is samples is mask is alpha is None):
        return False
    # Few numbers of Python are looked at sooner than an array of them.
    return rule.ignore_index is None or rule.ignore_index not in labels.reshape((-1,)).tolist()


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
    divisor = plain_divisor(rule, leaves)
    place = ops.place(logits.shape, labels_of(chosen, rule, leaves), axis)
    scores, buffer, into = _room(ops, rule, logits, bar, out)
    with ops.quiet():
        seen = _seen(ops, scores, place, axis, rule.temperature, buffer)
        losses = seen.surprisal if link is None else link.value(xp, seen.surprisal)
        value = _reduced(ops, rule, divisor, losses)
        if value is None or into is None:
            return None if value is None else (value, None)
        share = share_of(xp, rule, divisor, bar) / rule.temperature
        if link is not None:
            share = share * link.slope(xp, seen.surprisal)
        direct = into.dtype == rule.dtype
        made = _gradient(ops, seen, place, share, axis, into if direct else seen.exp)
        return value, made if direct else ops.copy(made, out=into)


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


def _gradient(ops: Ops, seen: Seen, place: Any, bar: Numbers, axis: int, out: Array) -> Array:
    """The gradient, ``bar`` that by the losses over T: e p, and at the label (e - 1 - r) p."""
    ops.put(seen.exp, place, seen.own - seen.rest, axis)
    return ops.multiply(seen.exp, ops.divide(bar, seen.rest + ops.ONE), out=out)


def _reduced(ops: Ops, rule: RowLoss, divisor: float | None, losses: Array) -> Array | None:
    """The reduced loss, or None where one of a row is not finite."""
    if rule.reduction == "none":
        return ops.squeeze(losses, rule.axis) if ops.finite(losses) else None
    total = losses.sum()
    number = float(total)
    if not math.isfinite(number):
        return None
    return total if divisor is None else ops.number(number / divisor, total)
