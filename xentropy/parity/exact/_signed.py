"""logsumexp with factors of any sign, and the sign of the sum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

from mpmath import mp, mpf

from xentropy.parity._case import Case
from xentropy.parity._formats import compute_dtype
from xentropy.parity._grid import drop
from xentropy.parity.exact._given import Given, pick
from xentropy.parity.exact._maps import LogSumExp
from xentropy.parity.exact._number import (
    BASE,
    INFINITY,
    NOTHING,
    ONE,
    ZERO,
    Exact,
    Tensor,
    sure,
    total,
)


class SignedLogSumExp:
    """``log(abs(sum(b * exp(x))))`` and the sum's sign, of finite numbers.

    The sum is the difference of what has one sign and what has the other: it is right to the
    roundings of the sum of magnitudes, and so its logarithm to their quotient.
    """

    def __init__(self, case: Case) -> None:
        self.case, self.given = case, Given(case)
        plain = LogSumExp(case)
        self.axes, self.indices, self.mask = plain.axes, plain.indices, plain.mask()

    @cached_property
    def sums(self) -> list[tuple[mpf, list[Exact], Exact]]:
        """The largest exponent of every sum, its terms below that, and their total."""
        x, b = self.given.flat("x"), self.given.spread("b", 1.0, self.given.shape)
        b = [f if kept else mpf(0) for f, kept in zip(b, self.mask, strict=True)]
        return [self._sum(pick(x, row), pick(b, row)) for row in self.indices]

    def _sum(self, x: Sequence[mpf], b: Sequence[mpf]) -> tuple[mpf, list[Exact], Exact]:
        top = max(x)
        terms = [_term(v - top, f) for v, f in zip(x, b, strict=True)]
        return top, terms, total(terms)

    def values(self) -> dict[str, Tensor]:
        """The logarithm and the sign."""
        keep = bool(self.given.option("keepdims", False))
        shape = drop(self.given.shape, self.axes, keep)
        dtype = compute_dtype(self.case.first.dtype)
        signs = [sure(mpf(mp.sign(summed.value))) for _, _, summed in self.sums]
        logs = [_logarithm(top, summed) for top, _, summed in self.sums]
        return {"value": Tensor(dtype, shape, logs), "sign": Tensor(dtype, shape, signs)}

    def value(self) -> Tensor:
        """The logarithm."""
        return self.values()["value"]

    def gradient(self, name: str) -> Tensor:
        """Every term over the sum."""
        flat = [NOTHING] * math.prod(self.given.shape)
        for (_, terms, summed), row in zip(self.sums, self.indices, strict=True):
            lead = max(terms, key=lambda term: abs(term.value))
            for term, place in zip(terms, row, strict=True):
                flat[place] = _quotient(term, summed, lead)
        return Tensor(self.case.first.dtype, self.given.shape, flat)


def _term(below: mpf, factor: mpf) -> Exact:
    value = factor * mp.exp(below)
    return Exact(value, abs(value), abs(value) * (ONE - below))


def _unsure(summed: Exact) -> mpf:
    """How many roundings of itself a sum may be off."""
    return (BASE * summed.scale + summed.slack) / abs(summed.value)


def _logarithm(top: mpf, summed: Exact) -> Exact:
    if not summed.value:
        return Exact(-INFINITY, mpf(0))
    value = top + mp.log(abs(summed.value))
    return Exact(value, max(abs(value), abs(top)), _unsure(summed))


def _quotient(term: Exact, summed: Exact, lead: Exact) -> Exact:
    """A term over the sum; over one of 0, which is seen as one of the sign of its largest term."""
    if not term.value:
        return NOTHING
    if not summed.value:
        return Exact(INFINITY * mp.sign(term.value * lead.value), ZERO)
    value = term.value / summed.value
    slack = term.slack / abs(summed.value) + abs(value) * _unsure(summed)
    return Exact(value, abs(value), slack)
