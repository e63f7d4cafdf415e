"""Losses of few logits that have nothing but labels: an operation costs more than what it does.

So there is one block, and as few operations on it as can be: labels are always left out of the
sum of exponentials, as those of long rows are, which spares a look at how confident rows are; and
whether rows are finite is asked once, of what their losses sum to.
"""

from __future__ import annotations

import math

from xentropy import _inplace
from xentropy._inplace import Numbers, Ops, Rows
from xentropy._known import Plan, labels_of, plain_divisor, share_of
from xentropy._rows import Leaves, RowLoss
from xentropy._stats import Coefficients
from xentropy._typing import Array

# So many logits are few.
FEW = 1 << 12

# Every row has the coefficient 1, at its label.
_ROWS = Rows(Coefficients(on=1.0), 1.0, 1.0)


def _suits(chosen: Plan, rule: RowLoss, leaves: Leaves) -> bool:
    """Whether a loss is of few logits, in one block, that have nothing but labels."""
    logits, labels, by_class, samples, mask, _, alpha = leaves
    if not rule.bare or math.prod(logits.shape) > min(FEW, chosen.block_size):
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
    ops, logits, axis = chosen.ops, leaves.logits, rule.axis
    labels = labels_of(chosen, rule, leaves)
    divisor, place = plain_divisor(rule, leaves), ops.place(logits.shape, labels, axis)
    scores, buffer, into = _room(ops, rule, logits, bar, out)
    with ops.quiet():
        found, exp = _inplace.visit_few(
            ops, scores, place, axis=axis, temperature=rule.temperature, buffer=buffer
        )
        losses = _inplace.losses(ops, found, _ROWS, rule.temperature)
        value = _reduced(ops, rule, divisor, losses)
        if value is None or into is None:
            return None if value is None else (value, None)
        share = share_of(chosen.xp, rule, divisor, bar) / rule.temperature
        direct = into.dtype == exp.dtype
        made = _inplace.gradient_of_few(
            ops, exp, found, place, share, axis=axis, out=into if direct else exp
        )
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


def _reduced(ops: Ops, rule: RowLoss, divisor: float | None, losses: Array) -> Array | None:
    """The reduced loss, or None where one of a row is not finite."""
    if rule.reduction == "none":
        return ops.squeeze(losses, rule.axis) if ops.finite(losses) else None
    total = losses.sum()
    number = float(total)
    if not math.isfinite(number):
        return None
    return total if divisor is None else ops.number(number / divisor, total)
