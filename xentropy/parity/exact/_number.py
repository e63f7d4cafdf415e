"""An exact number together with what the budget of a computed one is measured by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mpmath import mp, mpf

from xentropy.parity._formats import FORMATS, compute_dtype

#: The rounding every result may carry, in units in the last place of its scale.
BASE = 4

ZERO, ONE, INFINITY, NOT_A_NUMBER = mpf(0), mpf(1), mpf("inf"), mpf("nan")


@dataclass(frozen=True, slots=True)
class Exact:
    """A number and the yardstick of its error.

    Parameters
    ----------
    value : mpf
        The number.
    scale : mpf
        The sum of the magnitudes it is the difference of: its own magnitude where nothing may
        cancel. Its units in the last place are the ones that errors are counted in, and `BASE` of
        them are always granted.
    slack : mpf
        What is granted besides, over the dtype's epsilon: the conditioning of exp, and the rounding
        of sums.
    gain : mpf
        What an exponential was multiplied by to become the number, at least 1: where it was below
        the dtype's normal range, it may have been flushed to zero before.
    """

    value: mpf
    scale: mpf
    slack: mpf = ZERO
    gain: mpf = ONE

    def times(self, factor: mpf) -> Exact:
        """The product with an exact factor; a factor of 0 wins over everything."""
        if not factor:
            return NOTHING
        size = abs(factor)
        gain = max(ONE, self.gain * size)
        return Exact(self.value * factor, self.scale * size, self.slack * size, gain)

    def product(self, other: Exact) -> Exact:
        """The product of two numbers that are both computed."""
        if NOTHING in (self, other):
            return NOTHING
        slack = self.slack * other.scale + other.slack * self.scale
        gain = max(ONE, self.gain * other.scale, other.gain * self.scale)
        return Exact(self.value * other.value, self.scale * other.scale, slack, gain)

    def negated(self) -> Exact:
        """The same number with the other sign."""
        return Exact(-self.value, self.scale, self.slack, self.gain)

    def looser(self, units: float) -> Exact:
        """The same number with `units` more roundings of its scale granted."""
        return Exact(self.value, self.scale, self.slack + self.scale * units, self.gain)


NOTHING = Exact(ZERO, ZERO)
UNDEFINED = Exact(NOT_A_NUMBER, ZERO)


def sure(value: mpf) -> Exact:
    """A number that nothing cancels in."""
    return Exact(value, abs(value))


def depth(terms: int) -> int:
    """Roundings granted to a sum: the depth of a tree over its terms."""
    return max(terms - 1, 0).bit_length()


def total(terms: Iterable[Exact]) -> Exact:
    """The sum, granted one rounding of the sum of magnitudes for each level of a tree over the
    terms.
    """
    kept = [t for t in terms if t.value != 0 or t.scale or t.slack]
    value = mp.fsum(t.value for t in kept) if kept else ZERO
    scale, slack = mp.fsum(t.scale for t in kept), mp.fsum(t.slack for t in kept)
    summed = Exact(value, scale, slack, max((t.gain for t in kept), default=ONE))
    return summed.looser(depth(len(kept)))


def dot(factors: Sequence[mpf], terms: Sequence[Exact]) -> Exact:
    """The sum of products, in which 0 * inf is 0."""
    return total(term.times(f) for f, term in zip(factors, terms, strict=True) if f)


@dataclass(frozen=True)
class Tensor:
    """Exact numbers in row-major order, and the dtype a framework must return them in.

    Whole numbers and truth values are met exactly, and of their dtype only the kind is promised.
    """

    dtype: str
    shape: tuple[int, ...]
    numbers: list[Exact]

    def encode(self) -> dict[str, object]:
        """Lists of floats: each number as a sum of two, its tolerance, the unit errors are counted
        in, the rounding.
        """
        known = {id(n): n for n in self.numbers}
        entries = {key: self._entry(n) for key, n in known.items()}
        columns = [entries[id(n)] for n in self.numbers]
        names = ("high", "low", "tolerance", "unit", "rounding")
        lists = zip(*columns, strict=True) if columns else ((),) * len(names)
        parts = {name: list(part) for name, part in zip(names, lists, strict=True)}
        return {"dtype": self.dtype, "shape": list(self.shape), **parts}

    def _entry(self, number: Exact) -> tuple[str, ...]:
        high = float(number.value)
        if self.dtype not in FORMATS:
            return tuple(x.hex() for x in (high, 0.0, 0.0, 1.0, 0.0))
        if math.isfinite(high) and abs(high) > FORMATS[self.dtype].largest:
            high = math.copysign(math.inf, high)  # the last rounding, to a narrower output
        finite = math.isfinite(high)
        low = float(number.value - mpf(high)) if finite else 0.0
        allowed, unit = tolerance(number, compute_dtype(self.dtype)) if finite else (0.0, 1.0)
        free = rounding(high, self.dtype) if finite else 0.0
        return tuple(x.hex() for x in (high, low, allowed, unit, free))


def tolerance(number: Exact, compute: str) -> tuple[float, float]:
    """How far a number computed in a format may lie from the exact one, and the unit that the error
    is counted in.

    The computation may be off by `BASE` units of the scale, and by the slack; a number below the
    format's normal range may be flushed to zero, or the exponential that it is a multiple of, and
    errors are counted in the smallest normal number there. Where scale and slack are 0
    nothing is computed: the exact number is met.
    """
    form, scale = FORMATS[compute], float(number.scale)
    if not scale and not number.slack:
        return 0.0, form.ulp(0.0)
    allowed = BASE * form.ulp(scale) + form.epsilon * float(number.slack)
    least = form.tiny * float(number.gain)
    if abs(number.value) < least and allowed < least:
        return least, form.tiny
    return allowed, form.ulp(scale)


def rounding(x: float, dtype: str) -> float:
    """The last rounding, to an output narrower than what it was computed in: it is free."""
    return 0.0 if dtype == compute_dtype(dtype) else FORMATS[dtype].ulp(x) / 2
