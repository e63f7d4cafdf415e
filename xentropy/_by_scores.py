"""Scores of labels in place, and their gradients: what one visit to the exponentials tells of rows.

With p the softmax, d = (m - x) / T, H' = p (d - the mean of d) and l the label, the gradient by the
logits of bars b of loss, log-probability, logsumexp and entropy is, but for a factor of 1 / T,

    p_j (b_lse - c) + b_H H'_j,   and c more at l,   where c = b_log_prob - b_loss.

There c (1 - p) is made of what all other classes sum to, so that it does not cancel. A row that is
ignored has scores of 0. Labels that are out are left to the rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from xentropy import _inplace
from xentropy._blocks import Block, Buffers
from xentropy._by_rows import Arrays, Work
from xentropy._by_shares import ByShares, Seen
from xentropy._known import kept_labels
from xentropy._rows import Leaves, Left
from xentropy._score import Bars, RowScore
from xentropy._typing import Array, Namespace


class Labels(NamedTuple):
    """The labels of a block, the class axis kept, and 1 where they count, 0 elsewhere; or None."""

    index: Array
    kept: Array | None


class Worth(NamedTuple):
    """The gradients by c, by the logsumexp and by the entropy, which may be None, of every row."""

    own: Array
    lse: Array
    entropy: Array | None


@dataclass(frozen=True)
class ByScores(ByShares):
    """The scores of rows by labels, without weights, smoothing or a bound."""

    HANDS: ClassVar[int] = 4

    @staticmethod
    def takes(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
        """Whether a rule is one of these."""
        if type(rule) is not RowScore or not rule.loss.bare:
            return False
        others = Leaves(*leaves)._replace(logits=None, targets=None, where=None)
        return all(leaf is None for leaf in others)

    def _room(self, xp: Namespace, leaves: tuple[Array | None, ...]) -> tuple[Arrays, Arrays]:
        """Of all values and four statistics of every row, without a look at the first one."""
        x: Array = leaves[0]
        rule, ops = self.rule, self.plan.ops
        dtypes = (*(rule.dtype for _ in rule.outputs), rule.loss.index_dtype, xp.bool)
        rows, kept = self._full(x, 1, x.ndim - 1), self._full(x, 1, x.ndim)
        left = Left(*(ops.buffer(kept, rule.dtype, x) for _ in Left._fields))
        return tuple(ops.buffer(rows, dtype, x) for dtype in dtypes), left

    def _labels(self, work: Work, block: Block) -> Labels:
        xp, ops, leaves = work.xp, self.plan.ops, Leaves(*self.cut(work.leaves, block))
        label = ops.unsqueeze(leaves.targets, self._axis(leaves.logits))
        kept = kept_labels(xp, self.rule.loss, leaves)
        if kept is None:
            return Labels(ops.index(label), None)
        label = xp.where(kept, label, xp.zeros_like(label))
        return Labels(ops.index(label), xp.astype(kept, self.rule.dtype))

    # Values.

    def _values(self, work: Work, block: Block, places: Arrays, room: Buffers) -> Arrays | None:
        exp, spare, _, own = room.of(work.x[block].shape)
        seen = self._seen(self._entries(work, block, own, spare), exp, spare)
        return None if seen is None else self._scores(work, seen, self._labels(work, block))

    def _scores(self, work: Work, seen: Seen, labels: Labels) -> Arrays | None:
        """What the top's distance from the label, and from all others, tells."""
        xp, ops, axis = work.xp, self.plan.ops, self._axis(seen.x)
        (peak, rest, *_), (label, kept) = seen.found, labels
        below = self._below(seen, seen.spare)
        # Its greatest entries are 0, and the exponentials of others may be 1 as well.
        best = xp.argmax(below, axis=axis, keepdims=True)
        depth = ops.pick(below, ops.place(below.shape, label, axis), axis)
        tail, entropy = ops.log1p(rest), self._entropies(seen, below)
        log_prob, lse = depth - tail, peak / self.temperature + tail
        if not (ops.finite(entropy) and ops.finite(log_prob)):
            return None
        told, mass, right = [tail - depth, log_prob, lse, entropy], ops.zeros(rest), best == label
        mass += ops.ONE
        if kept is not None:
            told, mass, right = [each * kept for each in told], kept, right & (kept != 0)
        values = (ops.squeeze(value, axis) for value in (*told, best, right))
        return (*values, *Left(peak, rest, mass, told[0]))

    # Gradients.

    def _slopes(self, work: Work, block: Block, place: Array, room: Buffers) -> Array | None:
        ops, seen = self.plan.ops, self._again(work, block, room)
        if seen is None:
            return None
        peak, rest, *_ = seen.found
        labels = self._labels(work, block)
        worth = self._worth(work, block, labels.kept, peak)
        if not all(each is None or ops.finite(each) for each in (peak, rest, *worth)):
            return None
        axis, below = self._axis(seen.x), self._below(seen, seen.spare)
        label = ops.place(below.shape, labels.index, axis)
        depth = ops.pick(below, label, axis)
        if not ops.finite(depth):
            return None
        self._exp(below, seen)
        out, more = self._into(place, seen.exp), room.of(below.shape)[2]
        made, slope = self._but_label(seen, below, worth, out, more)
        own = ops.exp(depth) * (worth.lse if slope is None else worth.lse + slope(depth))
        own += worth.own * (rest - ops.expm1(depth))
        ops.put(made, label, own / ((rest + ops.ONE) * self.temperature), axis)
        return made

    def _but_label(
        self, seen: Seen, below: Array, worth: Worth, out: Array, more: Array
    ) -> tuple[Array, Callable[[Array], Array] | None]:
        """The gradient by all classes but the label, and what entries have of the entropy's bar.

        The bar times what d is above its mean.
        """
        ops, each = self.plan.ops, worth.lse - worth.own
        p = ops.reciprocal((seen.found.rest + ops.ONE) * self.temperature)
        if worth.entropy is None:
            return ops.multiply(seen.exp, each * p, out=out), None
        products = ops.multiply(below, seen.exp, out=more)
        total, holes = _inplace.sum_beside_holes(ops, products, self._axis(seen.x))
        mean, down = total / (seen.found.rest + ops.ONE), -worth.entropy
        made = ops.multiply(ops.subtract(below, mean, out=below), down, out=below)
        made += each
        made = ops.multiply(ops.multiply(made, seen.exp, out=made), p, out=out)
        return ops.no_nan(made) if holes else made, lambda entry: (entry - mean) * down

    def _worth(self, work: Work, block: Block, kept: Array | None, like: Array) -> Worth:
        """What the rows of a block are worth, 0 where they are ignored."""
        ops, axis, zero = self.plan.ops, self._axis(work.x), self.plan.ops.zeros(like)
        bars = Bars(
            *(
                None if bar is None else ops.unsqueeze(self.part(work.x, bar, block), axis)
                for bar in work.bars
            )
        )
        own = zero if bars.log_prob is None else bars.log_prob
        own = own if bars.loss is None else own - bars.loss
        found = Worth(own, zero if bars.lse is None else bars.lse, bars.entropy)
        if kept is None:
            return found
        return Worth(*(None if each is None else each * kept for each in found))
