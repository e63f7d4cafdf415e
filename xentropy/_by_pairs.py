"""Binary losses of logits alone, in place: the mathematics of `_pair` where nothing is weighed.

With u = max(x, 0) and d = min(x, 0) the loss is log1p(e^(d - u)) - t d + (1 - t) u, its derivative
((1 - t) e^d - t e^-u) / (e^d + e^-u), where one of the exponentials is 1: the same sums as there,
in buffers that stay in a cache. Of targets between 0 and 1 the coefficients sum to 1 exactly.
Infinities and NaN are left to `_pair`: they make a loss, or a derivative, that is not finite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xentropy._blocks import Block, Buffers
from xentropy._by_rows import Arrays, ByRows, Work
from xentropy._inplace import log1p_many, widened
from xentropy._pair import Leaves, PairLoss
from xentropy._typing import Array


@dataclass(frozen=True)
class ByPairs(ByRows):
    """A binary loss of logits that nothing weighs, bends or smooths."""

    HANDS: ClassVar[int] = 5

    @staticmethod
    def takes(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
        """Whether a rule is one of these."""
        if type(rule) is not PairLoss or rule.link is not None or rule.alpha is not None:
            return False
        given = Leaves(*leaves)
        weighed = given.pos_weight is not None or given.sample_weights is not None
        return rule.from_logits and rule.label_smoothing == 0 and not weighed

    def _values(self, work: Work, block: Block, places: Arrays, room: Buffers) -> Arrays | None:
        losses, mass, *others = places
        made = self._losses(self._sides(work.leaves, block, room), losses)
        if made is None:
            return None
        mass[...] = 1
        return made, mass, *others

    def _slopes(self, work: Work, block: Block, place: Array, room: Buffers) -> Array | None:
        slope = self._slope(self._sides(work.leaves, block, room))
        if slope is None:
            return None
        return self.plan.ops.multiply(slope, work.bar[block], out=self._into(place, slope))

    def _sides(
        self, leaves: tuple[Array | None, ...], block: Block, buffers: Buffers
    ) -> list[Array] | None:
        """The targets, max(x, 0) and min(x, 0) of a block, and two more buffers.

        None where a target lies elsewhere than between 0 and 1.
        """
        ops, given = self.plan.ops, Leaves(*leaves)
        x = given.logits[block]
        t, up, down, *spare = buffers.of(x.shape)
        low, high = ops.extremes(ops.copy(given.targets[block], out=t))
        if not (low >= 0 and high <= 1):
            return None
        x = widened(ops, x, spare[0])
        up = ops.above(x, out=up)
        return [t, up, ops.subtract(x, up, out=down), *spare]

    def _losses(self, sides: list[Array] | None, out: Array) -> Array | None:
        """Write the losses of a block; None where they may be others."""
        if sides is None:
            return None
        ops, (t, up, down, tail, spare) = self.plan.ops, sides
        tail = ops.exp(ops.subtract(down, up, out=tail), out=tail)
        tail = log1p_many(ops, tail, spare)
        down *= t
        t -= ops.ONE
        up *= t
        out = ops.subtract(tail, down, out=out)
        out -= up
        return out if ops.finite(out) else None

    def _slope(self, sides: list[Array] | None) -> Array | None:
        """The derivatives of a block; None where they may be others."""
        if sides is None:
            return None
        ops, (t, up, down, total, _) = self.plan.ops, sides
        on = ops.exp(ops.multiply(up, -ops.ONE, out=up), out=up)
        off = ops.exp(down, out=down)
        total = ops.multiply(off, -ops.ONE, out=total)
        total -= on
        on *= t
        t -= ops.ONE
        off *= t
        off += on
        off /= total
        return off if ops.finite(off) else None
