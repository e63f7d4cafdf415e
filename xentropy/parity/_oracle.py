"""The oracle's process: the exact result of every case, and the tolerance of each of its numbers.

It is a column like the others, ``python -m xentropy.parity._oracle OUT.json [GLOB]``, and the only
module that needs mpmath.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import partial

from mpmath import mp

from xentropy.parity._case import Case
from xentropy.parity._cases import identity, select
from xentropy.parity._stream import Stream
from xentropy.parity.exact._binary import Binary
from xentropy.parity.exact._classification import Classification
from xentropy.parity.exact._derivative import SPARE, Definition, derivatives
from xentropy.parity.exact._divergence import Divergence
from xentropy.parity.exact._entropy import Entropy
from xentropy.parity.exact._linear import DENSE, Linear, dense
from xentropy.parity.exact._maps import Elementwise, LogSumExp, Normalised
from xentropy.parity.exact._number import Tensor
from xentropy.parity.exact._score import Score
from xentropy.parity.exact._signed import SignedLogSumExp

#: Decimal digits beyond those that the cancellations of a case take.
DIGITS, MOST = 60, 900


DEFINITIONS: dict[str, Callable[[Case], Definition]] = {
    "softmax": Normalised,
    "log_softmax": Normalised,
    "logsumexp": LogSumExp,
    "sigmoid": Elementwise,
    "log_sigmoid": Elementwise,
    "cross_entropy": Classification,
    "nll_loss": Classification,
    "binary_cross_entropy": Binary,
    "entropy": Entropy,
    "kl_divergence": Divergence,
    "focal_loss": Classification,
    "poly_loss": Classification,
    "generalized_cross_entropy": Classification,
    "score": Score,
    "linear_cross_entropy": Linear,
    "linear_score": Linear,
}


def definition(case: Case) -> Definition:
    """The definition of a case's function."""
    if case.options.get("form") == "sigmoid":
        return Binary(case)
    if case.options.get("return_sign"):
        return SignedLogSumExp(case)
    return DEFINITIONS[case.function](case)


def digits(case: Case) -> int:
    """Enough digits that ``1 - p`` keeps `DIGITS` of them, however confident the case."""
    if case.function in DENSE:
        case = dense(case)
    held = list(case.first.values)
    if case.options.get("targets_are") == "logits":
        held += case.arrays["targets"].values
    largest = max((abs(v) for v in held if math.isfinite(v)), default=0.0)
    divisors = (case.options.get(name, 1.0) for name in ("temperature", "softcap"))
    spread = 2 * largest / min(d if isinstance(d, float) else 1.0 for d in divisors)
    return DIGITS + math.ceil(min(spread / math.log(10), MOST))


def exact(case: Case) -> dict[str, Tensor]:
    """The value or values, the gradients, and the derivatives in the case's directions."""
    with mp.workdps(digits(case)):
        defined = definition(case)
        if isinstance(defined, Score | SignedLogSumExp | Linear):
            values = defined.values()
        else:
            values = {"value": defined.value()}
        gradients = {f"gradient by {n}": defined.gradient(n) for n in case.wrt}
    if not case.along:
        return values | gradients
    with mp.workdps(digits(case) + SPARE):
        return values | gradients | derivatives(case, definition)


def answer(case: Case) -> dict[str, object]:
    """The exact result as JSON holds it; None for a case that only ever ends in an error."""
    if case.expects_error(inspected=False):
        return {"quantities": None}
    quantities = exact(case)
    with mp.workdps(digits(case)):
        return {"quantities": {name: t.encode() for name, t in quantities.items()}}


def main(out: str, pattern: str = "*") -> None:
    """Answer every selected case."""
    with Stream(out) as stream:
        for case in select(pattern):
            stream.cell(identity(case), partial(answer, case))


if __name__ == "__main__":
    main(*sys.argv[1:])
