"""What a column asks of a framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

from xentropy.parity._case import Array, Case
from xentropy.parity.columns._twins import Call, Twin

Result = tuple[Any, Mapping[str, Any]]
Tensors = Mapping[str, Any]
Paths = dict[str, Callable[[Tensors], Any]]


class Adapter(Protocol):
    """A framework, eager or compiled; `autograd` says that its own functions have gradients."""

    autograd: bool

    def start(self) -> None:
        """Forget what was compiled before."""
        ...

    def context(self, case: Case) -> AbstractContextManager[Any]:
        """What a case is computed under."""
        ...

    def lacks(self, case: Case) -> str | None:
        """The dtype or feature that the framework does not have and the case needs, if any."""
        ...

    def tensor(self, held: Array) -> Any:
        """The framework's own tensor."""
        ...

    def foreign(self, held: Array) -> Any:
        """A tensor of another framework."""
        ...

    def forward(self, case: Case, call: Call) -> Call:
        """The program from the tensors to the value alone."""
        ...

    def differentiate(self, case: Case, call: Call) -> Call:
        """The program from the tensors to the value and the gradients of its sum, by name."""
        ...

    def derivatives(self, case: Case, call: Call) -> Call:
        """The program from the tensors and the directions, both by name, to the derivatives in the
        directions that the framework has, by theirs: one for all, which is compiled once.
        """
        ...

    def read(self, tensor: Any) -> tuple[str, tuple[int, ...], list[float]]:
        """A tensor's dtype, shape and entries in row-major order."""
        ...

    def describe(self, error: Exception) -> tuple[list[str], str]:
        """The names of an error's classes, its own first, and its message."""
        ...

    def native(self, case: Case) -> Twin | None:
        """The framework's own function for the case, where there is one."""
        ...


@runtime_checkable
class Together(Protocol):
    """Processes that compute a case together."""

    def start(self) -> None:
        """Let them wait for cases."""
        ...

    def lacks(self, case: Case) -> str | None:
        """Why they cannot compute a case, if they cannot."""
        ...

    def cell(self, case: Case) -> dict[str, Any]:
        """What they make of a case, as JSON holds it."""
        ...


def output(case: Case, value: Any) -> Any:
    """The output that a case differentiates."""
    return getattr(value, case.of) if case.of else value


def along(case: Case, call: Call, tensors: Tensors, gradient: Callable[[Call], Call]) -> Paths:
    """The output, and its gradient by the first operand, as functions of what moves.

    `gradient` makes of a function of one tensor that of its sum's gradient.
    """
    first = next(iter(case.arrays))

    def value(moving: Tensors) -> Any:
        return output(case, call(**{**tensors, **moving}))

    def pulled(moving: Tensors) -> Any:
        here = {**tensors, **moving}
        return gradient(lambda x: value({**here, first: x}))(here[first])

    paths = {"jvp": value, "hvp": pulled}
    return {name: paths[name] for name in case.derivatives}


def described(error: Exception) -> tuple[list[str], str]:
    """An error as Python describes it."""
    return [c.__name__ for c in type(error).__mro__], str(error)
