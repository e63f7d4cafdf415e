"""What is told of the softmax of rows, in place: itself, its logarithm, logsumexp, entropy, scores.

The entropy takes one more sum than a loss does, that of e^-d d with d = (m - x) / T, of which no
term is negative and the top's is 0: so it may be summed over all of a row. Labels that are ignored
are left to the rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from xentropy import _inplace_softmax
from xentropy._blocks import Block, Buffers
from xentropy._by_rows import Arrays, Work
from xentropy._by_shares import ByShares, Seen
from xentropy._inplace import widened
from xentropy._known import kept_labels
from xentropy._maps import Entropy, LogSumExp, Rest, Softmax, SumRest
from xentropy._rows import Leaves, Left
from xentropy._score import RowScore
from xentropy._typing import Array, Namespace


@dataclass(frozen=True)
class ByMaps(ByShares):
    """A rule that tells of a softmax, without a mask, factors or a sign."""

    HANDS: ClassVar[int] = 3

    @staticmethod
    def takes(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
        """Whether a rule is one of these."""
        if type(rule) is RowScore:
            return rule.loss.bare and all(leaf is None for leaf in leaves[2:])
        if type(rule) not in _TELL or (type(rule) is LogSumExp and rule.signed):
            return False
        return all(leaf is None for leaf in leaves[1:])

    def _room(self, xp: Namespace, leaves: tuple[Array | None, ...]) -> tuple[Arrays, Arrays]:
        """Of one value and two statistics of every row, without a look at the first one."""
        x: Array = leaves[0]
        rule, ops = self.rule, self.plan.ops
        if type(rule) is RowScore:
            return super()._room(xp, leaves)
        kept = self._full(x, 1, x.ndim)
        peak, rest = (ops.buffer(kept, rule.dtype, x) for _ in range(2))
        if type(rule) is Softmax:
            return (ops.result(x),), Rest(peak, rest)
        shape = kept if getattr(rule, "keepdims", False) else self._full(x, 1, x.ndim - 1)
        values = (ops.buffer(shape, rule.dtype, x),)
        if type(rule) is Entropy:
            return values, Rest(peak, rest)
        return values, SumRest(peak, rest, ops.zeros(peak))

    # Values.

    def _values(self, work: Work, block: Block, places: Arrays, room: Buffers) -> Arrays | None:
        x = work.x[block]
        exp, spare, _ = room.of(x.shape)
        if type(self.rule) is Softmax:
            exp = self._into(places[0], exp)
        seen = self._seen(x, exp, spare)
        return None if seen is None else _TELL[type(self.rule)](self, work, block, seen)

    def softmax(self, _work: Work, _block: Block, seen: Seen) -> Arrays:
        """Over its exponentials; of its logarithm nothing cancels where the top goes first."""
        ops, (peak, rest, *_) = self.plan.ops, seen.found
        if self.rule.log:
            below = self._below(seen, seen.spare)
            return ops.subtract(below, ops.log1p(rest), out=seen.exp), peak, rest
        return ops.multiply(seen.exp, ops.reciprocal(rest + ops.ONE), out=seen.exp), peak, rest

    def logsumexp(self, _work: Work, _block: Block, seen: Seen) -> Arrays:
        ops, (peak, rest, *_) = self.plan.ops, seen.found
        made = peak + ops.log1p(rest)
        made = made if self.rule.keepdims else ops.squeeze(made, self._axis(seen.x))
        return made, peak, rest, ops.zeros(peak)

    def entropy(self, _work: Work, _block: Block, seen: Seen) -> Arrays | None:
        ops, (peak, rest, *_) = self.plan.ops, seen.found
        made = self._entropies(seen, self._below(seen, seen.spare))
        return (ops.squeeze(made, self._axis(seen.x)), peak, rest) if ops.finite(made) else None

    def _entropies(self, seen: Seen, below: Array) -> Array:
        """log1p(r) + the sum of e^-d d / (1 + r); what lies below is written over."""
        ops, rest = self.plan.ops, seen.found.rest
        total = ops.sum(ops.multiply(below, seen.exp, out=below), self._axis(seen.x))
        return ops.log1p(rest) - total / (rest + ops.ONE)

    def scores(self, work: Work, block: Block, seen: Seen) -> Arrays | None:
        """Scores of labels: what the top's distance from the label and from all others tells."""
        xp, ops, (peak, rest, *_) = work.xp, self.plan.ops, seen.found
        axis, leaves = self._axis(seen.x), Leaves(*self.cut(work.leaves, block))
        if kept_labels(xp, self.rule.loss, leaves) is not None:
            return None
        label = ops.index(ops.unsqueeze(leaves.targets, axis))
        below = self._below(seen, seen.spare)
        # Its greatest entries are 0, and the exponentials of others may be 1 as well.
        best = xp.argmax(below, axis=axis, keepdims=True)
        depth = ops.pick(below, ops.place(below.shape, label, axis), axis)
        log_prob, entropy = depth - ops.log1p(rest), self._entropies(seen, below)
        if not (ops.finite(entropy) and ops.finite(log_prob)):
            return None
        lse = peak / self.temperature + ops.log1p(rest)
        loss = ops.log1p(rest) - depth
        values = (loss, log_prob, lse, entropy, best, best == label)
        left = Left(peak, rest, ops.zeros(rest) + ops.ONE, loss)
        return (*(ops.squeeze(value, axis) for value in values), *left)

    # Gradients.

    def _slopes(self, work: Work, block: Block, place: Array, room: Buffers) -> Array | None:
        pull = _PULL.get(type(self.rule))  # of scores there is none: they have many values
        return None if pull is None else pull(self, work, block, place, room)

    def _again(self, work: Work, block: Block, room: Buffers) -> tuple[Seen, Array]:
        """A block whose exponentials are still to be made, and the gradient by its values."""
        x, (found, bar) = work.x[block], self._known(work, block, work.made[:2])
        exp, spare, _ = room.of(x.shape)
        return Seen(x, found, exp, spare), bar

    def by_logsumexp(self, work: Work, block: Block, place: Array, room: Buffers) -> Array | None:
        """The softmax times the gradient by its logsumexp."""
        ops, (seen, bar) = self.plan.ops, self._again(work, block, room)
        factor = ops.reciprocal(seen.found.rest + ops.ONE) * bar
        if not (ops.finite(factor) and ops.finite(seen.found.peak)):
            return None
        exp = self._exp(self._below(seen, seen.spare), seen)
        return ops.multiply(exp, factor, out=self._into(place, exp))

    def by_entropy(self, work: Work, block: Block, place: Array, room: Buffers) -> Array | None:
        """p (d - the mean of d) / T, with d = (m - x) / T."""
        ops, (seen, bar) = self.plan.ops, self._again(work, block, room)
        below, more = self._below(seen, seen.spare), room.of(seen.x.shape)[2]
        exp, p = self._exp(below, seen), ops.reciprocal(seen.found.rest + ops.ONE)
        mean = ops.sum(ops.multiply(below, exp, out=more), self._axis(seen.x)) * p
        if not ops.finite(mean):
            return None
        made = ops.multiply(ops.subtract(below, mean, out=below), exp, out=below)
        factor = p * bar / -self.temperature
        return ops.multiply(made, factor, out=self._into(place, made))

    def by_softmax(self, work: Work, block: Block, place: Array, room: Buffers) -> Array | None:
        """Of its values, or their logarithms, where no row is strange."""
        ops, (seen, bar) = self.plan.ops, self._again(work, block, room)
        peak, rest, *_ = seen.found
        if not (ops.finite(peak) and ops.finite(rest)):
            return None
        bar = widened(ops, bar, room.of(seen.x.shape)[2])
        exp = self._exp(self._below(seen, seen.spare), seen)
        shares = _inplace_softmax.shares(ops, work.xp, exp, rest, self._axis(seen.x))
        pull = _inplace_softmax.by_log_softmax if self.rule.log else _inplace_softmax.by_softmax
        made = pull(ops, shares, bar, out=self._into(place, seen.spare))
        if self.temperature != 1.0:
            made /= self.temperature
        return made


_TELL: dict[type, Callable[[ByMaps, Work, Block, Seen], Arrays | None]] = {
    Softmax: ByMaps.softmax,
    LogSumExp: ByMaps.logsumexp,
    Entropy: ByMaps.entropy,
    RowScore: ByMaps.scores,
}
_PULL: dict[type, Callable[[ByMaps, Work, Block, Array, Buffers], Array | None]] = {
    Softmax: ByMaps.by_softmax,
    LogSumExp: ByMaps.by_logsumexp,
    Entropy: ByMaps.by_entropy,
}
