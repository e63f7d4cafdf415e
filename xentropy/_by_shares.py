"""What blocks of rows have in common of which a softmax is told: how they are visited in place.

That is the visit of a loss without targets: the maxima m, r, and the exponentials in a buffer. Rows
that are not finite are left to the rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from xentropy import _inplace
from xentropy._blocks import Block
from xentropy._by_rows import Arrays, ByRows, Work
from xentropy._inplace import Found, widened
from xentropy._stats import Coefficients
from xentropy._typing import Array


class Seen(NamedTuple):
    """A visited block: its entries, what was found, their exponentials, and another buffer."""

    x: Array
    found: Found
    exp: Array
    spare: Array


@dataclass(frozen=True)
class ByShares(ByRows):
    """A rule of rows of which the exponentials are made."""

    @property
    def temperature(self) -> float:
        """What the entries are divided by."""
        rule = getattr(self.rule, "loss", self.rule)
        return getattr(rule, "temperature", 1.0)

    def _seen(self, x: Array, exp: Array, spare: Array) -> Seen | None:
        """A block with its exponentials; None where its rows are not finite."""
        scores = widened(self.plan.ops, x, spare)
        how: dict[str, Any] = {"axis": self._axis(x), "temperature": self.temperature}
        seen = _inplace.visit(self.plan.ops, scores, Coefficients(), **how, buffer=exp, spare=spare)
        return None if seen is None else Seen(x, seen[0], exp, spare)

    def _below(self, seen: Seen, out: Array) -> Array:
        """(x - m) / T once more, after it has become its exponential."""
        x, peak = widened(self.plan.ops, seen.x, out), seen.found.peak
        return _inplace.beneath(self.plan.ops, x, peak, self.temperature, out=out)

    def _exp(self, below: Array, seen: Seen) -> Array:
        """Its exponential once more."""
        return _inplace.exp_below(self.plan.ops, below, seen.found.peak, out=seen.exp)

    def _known(self, work: Work, block: Block, left: Arrays) -> tuple[Found, Array]:
        """What an earlier visit has left of a block, m and r, and the gradient by its values."""
        peak, rest = (self.part(work.x, array, block) for array in left)
        return Found(peak, rest, None, None), self._bar(work, block)

    def _bar(self, work: Work, block: Block) -> Array:
        """The gradient by the values of a block, the class axis kept."""
        bar = self.part(work.x, work.bar, block)
        return bar if bar.ndim == work.x.ndim else self.plan.ops.unsqueeze(bar, self._axis(work.x))
