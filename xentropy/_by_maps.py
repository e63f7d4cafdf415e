"""What is told of the softmax of rows, in place: itself, its logarithm, logsumexp, entropy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from xentropy import _inplace_softmax
from xentropy._blocks import Block, Buffers
from xentropy._by_rows import Arrays, Work
from xentropy._by_shares import ByShares, Seen
from xentropy._inplace import sum_beside_holes, widened
from xentropy._maps import Entropy, LogSumExp, Rest, Softmax, SumRest
from xentropy._typing import Array, Namespace


@dataclass(frozen=True)
class ByMaps(ByShares):
    """A rule that tells of a softmax, without factors or a sign."""

    HANDS: ClassVar[int] = 4

    @staticmethod
    def takes(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
        """Whether a rule is one of these."""
        if type(rule) not in _TELL or (type(rule) is LogSumExp and rule.signed):
            return False
        return all(
            leaf is None
            for name, leaf in zip(rule.names[1:], leaves[1:], strict=True)
            if name != "where"
        )

    def _room(self, xp: Namespace, leaves: tuple[Array | None, ...]) -> tuple[Arrays, Arrays]:
        """Of one value and two statistics of every row, without a look at the first one."""
        x: Array = leaves[0]
        rule, ops = self.rule, self.plan.ops
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

    def alone(self, xp: Namespace, leaves: tuple[Array | None, ...]) -> Arrays:
        """A softmax in one operation, where a framework has one that loses no more than a visit."""
        x: Array = leaves[0]
        rule = self.rule
        plain = type(rule) is Softmax and leaves[1] is None
        if plain and not rule.log and rule.temperature == 1.0 and x.dtype == rule.dtype:
            made = self.plan.ops.softmax(x, rule.axis)
            if made is not None:
                return (made,)
        return super().alone(xp, leaves)

    def _values(self, work: Work, block: Block, places: Arrays, room: Buffers) -> Arrays | None:
        exp, spare, _, own = room.of(work.x[block].shape)
        x = self._entries(work, block, own, spare)
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

    # Gradients.

    def _slopes(self, work: Work, block: Block, place: Array, room: Buffers) -> Array | None:
        seen = self._again(work, block, room)
        if seen is None:
            return None
        return _PULL[type(self.rule)](self, work, block, seen, place, room)

    def by_logsumexp(
        self, work: Work, block: Block, seen: Seen, place: Array, _room: Buffers
    ) -> Array | None:
        """The softmax times the gradient by its logsumexp."""
        ops = self.plan.ops
        factor = ops.reciprocal(seen.found.rest + ops.ONE) * self._bar(work, block)
        if not (ops.finite(factor) and ops.finite(seen.found.peak)):
            return None
        exp = self._exp(self._below(seen, seen.spare), seen)
        return ops.multiply(exp, factor, out=self._into(place, exp))

    def by_entropy(
        self, work: Work, block: Block, seen: Seen, place: Array, room: Buffers
    ) -> Array | None:
        """p (d - the mean of d) / T, with d = (m - x) / T."""
        ops, below = self.plan.ops, self._below(seen, seen.spare)
        exp, p = self._exp(below, seen), ops.reciprocal(seen.found.rest + ops.ONE)
        products = ops.multiply(below, exp, out=room.of(exp.shape)[2])
        total, holes = sum_beside_holes(ops, products, self._axis(seen.x))
        mean, factor = total * p, p * self._bar(work, block) / -self.temperature
        if not all(map(ops.finite, (seen.found.peak, mean, factor))):
            return None
        made = ops.multiply(ops.subtract(below, mean, out=below), exp, out=below)
        made = ops.multiply(made, factor, out=self._into(place, made))
        return ops.no_nan(made) if holes else made

    def by_softmax(
        self, work: Work, block: Block, seen: Seen, place: Array, room: Buffers
    ) -> Array | None:
        """Of its values, or their logarithms, where no row is strange."""
        ops, (peak, rest, *_) = self.plan.ops, seen.found
        if not (ops.finite(peak) and ops.finite(rest)):
            return None
        bar = self._cut_bar(work, block, room.of(seen.x.shape)[2])
        if bar is None:
            return None
        exp = self._exp(self._below(seen, seen.spare), seen)
        shares = _inplace_softmax.shares(ops, work.xp, exp, rest, self._axis(seen.x))
        pull = _inplace_softmax.by_log_softmax if self.rule.log else _inplace_softmax.by_softmax
        made = pull(ops, shares, bar, out=self._into(place, seen.spare))
        if self.temperature != 1.0:
            made /= self.temperature
        return made

    def _cut_bar(self, work: Work, block: Block, room: Array) -> Array | None:
        """The gradient by the values, 0 at masked classes; None if it is not finite beside them."""
        ops, mask = self.plan.ops, self._mask(work, block)
        bar = widened(ops, self._bar(work, block), room)
        if mask is None:
            return bar
        bar = ops.multiply(bar, mask, out=room)
        return bar if ops.finite(bar) else None


_TELL: dict[type, Callable[[ByMaps, Work, Block, Seen], Arrays | None]] = {
    Softmax: ByMaps.softmax,
    LogSumExp: ByMaps.logsumexp,
    Entropy: ByMaps.entropy,
}
_PULL: dict[type, Callable[[ByMaps, Work, Block, Seen, Array, Buffers], Array | None]] = {
    Softmax: ByMaps.by_softmax,
    LogSumExp: ByMaps.by_logsumexp,
    Entropy: ByMaps.by_entropy,
}
