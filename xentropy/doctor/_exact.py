"""The call that every backend makes, and what it should give: in Python's decimals, far from the
formulas of the core.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import NamedTuple

from xentropy.parity._formats import FORMATS

#: Exact in float32. The first row is one that a subtraction would lose all digits of.
LOGITS = ((30.0, 0.0, 0.0), (1.0, 2.0, 3.0), (-0.5, 0.25, 0.125))
LABELS = (0, 2, 1)
#: Digits of the exact value: twice those that the first row needs.
DIGITS = 50

FLOAT32 = FORMATS["float32"]


class Exact(NamedTuple):
    """Numbers in row-major order, each with its error budget in units in the last place."""

    numbers: tuple[Decimal, ...]
    budgets: tuple[float, ...]

    def errors(self, got: Sequence[float]) -> list[float]:
        """How far numbers are away, in units in the last place of float32."""
        pairs = zip(got, self.numbers, strict=True)
        return [float(abs(Decimal(x) - y)) / FLOAT32.ulp(float(y)) for x, y in pairs]


def losses() -> Exact:
    """The loss of every row: log of the sum of exp, without the label's logit."""
    with localcontext(prec=DIGITS):
        rows = zip(LOGITS, LABELS, strict=True)
        numbers = tuple(
            _total(row).ln() + max(map(Decimal, row)) - Decimal(row[label]) for row, label in rows
        )
    return Exact(numbers, tuple(_budget(row) for row in LOGITS))


def gradients() -> Exact:
    """The gradient of the sum of the losses: probabilities, without 1 at the label."""
    with localcontext(prec=DIGITS):
        numbers = tuple(
            one / _total(row) - (place == label)
            for row, label in zip(LOGITS, LABELS, strict=True)
            for place, one in enumerate(_exps(row))
        )
    return Exact(numbers, tuple(_budget(row) for row in LOGITS for _ in row))


def _exps(row: Sequence[float]) -> list[Decimal]:
    return [(Decimal(x) - Decimal(max(row))).exp() for x in row]


def _total(row: Sequence[float]) -> Decimal:
    return sum(_exps(row), Decimal(0))


def _budget(row: Sequence[float]) -> float:
    """The bound that the package promises; the second term is the conditioning of exp."""
    return 4 + max(row) - min(row)
