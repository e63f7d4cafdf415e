"""The join: every cell against the oracle, and the columns against each other. It imports no
framework.

A cell is within its budget when every number of every quantity lies within the tolerance that the
oracle worked out for it, special values are met exactly, and dtypes and shapes are as promised; or
when the promised error was raised.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from xentropy.parity._case import Case
from xentropy.parity._cases import identity
from xentropy.parity._drop_in import declared, measure, undeclared, unmeasured
from xentropy.parity._matrix import Cell, Column, Finding, Matrix, Spread
from xentropy.parity.columns import drop_in, inspected, left_out, sharded

#: What is computed once more with no gradient asked for: the same is expected of it.
ALONE = " alone"
#: Dtypes of which the kind alone is promised.
KINDS = {"integer": ("int32", "int64"), "boolean": ("bool",)}

Quantity = Mapping[str, Any]


def join(cases: Sequence[Case], oracle: Column, columns: Sequence[Column]) -> Matrix:
    """Judge every cell."""
    cells = [judge(case, oracle, column) for case in cases for column in columns]
    spreads = [s for case in cases for s in _spread(case, oracle, columns)]
    return Matrix(tuple(cases), tuple(columns), tuple(cells), tuple(spreads))


# One cell.


def judge(case: Case, oracle: Column, column: Column) -> Cell:
    """One cell against the oracle."""
    name = identity(case)
    if oracle.death or column.death:
        blame = column if column.death else oracle
        return Cell(name, column.name, "bad", note=f"the process of {blame.name} died")
    held = column.cells.get(name)
    if held is None or name not in oracle.cells:
        return Cell(name, column.name, "bad", note="the process left no such cell")
    if "skipped" in held:
        return Cell(name, column.name, "skipped", note=held["skipped"])
    native = held.get("native") or {}
    exact = oracle.cells[name]["quantities"]
    judging = _drop_in_verdict if drop_in(column.name) else _verdict
    state, note, findings = judging(case, column.name, exact, held, native)
    ranked = tuple(sorted(findings, key=lambda f: -f.ratio))
    about = _native_note(exact, native)
    if drop_in(column.name):
        about = "; ".join(filter(None, (about, declared(drop_in(column.name), case))))
    lacking = _without(exact, column.name)
    return Cell(name, column.name, state, ranked, note, native.get("name", ""), about, lacking)


def _without(exact: Quantity | None, column: str) -> str:
    """What the column is declared to leave out of the case."""
    declared = left_out(column)
    return ", ".join(f"no {n}: {declared[n]}" for n in exact or {} if n in declared)


def _verdict(
    case: Case, column: str, exact: Quantity | None, held: Quantity, native: Quantity
) -> tuple[str, str, list[Finding]]:
    # The shapes in a message are those of slices.
    case = replace(case, says=()) if sharded(column) else case
    seen, without = inspected(column), left_out(column)
    return verdict(case, exact, held, native, inspected=seen, without=without)


def verdict(
    case: Case,
    exact: Quantity | None,
    held: Quantity,
    native: Quantity,
    *,
    inspected: bool,
    without: Collection[str] = (),
) -> tuple[str, str, list[Finding]]:
    """Good or bad, why, and what was found.

    ``inspected`` says whether values can be read, ``without`` which quantities are left out.
    """
    if case.expects_error(inspected):
        wrong = _wrong_error(case, held)
        return ("bad" if wrong else "good"), wrong or _error_text(held), []
    if "error" in held:
        return "bad", _error_text(held), []
    wanted = {n: q for n, q in (exact or {}).items() if n not in without}
    findings = list(_compare(wanted, held["quantities"], native.get("quantities", {})))
    good = all(f.ratio <= 1 for f in findings)
    return ("good" if good else "bad"), "", findings


def _drop_in_verdict(
    case: Case, column: str, exact: Quantity | None, held: Quantity, native: Quantity
) -> tuple[str, str, list[Finding]]:
    """The same of a drop-in, which is measured by what its framework answers."""
    library = drop_in(column)
    why = unmeasured(case, library)
    if why:
        return "skipped", why, []
    unnamed = list(undeclared(case, library, exact, native))
    wanted, error = measure(case, library, exact, native)
    findings: list[Finding] = []
    if wanted is None:
        raised = "error" in held and error in held["error"]["classes"]
        note = _error_text(held) if "error" in held else f"{error} expected, numbers came"
    elif "error" in held:
        raised, note = False, _error_text(held)
    else:
        findings = list(_compare(wanted, held["quantities"], native.get("quantities", {})))
        raised, note = all(f.ratio <= 1 for f in findings), ""
    return ("good" if raised and not unnamed else "bad"), "; ".join(unnamed) or note, findings


def _error_text(held: Quantity) -> str:
    return f"{held['error']['classes'][0]}: {held['error']['message']}"


def _wrong_error(case: Case, held: Quantity) -> str:
    """What is wrong with an error that was promised; empty if nothing is."""
    if "error" not in held:
        return f"{case.raises} expected, numbers came"
    if case.raises not in held["error"]["classes"]:
        return f"{case.raises} expected, {_error_text(held)}"
    missing = [part for part in case.says if part not in held["error"]["message"]]
    return f"{missing[0]!r} is not in {_error_text(held)}" if missing else ""


def _native_note(exact: Quantity | None, native: Quantity) -> str:
    """The framework's own error, or the numbers that it gives where ours refuses."""
    if "error" in native:
        return _error_text(native)
    if exact is None and native:
        values = native["quantities"]["value"]["values"][:8]
        return "no error: " + ", ".join(show(float.fromhex(v)) for v in values)
    return ""


def _presence(quantity: Quantity | None) -> str:
    return "nothing" if quantity is None else "a tensor"


# One quantity.


def _compare(exact: Quantity, held: Quantity, native: Quantity) -> Iterator[Finding]:
    """The findings of every quantity; one that is missing or not connected is a finding too."""
    for name in {**exact, **held}:
        wanted, got = exact.get(name.removesuffix(ALONE)), held.get(name)
        if wanted is None or got is None:
            yield Finding(name, _presence(wanted), _presence(got), math.inf)
        else:
            yield from _quantity(name, wanted, got, native.get(name))


def _quantity(
    name: str, exact: Quantity, got: Quantity, theirs: Quantity | None
) -> Iterator[Finding]:
    """dtype, shape, and the places where ours and where the framework's own is worst."""
    if got["dtype"] not in KINDS.get(exact["dtype"], (exact["dtype"],)):
        yield Finding(f"dtype of the {name}", exact["dtype"], got["dtype"], math.inf)
    if exact["shape"] != got["shape"]:
        yield Finding(f"shape of the {name}", str(exact["shape"]), str(got["shape"]), math.inf)
        return
    ours = _errors(exact, got)
    if not ours:
        yield Finding(name, "no entries", "no entries")
        return
    same = theirs is not None and theirs["shape"] == exact["shape"]
    beside = (theirs, _errors(exact, theirs)) if theirs and same else None
    places = [_worst(ours)] + ([_worst(beside[1])] if beside else [])
    for place in dict.fromkeys(places):
        yield _finding(name, place, exact, (got, ours), beside)


class Error(NamedTuple):
    """How far off a number is, and what it is granted, in units in the last place."""

    units: float
    budget: float

    @property
    def rank(self) -> tuple[float, float]:
        """The more of its budget it takes the worse, and of two equals the larger one."""
        if not self.units:
            return 0.0, 0.0
        return (self.units / self.budget if self.budget else math.inf), self.units


def _errors(exact: Quantity, got: Quantity) -> list[Error]:
    names = ("high", "low", "tolerance", "unit", "rounding")
    columns = (*(exact[n] for n in names), got["values"])
    return [_error(*map(float.fromhex, texts)) for texts in zip(*columns, strict=True)]


def _error(
    high: float, low: float, tolerance: float, unit: float, free: float, value: float
) -> Error:
    return Error(max(distance(high, low, value) - free, 0.0) / unit, tolerance / unit)


def _worst(errors: Sequence[Error]) -> int:
    return max(range(len(errors)), key=lambda i: errors[i].rank)


def _finding(
    name: str,
    place: int,
    exact: Quantity,
    ours: tuple[Quantity, Sequence[Error]],
    theirs: tuple[Quantity, Sequence[Error]] | None,
) -> Finding:
    digits = 17 if exact["dtype"] == "float64" else 9
    (got, errors), where = ours, f"{name}{index(place, exact['shape'])}"
    found = Finding(
        where,
        show(float.fromhex(exact["high"][place]), digits),
        show(float.fromhex(got["values"][place]), digits),
        errors[place].units,
        errors[place].budget,
    )
    if theirs is None:
        return found
    beside = show(float.fromhex(theirs[0]["values"][place]), digits)
    return replace(found, theirs=beside, their_error=theirs[1][place].units)


def distance(high: float, low: float, value: float) -> float:
    """How far a number is from ``high + low``; infinitely far where either is not finite and they
    differ.
    """
    if math.isnan(high) or math.isnan(value):
        return 0.0 if math.isnan(high) and math.isnan(value) else math.inf
    if math.isinf(high) or math.isinf(value):
        return 0.0 if high == value else math.inf
    return abs((value - high) - low)


def index(place: int, shape: Sequence[int]) -> str:
    """A flat place as an index, empty for a scalar."""
    parts: list[int] = []
    for size in reversed(shape):
        place, part = divmod(place, size)
        parts.append(part)
    return f"[{', '.join(map(str, reversed(parts)))}]" if parts else ""


def show(x: float, digits: int = 9) -> str:
    """A number with enough digits to see its last place."""
    return f"{x:.{digits}g}" if math.isfinite(x) else str(x)


# The columns against each other.


def _spread(case: Case, oracle: Column, columns: Iterable[Column]) -> Iterator[Spread]:
    """The largest distance between two columns in each quantity of the case."""
    name = identity(case)
    exact = (oracle.cells.get(name) or {}).get("quantities") or {}
    # A drop-in answers in its framework's dtypes and keeps its conventions.
    alike = [c for c in columns if not drop_in(c.name)]
    held = [c.cells.get(name, {}).get("quantities") or {} for c in alike]
    for what, wanted in exact.items():
        shaped = [h[what] for h in held if h.get(what) and h[what]["shape"] == wanted["shape"]]
        if len(shaped) > 1:
            yield Spread(name, what, _widest(wanted, [s["values"] for s in shaped]))


def _widest(exact: Quantity, held: Sequence[Sequence[str]]) -> float:
    """In units of the output: where it is narrower than what it was computed in, of twice its
    rounding.
    """
    widths = (
        _width([float.fromhex(v) for v in values])
        / max(float.fromhex(unit), 2 * float.fromhex(free))
        for unit, free, *values in zip(exact["unit"], exact["rounding"], *held, strict=True)
        if len(set(values)) > 1
    )
    return max(widths, default=0.0)


def _width(values: Sequence[float]) -> float:
    return max(values) - min(values) if all(map(math.isfinite, values)) else math.inf
