"""The divergence of softmaxes from probabilities in place: the sum of t (log t + log1p(r) + d).

d is (m - x) / T. Where t is 0 its logarithm is taken of the smallest number beside it, which the
product with 0 takes away again: to any other t that adds nothing, or its last place. The gradient
is that of cross-entropy, w p - t, times the weight of the row. A class may be out where t is 0.
Other rows that are not finite, and targets that are logits, are left to the rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from xentropy import _inplace
from xentropy._blocks import Block, Buffers
from xentropy._by_rows import Arrays, Work
from xentropy._by_shares import ByShares, Seen
from xentropy._divergence import Divergence, Leaves
from xentropy._inplace import Rows, widened
from xentropy._stats import Coefficients
from xentropy._typing import Array, Namespace


@dataclass(frozen=True)
class OfDivergence(ByShares):
    """What divergences from all that targets are have in common."""

    def _room(self, xp: Namespace, leaves: tuple[Array | None, ...]) -> tuple[Arrays, Arrays]:
        """Every row's loss; its divergence, mass, and what was found of the logits, and targets."""
        x: Array = leaves[0]
        rows = self._full(x, 1, x.ndim)
        count = 6 if self.rule.targets_are == "logits" else 4
        left = tuple(self.plan.ops.buffer(rows, self.rule.dtype, x) for _ in range(count))
        losses = self.plan.ops.buffer(self._full(x, 1, x.ndim - 1), self.rule.dtype, x)
        return (losses,), left

    def _loss(self, work: Work, block: Block, divergence: Array) -> Array:
        """What is lost; a sum over rows is made of those that are given one by one: `_by_sums`."""
        return self.plan.ops.squeeze(self._weighed(work, block, divergence), self.rule.axis)

    def _weight(self, work: Work, block: Block) -> Array:
        """What a row's gradient is worth."""
        return self._weighed(work, block, self._bar(work, block))

    def _weighed(self, work: Work, block: Block, rows: Array) -> Array:
        """Numbers of rows times the weights that these have."""
        weights, ops = Leaves(*work.leaves).sample_weights, self.plan.ops
        if weights is None:
            return rows
        weights = self.plan.xp.astype(self.part(work.x, weights, block), self.rule.dtype)
        return ops.multiply(rows, ops.unsqueeze(weights, self.rule.axis), out=None)


class Made(NamedTuple):
    """What a visit leaves of a block: values and residuals, what it has seen, and targets."""

    values: Arrays
    seen: Seen
    t: Array


@dataclass(frozen=True)
class ByDivergence(OfDivergence):
    """A divergence from probabilities, or their logarithms, of all classes."""

    HANDS: ClassVar[int] = 5

    @staticmethod
    def takes(rule: Any, _: tuple[Array | None, ...]) -> bool:
        """Whether a rule is one of these."""
        return type(rule) is Divergence and rule.targets_are != "logits"

    def _given(self, work: Work, block: Block, room: list[Array]) -> tuple[Array | None, Array]:
        """The logits and the targets of a block, in the last two buffers unless as they are."""
        t = Leaves(*work.leaves).targets[block]
        x = self._entries(work, block, room[3], room[1])
        return x, widened(self.plan.ops, t, room[4])

    def _values(self, work: Work, block: Block, places: Arrays, room: Buffers) -> Arrays | None:
        made = self._made(work, block, room)
        return None if made is None else made.values

    def _both(
        self, work: Work, block: Block, places: Arrays, place: Array, room: Buffers
    ) -> Arrays | None:
        made = self._made(work, block, room)
        if made is None:
            return None
        bar, mass = self._weight(work, block), made.values[2]
        if not (self.plan.ops.finite(bar) and self.plan.ops.finite(mass)):
            return None
        self._write(self._gradient_of(made.seen, made.t, mass, bar, place), place)
        return made.values

    def _made(self, work: Work, block: Block, room: Buffers) -> Made | None:
        ops, axis = self.plan.ops, self.rule.axis
        hands = room.of(work.x[block].shape)
        (x, given), (exp, spare, logs, *_) = self._given(work, block, hands), hands
        seen = self._seen(x, exp, spare)
        if seen is None:
            return None
        (peak, rest, *_), below = seen.found, self._below(seen, spare)
        ratio = ops.subtract(self._log(given, logs), below, out=spare)
        ratio += ops.log1p(rest)
        t = self._probabilities(given, logs)
        divergence = self._total(ops.multiply(ratio, t, out=ratio), t)
        if not ops.finite(divergence):
            return None
        value, mass = self._loss(work, block, divergence), ops.sum(t, axis)
        return Made((value, divergence, mass, peak, rest), seen, t)

    def _total(self, terms: Array, t: Array) -> Array:
        """The sum of t log(t / p), of which that of a class that is out is 0, if its t is."""
        ops, axis = self.plan.ops, self.rule.axis
        total = ops.sum(terms, axis)
        # A t below 0 has no logarithm, and no divergence.
        if ops.finite(total) or not ops.smallest(t) >= 0:
            return total
        return ops.sum(ops.no_nan(terms), axis)

    def _probabilities(self, given: Array, room: Array) -> Array:
        logs = self.rule.targets_are == "log_probabilities"
        return self.plan.ops.exp(given, out=room) if logs else given

    def _log(self, t: Array, room: Array) -> Array:
        """The logarithm of targets, finite where they are 0."""
        if self.rule.targets_are == "log_probabilities":
            return t
        least = float(self.plan.xp.finfo(self.rule.dtype).smallest_normal)
        least *= float(self.plan.xp.finfo(self.rule.dtype).eps)
        room = self.plan.ops.subtract(t, -least, out=room)
        return self.plan.ops.log(room, out=room)

    def _slopes(self, work: Work, block: Block, place: Array, room: Buffers) -> Array | None:
        ops, hands = self.plan.ops, room.of(place.shape)
        (x, given), (exp, spare, logs, *_) = self._given(work, block, hands), hands
        mass = self.part(work.x, work.made[1], block)
        found, bar = self._known(work, block, work.made[2:4]), self._weight(work, block)
        if x is None or not all(map(ops.finite, (found.peak, found.rest, mass, bar))):
            return None
        seen = Seen(x, found, exp, spare)
        self._exp(self._below(seen, exp), seen)
        made = self._gradient_of(seen, self._probabilities(given, logs), mass, bar, place)
        mask = self._mask(work, block)  # what has a target there diverges, but is a constant
        return made if mask is None else ops.multiply(made, mask, out=made)

    def _gradient_of(self, seen: Seen, t: Array, mass: Array, bar: Array, place: Array) -> Array:
        """The gradient of cross-entropy, over the exponentials or in its place."""
        ops, found = self.plan.ops, seen.found
        rows, sharp = Rows(Coefficients(dense=t), mass), ops.smallest(found.rest) < 1
        how, out = (bar, self.rule.temperature, sharp), self._into(place, seen.exp)
        return _inplace.gradient(ops, seen.exp, found, rows, *how, out=out, spare=seen.spare)
