"""Where libraries disagree: the cases of the parity matrix that hold up a row of the policy.

The columns are those of the matrix, each in a process of its own, with the framework's own function
beside ours; they are compared with the oracle here as there. A case becomes lines: its value, or a
gradient, at the place where the libraries are farthest off.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xentropy.parity._case import Case
from xentropy.parity._cases import identity, select
from xentropy.parity._describe import call_text
from xentropy.parity._join import judge
from xentropy.parity._matrix import Column
from xentropy.parity._run import ORACLE, column_job, run

#: The groups with cases of the policy that users meet; the others repeat them for other losses.
GROUPS = ("policy", "errors")
#: The library whose own functions a column has beside ours.
LIBRARIES = {
    "PyTorch": ("torch", "eager"),
    "TensorFlow": ("tensorflow", "eager"),
    "JAX, optax": ("jax", "eager"),
    "Keras": ("keras", "drop-in"),
    "SciPy": ("numpy", "eager"),
}
#: The compilers, which are asked where an answer differs because they can raise nothing.
COMPILED = {
    "PyTorch": ("torch", "compiled"),
    "TensorFlow": ("tensorflow", "compiled"),
    "JAX, optax": ("jax", "compiled"),
}
BLIND = "label-range"
#: Numbers are another answer if they are off by more than this, relative to the largest.
FAR = 1e-3
#: A line has this many numbers at most.
WIDE = 4
Numbers = NDArray[np.float64]
Line = dict[str, Any]


def disagreements() -> list[Line]:
    """Run the matrix' columns; return a line for every quantity of every case of the policy."""
    found: list[Line] = []
    for group in GROUPS:
        columns = ran(LIBRARIES, group)
        cases = [case for case in select(group) if case.policy]
        found += [line for case in cases for line in lines(case, columns, LIBRARIES, "")]
    blind = [case for case in select("policy") if case.policy == BLIND]
    columns = ran(COMPILED, "policy: label ?*")
    return found + [line for case in blind for line in lines(case, columns, COMPILED, "compiled: ")]


def ran(wanted: Mapping[str, tuple[str, str]], pattern: str) -> dict[str, Column]:
    """The oracle's column and those of the libraries; a process that died is an error."""
    jobs = [ORACLE, *(column_job(*each) for each in wanted.values())]
    with tempfile.TemporaryDirectory() as folder:
        columns = run(jobs, Path(folder), pattern, lambda *_: None)
    for column in columns.values():
        if column.death:
            raise SystemExit(f"{column.name}: {column.death}")
    return columns


def lines(
    case: Case,
    columns: Mapping[str, Column],
    wanted: Mapping[str, tuple[str, str]],
    mode: str,
) -> Iterator[Line]:
    """The lines of a case, after making sure that ours is right in every column."""
    name, held = identity(case), {title: columns[" ".join(wanted[title])] for title in wanted}
    for column in held.values():
        cell = judge(case, columns["oracle"], column)
        if cell.state == "bad":
            raise SystemExit(f"{name}, {column.name}: {cell.note or cell.worst}")
    natives = {title: column.cells[name].get("native") for title, column in held.items()}
    if case.expects_error(inspected=not mode):
        found = {title: raised(native) for title, native in natives.items()}
        wrong = [title for title, answer in found.items() if isinstance(answer, list)]
        yield line(case, "", str(case.raises), found, wrong)
        return
    for what, quantity in columns["oracle"].cells[name]["quantities"].items():
        found = {title: answered(native, what) for title, native in natives.items()}
        yield compared(case, mode, what, quantity, found)


def compared(
    case: Case, mode: str, what: str, quantity: Mapping[str, Any], found: Mapping[str, Any]
) -> Line:
    """The line of a quantity."""
    right = numbers(quantity, "high")
    off = {title: distances(answer, quantity) for title, answer in found.items()}
    same = [t for t, a in found.items() if isinstance(a, np.ndarray) and a.shape == right.shape]
    place = farthest(right, [off[title] for title in same])
    shown = {title: cut(answer, right, place) for title, answer in found.items()}
    wrong = [
        title
        for title, apart in off.items()
        if ((apart[place.index] if apart.shape == right.shape else apart) > FAR).any()
    ]
    return line(case, mode + place.text(what), listed(right[place.index]), shown, wrong)


def line(
    case: Case, what: str, right: Any, answers: Mapping[str, Any], wrong: Sequence[str]
) -> Line:
    """A line as JSON holds it."""
    return {
        "policy": case.policy,
        "case": case.name,
        "call": call_text(case) if legible(case) else "",
        "what": what,
        "right": right,
        "answers": dict(answers),
        "wrong": list(wrong),
    }


def legible(case: Case) -> bool:
    """Whether the logits can be read off the call's text, which has six digits."""
    finite = [value for value in case.first.values if math.isfinite(value)]
    return all(math.isclose(value, float(f"{value:.6g}"), rel_tol=1e-7) for value in finite)


# What a library answered.


def raised(native: Mapping[str, Any] | None) -> Any:
    """The class of its error, or the numbers that it gives instead."""
    if native is None:
        return None
    if "error" in native:
        return str(native["error"]["classes"][0])
    return listed(numbers(native["quantities"]["value"], "values").reshape(-1)[:WIDE])


def answered(native: Mapping[str, Any] | None, what: str) -> Any:
    """A quantity, the class of its error, or None where there is no such thing."""
    if native is None:
        return None
    if "error" in native:
        return str(native["error"]["classes"][0])
    quantity = native["quantities"].get(what)
    return None if quantity is None else numbers(quantity, "values")


def numbers(quantity: Mapping[str, Any], field: str) -> Numbers:
    """The numbers of a quantity in its shape."""
    return np.array([float.fromhex(v) for v in quantity[field]]).reshape(quantity["shape"])


def cut(answer: Any, right: Numbers, place: Place) -> Any:
    """The part of an answer that a line shows; all of it where its shape is another."""
    if not isinstance(answer, np.ndarray):
        return answer
    return listed(answer[place.index] if answer.shape == right.shape else answer.reshape(-1)[:WIDE])


def listed(part: Any) -> list[float | str]:
    """Numbers to six digits; what is not finite as text."""
    flat = np.asarray(part, "float64").reshape(-1).tolist()
    return [float(f"{v:.6g}") + 0.0 if math.isfinite(v) else str(v) for v in flat]


# Which part of a quantity to show.


class Place:
    """A part of an array that fits on a line."""

    def __init__(self, index: tuple[int, ...]) -> None:
        self.index = index

    def text(self, what: str) -> str:
        """The quantity and the part."""
        name = "value" if what == "value" else what.replace("gradient by ", "∂/∂")
        return name + (f"[{', '.join(map(str, self.index))}]" if self.index else "")


def farthest(right: Numbers, apart: Sequence[Numbers]) -> Place:
    """All that fits on a line, or the row, or else the entry, where an answer is farthest off."""
    if not right.size or (right.size <= WIDE and right.ndim < 2):
        return Place(())
    most = np.max([np.zeros(right.shape), *apart], axis=0)
    whole = tuple(int(i) for i in np.unravel_index(int(most.argmax()), right.shape))
    return Place(whole[:-1] if right.shape[-1] <= WIDE else whole)


def distances(answer: Any, quantity: Mapping[str, Any]) -> Numbers:
    """How far an answer is off, relative to the largest number that is right.

    The rounding to the dtype that a result is to have is free. What is not finite, or of another
    shape, is infinitely far; an error is not where the answer is NaN, as no number is right there.
    """
    right, free = numbers(quantity, "high"), numbers(quantity, "rounding")
    if answer is None:
        return np.zeros(right.shape)
    if isinstance(answer, str):
        return np.full(right.shape, 0.0 if np.isnan(right).any() else np.inf)
    if answer.shape != right.shape:
        return np.full(1, np.inf)
    same = (answer == right) | (np.isnan(answer) & np.isnan(right))
    largest = np.abs(right[np.isfinite(right)]).max(initial=0.0) or 1.0
    with np.errstate(invalid="ignore"):
        apart = np.maximum(np.abs(answer - right) - free, 0.0) / largest
    return np.where(same, 0.0, np.where(np.isfinite(apart), apart, np.inf))
