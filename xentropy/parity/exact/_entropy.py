"""The entropy of the rows, ``sum(p * -log p)``."""

from __future__ import annotations

from functools import cached_property

from xentropy.parity._case import Case
from xentropy.parity._formats import compute_dtype
from xentropy.parity.exact._given import Given
from xentropy.parity.exact._number import Tensor
from xentropy.parity.exact._rows import LogitRow, Warp


class Entropy:
    """One number a row."""

    def __init__(self, case: Case) -> None:
        self.case, self.given = case, Given(case)

    @cached_property
    def rows(self) -> list[LogitRow]:
        """The rows of logits."""
        pairs = zip(self.given.split("logits"), self.given.masks, strict=True)
        warp = Warp.of(self.given)
        return [LogitRow(x, mask, warp) for x, mask in pairs]

    def value(self) -> Tensor:
        """The entropies."""
        numbers = [row.softmax.entropy for row in self.rows]
        return Tensor(compute_dtype(self.case.first.dtype), self.given.rest, numbers)

    def gradient(self, _name: str) -> Tensor:
        """Their gradient by the logits."""
        pulled = self.given.scatter([row.pull_entropy() for row in self.rows])
        return Tensor(self.case.first.dtype, self.given.shape, pulled)
