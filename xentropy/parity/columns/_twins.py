"""Which calls a framework's own function can express: it is shown beside ours only where it means
the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from xentropy.parity._case import OPERANDS, Case

Call = Callable[..., Any]
Reductions = dict[str, Any]


def _as_it_is(call: Call) -> Call:
    return call


class Twin(NamedTuple):
    """A framework's own function for a case.

    Its name as users know it; the function; what calls it with the case's tensors, given by name
    after the function; and how a user would run it.
    """

    name: str
    function: Call
    call: Call
    run: Callable[[Call], Call] = _as_it_is

    def own(self) -> Call:
        """The call of the framework's function."""
        return self.run(partial(self.call, self.function))

    def of(self, package: Any) -> Call | None:
        """The same call of the function that a package has by that name, if it has one."""
        name = self.name.rpartition(".")[2]
        return partial(self.call, getattr(package, name)) if name in package.__all__ else None


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


def by_place(function: Call, **given: Any) -> Any:
    """A function that takes its arguments by place, called with them by name."""
    return function(*given.values())


def reduced(case: Case, means: Reductions) -> Call:
    """The reduction of a case among a framework's own."""
    reduction: Call = means[reduction_of(case)]
    return reduction
