"""Sums and means of exact rows, and what a mean's denominator does to gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpmath import mp, mpf

from xentropy.parity._grid import Shape
from xentropy.parity.exact._given import Given
from xentropy.parity.exact._number import NOTHING, ONE, UNDEFINED, Exact, depth, total


@dataclass(frozen=True)
class Reduction:
    """How a case reduces.

    Parameters
    ----------
    name : str
        "mean", "sum" or "none".
    count : mpf
        What a mean divides by.
    terms : int
        How many numbers the count is the sum of: its rounding.
    moves : bool
        Whether the count depends on the weights and targets, and so takes part in their gradients.
    """

    name: str
    count: mpf = ONE
    terms: int = 1
    moves: bool = False

    def over(self, number: Exact) -> Exact:
        """A number that carries the reduction's factor; over nothing it is 0."""
        if self.name != "mean":
            return number
        if mp.isnan(self.count):
            return UNDEFINED
        return number.times(1 / self.count).looser(1 + depth(self.terms)) if self.count else NOTHING

    def value(self, losses: Sequence[Exact], shape: Shape) -> tuple[Shape, list[Exact]]:
        """The reduced loss and its shape."""
        if self.name == "none":
            return shape, list(losses)
        return (), [self.over(total(losses))]

    def gradient(self, losses: Sequence[Exact], direct: Exact, of_count: mpf) -> Exact:
        """The gradient by something that moves the sum by `direct` and the count by `of_count`."""
        if not self.moves or not of_count:
            return self.over(direct)
        (mean,) = self.value(losses, ())[1]
        return self.over(total((direct, mean.times(-of_count))))


def reduction(given: Given, masses: Sequence[mpf], kept: int) -> Reduction:
    """The reduction of a case whose rows carry these masses."""
    name, normalizer = given.option("reduction", "mean"), given.option("normalizer", "weights")
    if name != "mean":
        return Reduction(name)
    if "normalizer" in given.case.arrays:
        return Reduction(name, *given.flat("normalizer"))
    if normalizer == "weights":
        return Reduction(name, mp.fsum(masses), len(masses), moves=True)
    counts = {"valid": kept, "batch": len(masses)}
    return Reduction(name, mpf(counts.get(normalizer, normalizer)))
