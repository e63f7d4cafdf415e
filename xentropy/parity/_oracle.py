"""The oracle's process: the exact result of every case, and the tolerance of each of its numbers.

It is a column like the others, ``python -m xentropy.parity._oracle OUT.json [GLOB]``, and the only
module that needs mpmath.
"""

from __future__ import annotations

import math
import sys
from functools import partial
from typing import Protocol

from mpmath import mp

from xentropy.parity._case import Case
from xentropy.parity._cases import identity, select
from xentropy.parity._stream import Stream
from xentropy.parity.exact._binary import Binary
from xentropy.parity.exact._classification import Classification
from xentropy.parity.exact._maps import Elementwise, LogSumExp, Normalised
from xentropy.parity.exact._number import Tensor

#: Decimal digits beyond those that the cancellations of a case take.
DIGITS, MOST = 60, 900


class Definition(Protocol):
    """A function of a case, from its definition."""

    def value(self) -> Tensor:
        """The value."""
        ...

    def gradient(self, name: str) -> Tensor:
        """The gradient by an argument."""
        ...


def definition(case: Case) -> Definition:
    """The definition of a case's function."""
    if case.function in ("cross_entropy", "nll_loss"):
        return Classification(case)
    if case.function == "binary_cross_entropy":
        return Binary(case)
    if case.function == "logsumexp":
        return LogSumExp(case)
    return Elementwise(case) if "sigmoid" in case.function else Normalised(case)


def digits(case: Case) -> int:
    """Enough digits that ``1 - p`` keeps `DIGITS` of them, however confident the case."""
    largest = max((abs(v) for v in case.first.values if math.isfinite(v)), default=0.0)
    temperature = case.options.get("temperature", 1.0)
    spread = 2 * largest / (temperature if isinstance(temperature, float) else 1.0)
    return DIGITS + math.ceil(min(spread / math.log(10), MOST))


def exact(case: Case) -> dict[str, Tensor]:
    """The value and the gradients of a case."""
    with mp.workdps(digits(case)):
        defined = definition(case)
        gradients = {f"gradient by {n}": defined.gradient(n) for n in case.wrt}
        return {"value": defined.value()} | gradients


def answer(case: Case) -> dict[str, object]:
    """The exact result as JSON holds it; None for a case that only ever ends in an error."""
    if case.expects_error(inspected=False):
        return {"quantities": None}
    with mp.workdps(digits(case)):
        return {"quantities": {name: t.encode() for name, t in exact(case).items()}}


def main(out: str, pattern: str = "*") -> None:
    """Answer every selected case."""
    with Stream(out) as stream:
        for case in select(pattern):
            stream.cell(identity(case), partial(answer, case))


if __name__ == "__main__":
    main(*sys.argv[1:])
