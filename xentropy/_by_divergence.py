"""The divergence of softmaxes from probabilities in place: the sum of t (log t + log1p(r) + d).

d is (m - x) / T. Where t is 0 its logarithm is taken of the smallest number beside it, which the
product with 0 takes away again: to any other t that adds nothing, or its last place. The gradient
is that of cross-entropy, w p - t, times the weight of the row. Rows that are not finite, targets
that are logits, and what is masked are left to the rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xentropy import _inplace
from xentropy._blocks import Block, Buffers
from xentropy._by_rows import Arrays, Work
from xentropy._by_shares import ByShares, Seen
from xentropy._divergence import Divergence, Leaves
from xentropy._inplace import Rows, widened
from xentropy._stats import Coefficients
from xentropy._typing import Array


@dataclass(frozen=True)
class ByDivergence(ByShares):
    """A divergence from probabilities, or their logarithms, of all classes."""

    HANDS: ClassVar[int] = 4

    @staticmethod
    def takes(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
        """Whether a rule is one of these."""
        if type(rule) is not Divergence or rule.targets_are == "logits":
            return False
        return Leaves(*leaves).where is None

    def _given(self, work: Work, block: Block, room: list[Array]) -> tuple[Array, Array]:
        """The logits and the targets of a block, widened into the last two buffers."""
        given = Leaves(*work.leaves)
        x, t = given.logits[block], given.targets[block]
        ops = self.plan.ops
        return widened(ops, x, room[2]), widened(ops, t, room[3])

    def _values(self, work: Work, block: Block, places: Arrays, room: Buffers) -> Arrays | None:
        ops, axis = self.plan.ops, self.rule.axis
        hands = room.of(work.x[block].shape)
        (x, given), (exp, spare, *_) = self._given(work, block, hands), hands
        seen = self._seen(x, exp, spare)
        if seen is None:
            return None
        (peak, rest, *_), below = seen.found, self._below(seen, spare)
        ratio = ops.subtract(self._log(given, exp), below, out=spare)
        ratio += ops.log1p(rest)
        t = self._probabilities(given, exp)
        made = ops.sum(ops.multiply(ratio, t, out=ratio), axis)
        if not ops.finite(made):
            return None
        # A sum over rows is made of those that are given one by one, see `_by_sums`.
        value = ops.squeeze(weighed(self, work, block, made), axis)
        return value, made, ops.sum(t, axis), peak, rest

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
        ops, rule = self.plan.ops, self.rule
        hands = room.of(place.shape)
        (x, given), (exp, spare, _, room_t) = self._given(work, block, hands), hands
        t = self._probabilities(given, room_t)
        mass = self.part(work.x, work.made[1], block)
        found, bar = self._known(work, block, work.made[2:4])
        bar = weighed(self, work, block, bar)
        if not all(map(ops.finite, (found.peak, found.rest, mass, bar))):
            return None
        seen = Seen(x, found, exp, spare)
        exp = self._exp(self._below(seen, exp), seen)
        rows, sharp = Rows(Coefficients(dense=t), mass), ops.smallest(found.rest) < 1
        how, out = (bar, rule.temperature, sharp), self._into(place, exp)
        return _inplace.gradient(ops, exp, found, rows, *how, out=out, spare=spare)


def weighed(way: ByShares, work: Work, block: Block, rows: Array) -> Array:
    """Numbers of rows times the weights that these have."""
    weights, ops = Leaves(*work.leaves).sample_weights, way.plan.ops
    if weights is None:
        return rows
    weights = way.plan.xp.astype(way.part(work.x, weights, block), way.rule.dtype)
    return ops.multiply(rows, ops.unsqueeze(weights, way.rule.axis), out=None)
