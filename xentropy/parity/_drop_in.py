"""What a drop-in is to answer: what its framework answers, but for the declared differences.

Where the framework is right, or wrong and the drop-in is declared to be right, the oracle judges it
as it judges every column, in the dtype that the framework returns. Where the drop-in is declared to
keep a convention, the framework's numbers are the measure. A framework's number that is far from
the oracle's without a declaration makes the cell bad too: so no difference goes unnamed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from xentropy.parity._case import Case
from xentropy.parity._cases import identity
from xentropy.parity._formats import FORMATS, compute_dtype
from xentropy.parity.differences import Difference, differences

Quantity = Mapping[str, Any]

#: How far a framework's numbers may be from the exact ones and still mean the same, relative to the
#: largest of them.
ALIKE = 2e-2


def deciding(library: str, case: Case) -> list[Difference]:
    """The declared differences that decide a case."""
    name = identity(case)
    return [
        one for one in differences(library) if any(fnmatchcase(name, glob) for glob in one.cases)
    ]


def measure(
    case: Case, library: str, exact: Quantity | None, native: Quantity
) -> tuple[Quantity | None, str]:
    """The quantities that a drop-in is measured by, or the class of the error it is to raise."""
    kinds = {one.kind for one in deciding(library, case)}
    if "error" in native and not kinds & {"extension", "defect"}:
        return None, native["error"]["classes"][0]
    theirs = native.get("quantities", {})
    if "convention" in kinds and theirs:
        return {n: _taken(q) for n, q in theirs.items() if q is not None}, ""
    if case.expects_error(inspected=True) or exact is None:
        return None, str(case.raises)
    value = theirs.get("value") or exact["value"]
    narrow = value["dtype"] if value["dtype"] != exact["value"]["dtype"] else None
    return {n: _narrowed(q, theirs.get(n), narrow) for n, q in _asked(case, exact).items()}, ""


def _asked(case: Case, exact: Quantity) -> Quantity:
    """What can be asked of a framework's own function: no derivatives in a direction."""
    return {n: q for n, q in exact.items() if n not in case.derivatives}


def declared(library: str, case: Case) -> str:
    """The differences that decide a case, in words."""
    return "; ".join(f"declared as a {one.kind}: {one.title}" for one in deciding(library, case))


def unmeasured(case: Case, library: str) -> str:
    """Why a case has no measure: its convention comes with a defect of the framework."""
    kinds = {one.kind for one in deciding(library, case)}
    both = {"convention", "defect"} <= kinds
    return "what the framework answers is a convention and a defect in one" if both else ""


def _taken(theirs: Quantity) -> Quantity:
    """A framework's numbers as what is exact: both may be off by a few units."""
    form, values = FORMATS[theirs["dtype"]], [float.fromhex(v) for v in theirs["values"]]
    largest = max((abs(v) for v in values if math.isfinite(v)), default=0.0)
    unit = max(form.ulp(largest), FORMATS[compute_dtype(form.name)].tiny)
    count = len(values)
    return {
        "dtype": theirs["dtype"],
        "shape": theirs["shape"],
        "high": theirs["values"],
        "low": [(0.0).hex()] * count,
        "tolerance": [(16 * unit).hex()] * count,
        "unit": [unit.hex()] * count,
        "rounding": [(0.0).hex()] * count,
    }


def _narrowed(exact: Quantity, theirs: Quantity | None, narrow: str | None) -> Quantity:
    """The exact numbers in the dtype that the framework returns.

    A narrow loss is rounded in every entry and once more where it is reduced, and so is what flows
    back from it.
    """
    if theirs is None or narrow is None:
        return exact
    form = FORMATS[narrow]
    free = (form.ulp(float.fromhex(high)) for high in exact["high"])
    added = (float.fromhex(r) + f for r, f in zip(exact["rounding"], free, strict=True))
    return {**exact, "dtype": theirs["dtype"], "rounding": [a.hex() for a in added]}


def undeclared(case: Case, library: str, exact: Quantity | None, native: Quantity) -> Iterator[str]:
    """What the framework answers otherwise than the oracle, where no difference is declared."""
    if deciding(library, case) or "quantities" not in native:
        return
    theirs = native["quantities"]
    if case.expects_error(inspected=True) or exact is None:
        yield f"undeclared: {native['name']} raises no error"
        return
    for name, wanted in _asked(case, exact).items():
        got = theirs.get(name)
        if got is None or got["shape"] != wanted["shape"] or not alike(wanted, got):
            yield f"undeclared: {native['name']} answers otherwise in the {name}"


def alike(wanted: Quantity, got: Quantity) -> bool:
    """Whether numbers are the same but for rounding: of them, or of numbers that cancel to 0.

    How a narrow dtype rounds these depends on the processor.
    """
    both = zip(wanted["high"], got["values"], strict=True)
    pairs = [(float.fromhex(a), float.fromhex(b)) for a, b in both]
    largest = max((abs(a) for a, _ in pairs if math.isfinite(a)), default=0.0)
    far = max(ALIKE * max(largest, ALIKE), 4 * FORMATS[got["dtype"]].ulp(1.0))
    return all(_near(a, b, far) for a, b in pairs)


def _near(a: float, b: float, far: float) -> bool:
    if math.isfinite(a) and math.isfinite(b):
        return abs(a - b) <= far
    return a == b or (math.isnan(a) and math.isnan(b))
