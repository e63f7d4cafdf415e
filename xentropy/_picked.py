"""Losses of labels by probabilities as given: of every row one entry counts, and has a gradient.

Nothing is normalized, so no other entry is read: with q = -log p of the label the loss is t f(q),
its gradient by log p is -t f'(q) at the label, and 0 elsewhere.
"""

from __future__ import annotations

from xentropy import _stats
from xentropy._inplace import Numbers, own_of
from xentropy._known import Plan, known, reduced, share_of
from xentropy._rows import Leaves, RowLoss
from xentropy._typing import Array


def suits(rule: RowLoss, leaves: Leaves) -> bool:
    """Whether a loss is one of labels alone, by probabilities as given or their logarithms."""
    labels = rule.hard and rule.label_smoothing == 0
    return rule.source != "logits" and labels and leaves.where is None


def visit(
    chosen: Plan, rule: RowLoss, leaves: Leaves, bar: Numbers, out: Array | None
) -> tuple[Array, Array | None]:
    """The reduced loss, and ``bar`` times its gradient if that is not None."""
    (xp, ops, *_), given = chosen, leaves.logits
    with ops.quiet():
        rows, _, divisor = known(chosen, rule, leaves, (), in_place=True)
        place = ops.place(given.shape, ops.index(rows.t.label), rule.axis)
        own = xp.astype(ops.pick(given, place, rule.axis), rule.dtype)
        surprisal = -(xp.log(own) if rule.source == "probabilities" else own)
        value = reduced(chosen, rule, divisor, _losses(chosen, rule, rows.t.on, surprisal))
        if bar is None:
            return value, None
        slopes = _slopes(chosen, rule, rows.t.on, surprisal, own)
        slopes = slopes * share_of(xp, rule, divisor, bar)
        gradient = ops.result(given) if out is None else out
        gradient[...] = 0
        ops.put(gradient, place, xp.astype(slopes, gradient.dtype), rule.axis)
        return value, gradient


def _losses(chosen: Plan, rule: RowLoss, on: Numbers, surprisal: Array) -> Array:
    """t f(q) of every row; what loses nothing loses 0, and not -0."""
    bent = surprisal if rule.link is None else rule.link.value(chosen.xp, surprisal)
    return own_of(chosen.ops, bent, on) + 0.0


def _slopes(chosen: Plan, rule: RowLoss, on: Numbers, surprisal: Array, own: Array) -> Array:
    """The gradient of every row by what is given of its label."""
    xp = chosen.xp
    slope = xp.ones_like(surprisal)
    slope = slope if rule.link is None else rule.link.slope(xp, surprisal)
    slope = 0.0 - own_of(chosen.ops, slope, on)
    return _stats.times(xp, slope, 1 / own) if rule.source == "probabilities" else slope
