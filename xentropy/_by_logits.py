"""The divergence of softmaxes from softmaxes in place: how logits differ from those of a teacher.

A row has the sum of t l + (p - t), where l = log(t / p) comes of the logits' differences, with what
these have rounded away. They are shifted by what the logarithms of the sums of exponentials differ
by, rounded: the sum of p expm1(l) tells what is left of that, and is taken off again. p - t is the
larger of the two times expm1(-|l|), in which expm1(z) = 2 u / (1 - u) with u = tanh(z / 2): vectors
have it. Where a row has little, as its terms nearly cancel, those near 0 are t l^2 times a series.
What `_divergence` chooses by entry would take longer here than all else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, ClassVar, NamedTuple

from xentropy._blocks import Block, Buffers
from xentropy._by_divergence import OfDivergence
from xentropy._by_rows import Arrays, Work
from xentropy._by_shares import Seen
from xentropy._divergence import Divergence, Leaves
from xentropy._inplace import Found, widened
from xentropy._typing import Array

# Of rows that diverge so much, terms that are added lose no more than a few last places.
_MUCH = 1 / 64
# Where l is nearer to 0 its terms are made by the series.
_NEAR = 0.5


class Ratio(NamedTuple):
    """Of the classes of a block t, l and p - t; a buffer; what was found of both sides' rows."""

    t: Array
    log: Array
    excess: Array
    spare: Array
    sides: tuple[Found, Found]


@dataclass(frozen=True)
class ByLogits(OfDivergence):
    """A divergence from the softmax of other logits, of all classes."""

    HANDS: ClassVar[int] = 7

    @staticmethod
    def takes(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
        """Whether a rule is one of these; of one class nothing is left, to the last place."""
        if type(rule) is not Divergence or rule.targets_are != "logits":
            return False
        given = Leaves(*leaves)
        return given.where is None and given.logits.shape[rule.axis] > 1

    def _values(self, work: Work, block: Block, places: Arrays, room: Buffers) -> Arrays | None:
        ratio = self._ratio(work, block, room, ())
        return None if ratio is None else self._made(work, block, places, ratio)

    def _both(
        self, work: Work, block: Block, places: Arrays, place: Array, room: Buffers
    ) -> Arrays | None:
        ratio = self._ratio(work, block, room, ())
        if ratio is None:
            return None
        made = self._made(work, block, places, ratio)
        if made is not None:
            self._write(self._gradient_of(work, block, ratio, place), place)
        return made

    def _slopes(self, work: Work, block: Block, place: Array, room: Buffers) -> Array | None:
        left = tuple(self.part(work.x, array, block) for array in work.made[2:])
        ratio = self._ratio(work, block, room, left)
        return None if ratio is None else self._gradient_of(work, block, ratio, place)

    # The ratio.

    def _ratio(self, work: Work, block: Block, room: Buffers, left: Arrays) -> Ratio | None:
        """log(t / p), if all logits that count are; ``left`` is what an earlier visit has found."""
        ops, given = self.plan.ops, Leaves(*work.leaves)
        hands = room.of(given.logits[block].shape)
        x = widened(ops, given.logits[block], hands[5])
        y = widened(ops, given.targets[block], hands[6])
        if ops.finite(x) and ops.finite(y):
            return self._compared(x, y, hands, left)
        x, y = (
            ops.at_least(z, self._least, out=hand)
            for z, hand in zip((x, y), hands[5:], strict=True)
        )
        ratio = self._compared(x, y, hands, left)
        return ratio if ratio is not None and self._counts(ratio) else None

    @cached_property
    def _least(self) -> float:
        """What stands for -inf where a class may be out of both sides, or of the teacher's."""
        return -float(self.plan.xp.finfo(self.rule.dtype).max) / 8

    def _counts(self, ratio: Ratio) -> bool:
        """Whether no row is out, and no class that a teacher has is."""
        ops, least = self.plan.ops, self._least
        peaks = (ops.smallest(side.peak) for side in ratio.sides)
        most = ops.extremes(ratio.log)[1] * self.temperature
        return all(peak > least for peak in peaks) and most < -least / 2

    def _compared(self, x: Array, y: Array, hands: list[Array], left: Arrays) -> Ratio | None:
        """log(t / p), if it is finite."""
        ops, (p, t, log, one, other, *_) = self.plan.ops, hands
        mine, theirs = self._side(x, p, one, left[:2]), self._side(y, t, one, left[2:])
        if mine is None or theirs is None:
            return None
        log = self._apart(x, y, (mine, theirs), [log, one, other])
        excess = self._excess(p, t, log, one)
        short = -ops.sum(excess, self.rule.axis)
        if not ops.finite(short):
            return None
        excess = ops.less(excess, p, -short, spare=other)
        excess /= short + ops.ONE
        log -= ops.log1p(short)
        return Ratio(t, log, excess, other, (mine, theirs))

    def _side(self, x: Array, exp: Array, spare: Array, left: Arrays) -> Found | None:
        """Write the softmax; None where rows are seen to be not finite."""
        if left:
            peak, rest = left
            seen = Seen(x, Found(peak, rest, None, None), exp, spare)
            self._exp(self._below(seen, exp), seen)
        else:
            again = self._seen(x, exp, spare)
            if again is None:
                return None
            seen = again
        exp /= seen.found.rest + self.plan.ops.ONE
        return seen.found

    def _apart(self, x: Array, y: Array, sides: tuple[Found, Found], room: list[Array]) -> Array:
        """(y - x - k) / T with what y - x has rounded away; with k it is about l."""
        ops, (mine, theirs), (high, back, low) = self.plan.ops, sides, room
        shift = ops.log1p(theirs.rest) - ops.log1p(mine.rest)
        shift = theirs.peak - mine.peak + shift * self.temperature
        high = ops.subtract(y, x, out=high)
        back = ops.subtract(high, y, out=back)
        low = ops.subtract(y, ops.subtract(high, back, out=low), out=low)
        back += x
        low -= back
        high -= shift
        high += low
        if self.temperature != 1.0:
            high /= self.temperature
        return high

    def _excess(self, p: Array, t: Array, log: Array, room: Array) -> Array:
        """p - t where l is what it is about: -2 max(p, t) u / (1 + |u|), with u = tanh(l / 2)."""
        xp, ops = self.plan.xp, self.plan.ops
        u = xp.tanh(ops.multiply(log, 0.5, out=room))
        size = xp.abs(u)
        size += ops.ONE
        u /= size
        u *= -2.0
        u *= xp.maximum(p, t)
        return u

    # What is made of it.

    def _made(self, work: Work, block: Block, places: Arrays, ratio: Ratio) -> Arrays | None:
        """Values and residuals, if they are finite."""
        divergence, ops = self._far(ratio), self.plan.ops
        if not ops.smallest(divergence) >= _MUCH:
            divergence = self._near(ratio)
        if not ops.finite(divergence):
            return None
        mass = places[2]
        mass[...] = 1
        found, other = ratio.sides
        value = self._loss(work, block, divergence)
        return value, divergence, mass, found.peak, found.rest, other.peak, other.rest

    def _gradient_of(self, work: Work, block: Block, ratio: Ratio, place: Array) -> Array:
        """p - t times what rows are worth."""
        bar = self._weight(work, block) / self.temperature
        return self.plan.ops.multiply(ratio.excess, bar, out=self._into(place, ratio.excess))

    def _far(self, ratio: Ratio) -> Array:
        """The sum of t l of every row, as all p - t sum to 0."""
        each = self.plan.ops.multiply(ratio.t, ratio.log, out=ratio.spare)
        return self.plan.ops.sum(each, self.rule.axis)

    def _near(self, ratio: Ratio) -> Array:
        """The sum of t l + (p - t), the terms with l near 0 made by the series."""
        ops, log = self.plan.ops, ratio.log
        small = (log > -_NEAR) & (log < _NEAR)
        near = ops.zeros(log)
        for coefficient in _series(float(self.plan.xp.finfo(self.rule.dtype).eps)):
            near *= log
            near += coefficient
        for factor in (log, log, ratio.t, small):
            near *= factor
        # Far ones may be infinite, times 0.
        near = ops.no_nan(near)
        far = ratio.spare  # t l, as `_far` has left it
        far += ratio.excess
        far *= ~small
        near += far
        return ops.sum(near, self.rule.axis)


@cache
def _series(eps: float) -> tuple[float, ...]:
    """The coefficients of (l - 1 + e^-l) / l^2, the last ones first, to so many digits."""
    coefficients, k = [0.5], 1
    while abs(coefficients[-1]) * _NEAR ** (k - 1) > eps / 8:
        coefficients.append((-1) ** k / math.factorial(k + 2))
        k += 1
    return tuple(reversed(coefficients))
