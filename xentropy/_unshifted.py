"""Losses of labels in one visit to their rows: sums of exponentials of the logits as they are.

The largest logit is taken from all others so that no exponential is out of range; finding it is a
visit to the rows. Where logits lie about 0 nothing is out of range anyway: with S the sum of their
exponentials, the loss of label y is log(S e^-x_y), and p_j = e^x_j / S. No difference of logits is
rounded, so nothing is lost. Only where S e^-x_y is near 1, of a confident row whose top is the
label, r is summed once more without the top, from differences with it, as in the other forms.

A few rows tell first whether this is worth a visit. Where any row has a sum or a label that is out
of range, the call is made in the other forms, see `xentropy._fused`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from xentropy import _fused, _stats, _targets
from xentropy._fused import Compiler, short
from xentropy._rows import Leaves, Left, RowLoss
from xentropy._stats import Stats
from xentropy._typing import Array, Namespace

T = TypeVar("T")

# The sums and the labels' logits that are in range. A gradient is made of e^x / S: were S smaller,
# e^x would be 0 where p is not; were S much larger, so would 1 / S times a small weight.
LEAST, MOST = 0.5, 2.0**64
LOWEST = -40.0
# So many rows tell whether the others are visited.
FEW = 4
# As S e^-x_y is rounded, it is not exactly 2 where two classes share the top.
ALONE = 2 - 1 / 16


class Looker(Compiler, Protocol):
    """What a compiler offers beyond: a look at a few rows."""

    def first(self, x: Array, count: int) -> Array:
        """The first rows; or zeros, where looking at them would take them elsewhere."""
        ...


def visited(
    xp: Namespace, ops: Looker, rule: RowLoss, leaves: Leaves, then: Callable[[Left], T]
) -> T:
    """What a function makes of what a visit to the rows leaves: their statistics and losses.

    Where ``max`` is no row's maximum it is 0, which is as good for gradients and their derivatives.
    """
    if not _suits(rule, leaves):
        return _fused.visited(xp, ops, rule, leaves, then)
    t = _targets.coefficients(xp, rule.targets(xp, leaves, rule.scores(xp, leaves)))
    own = _fused.own_scores(xp, rule, leaves, t.label)
    total = _total(xp, ops, rule, leaves.logits, own)
    return ops.either(
        ops.everywhere(_in_range(total) & (own > LOWEST)),
        lambda: then(_left(xp, ops, rule, leaves, t.on, own, total)),
        lambda: _fused.visited(xp, ops, rule, leaves, then),
    )


def _suits(rule: RowLoss, leaves: Leaves) -> bool:
    logits = leaves.logits
    plain = rule.bare and rule.temperature == 1.0 and leaves.where is None
    return plain and not short(rule, logits) and bool(logits.dtype == rule.dtype)


def _in_range(total: Array) -> Array:
    return (total > LEAST) & (total < MOST)


def _total(xp: Namespace, ops: Looker, rule: RowLoss, logits: Array, own: Array) -> Array:
    """S of every row, or NaN where that of the first ones is out of range already."""
    first = _sum(xp, ops, rule, ops.first(logits, FEW))
    return ops.either(
        ops.everywhere(_in_range(first)),
        lambda: _sum(xp, ops, rule, logits),
        lambda: xp.zeros_like(own) + float("nan"),
    )


def _sum(xp: Namespace, ops: Compiler, rule: RowLoss, logits: Array) -> Array:
    # If XLA knew it to be 0, it would put the sums of parts of long rows together again.
    zero = ops.anew(xp.zeros_like(logits[..., :1]))
    return _fused.sum_of_exponentials(xp, ops, rule, Leaves(logits, None), zero)


def _left(
    xp: Namespace,
    ops: Compiler,
    rule: RowLoss,
    leaves: Leaves,
    mass: Array,
    own: Array,
    total: Array,
) -> Left:
    """The statistics by the sums: with 0 for the maximum, or that of rows whose label is alone."""
    ratio, zero = total * xp.exp(-own), xp.zeros_like(own)
    many = ratio >= ALONE
    rest = _fused.sharpened(xp, ops, rule, leaves, own, ratio - 1, many)
    losses = _stats.finish(xp, Stats(own, rest, zero, mass))
    return Left(xp.where(many, zero, own), xp.where(many, total - 1, rest), mass, losses)
