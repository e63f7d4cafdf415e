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
        The sum of the magnitudes it is the difference of: its own magnitude where nothing may cancel. Its units in
        the last place are the ones that errors are counted in, and `BASE` of them are always granted.
    slack : mpf
        What is granted besides, over the dtype's epsilon: the conditioning of exp, and the rounding of sums.
    """

    value: mpf
    scale: mpf
    slack: mpf = ZERO

    def times(self, factor: mpf) -> Exact:
        """The product with an exact factor; a factor of 0 wins over everything."""
        if not factor:
            return NOTHING
        size = abs(factor)
        return Exact(self.value * factor, self.scale * size, self.slack * size)

    def looser(self, units: float) -> Exact:
        """The same number with `units` more roundings of its scale granted."""
        return Exact(self.value, self.scale, self.slack + self.scale * units)


NOTHING = Exact(ZERO, ZERO)
UNDEFINED = Exact(NOT_A_NUMBER, ZERO)


def sure(value: mpf) -> Exact:
    """A number that nothing cancels in."""
    return Exact(value, abs(value))


def depth(terms: int) -> int:
    """Roundings granted to a sum: the depth of a tree over its terms."""
    return max(terms - 1, 0).bit_length()


def total(terms: Iterable[Exact]) -> Exact:
    """The sum, granted one rounding of the sum of magnitudes for each level of a tree over the terms."""
    kept = [t for t in terms if t.value != 0 or t.scale]
    value = mp.fsum(t.value for t in kept) if kept else ZERO
    summed = Exact(value, mp.fsum(t.scale for t in kept), mp.fsum(t.slack for t in kept))
    return summed.looser(depth(len(kept)))


def dot(factors: Sequence[mpf], terms: Sequence[Exact]) -> Exact:
    """The sum of products, in which 0 * inf is 0."""
    return total(term.times(f) for f, term in zip(factors, terms, strict=True) if f)


@dataclass(frozen=True)
class Tensor:
    """Exact numbers in row-major order, and the dtype a framework must return them in."""

    dtype: str
    shape: tuple[int, ...]
    numbers: list[Exact]

    def encode(self) -> dict[str, object]:
        """Four lists of floats: each number as a sum of two, its tolerance, and the unit errors are counted in."""
        known = {id(n): n for n in self.numbers}
        entries = {key: self._entry(n) for key, n in known.items()}
        columns = [entries[id(n)] for n in self.numbers]
        names = ("high", "low", "tolerance", "unit")
        lists = zip(*columns, strict=True) if columns else ((),) * 4
        parts = {name: list(part) for name, part in zip(names, lists, strict=True)}
        return {"dtype": self.dtype, "shape": list(self.shape), **parts}

    def _entry(self, number: Exact) -> tuple[str, ...]:
        high = float(number.value)
        low = float(number.value - mpf(high)) if math.isfinite(high) else 0.0
        return tuple(x.hex() for x in (high, low, *tolerance(number, self.dtype)))


def tolerance(number: Exact, dtype: str) -> tuple[float, float]:
    """How far a computed number may lie from the exact one, and the unit that its error is counted in.

    The computation may be off by ``BASE`` units of the scale and by the slack, in the format that it is computed in;
    a number below that format's normal range may be flushed to zero. A narrower output is rounded once more.
    """
    output, compute = FORMATS[dtype], FORMATS[compute_dtype(dtype)]
    value, scale = float(abs(number.value)), float(number.scale)
    if not math.isfinite(value) or not scale:
        return 0.0, output.ulp(0.0)
    allowed = BASE * compute.ulp(scale) + compute.epsilon * float(number.slack)
    if value < compute.tiny:
        allowed = max(allowed, compute.tiny)
    if output is not compute:
        allowed += output.ulp(value) / 2
    return allowed, output.ulp(scale)
