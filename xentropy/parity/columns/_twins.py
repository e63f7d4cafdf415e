"""Which calls a framework's own function can express: it is shown beside ours only where it means
the same.
"""

from __future__ import annotations

from typing import Any

from xentropy.parity._case import OPERANDS, Case
from xentropy.parity.columns._adapter import Call

Twin = tuple[str, Call]
Reductions = dict[str, Any]


def fits(case: Case, *understood: str) -> bool:
    """Whether a function that takes these arguments, besides the operands, can express the case."""
    given = {*case.arrays, *case.options} - set(OPERANDS[case.function])
    return given <= set(understood) and all(a.home == "column" for a in case.arrays.values())


def has_labels(case: Case) -> bool:
    """Whether the targets have the class axis removed."""
    return len(case.arrays["targets"].shape) == len(case.first.shape) - 1


def axis_of(case: Case) -> Any:
    """The axis, from the front if it is one."""
    axis = case.options.get("axis", -1)
    return axis % max(len(case.first.shape), 1) if isinstance(axis, int) else axis


def is_last(case: Case) -> bool:
    """Whether the classes lie along the last axis."""
    return axis_of(case) in (-1, len(case.first.shape) - 1)


def reduction_of(case: Case) -> str:
    """The reduction by name."""
    return str(case.options.get("reduction", "mean"))


def by_place(function: Call) -> Call:
    """A function that takes its arguments by place, called with them by name."""
    return lambda **given: function(*given.values())


def reduced(case: Case, means: Reductions) -> Call:
    """The reduction of a case among a framework's own."""
    reduction: Call = means[reduction_of(case)]
    return reduction
