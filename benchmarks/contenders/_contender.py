"""What every framework's module gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from benchmarks.cases import Cell

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.inputs import Inputs


class Answer(NamedTuple):
    """What a contender computed, in float64."""

    loss: float
    gradient: NDArray[Any] | None


@dataclass(frozen=True)
class Contender:
    """A call to be timed.

    Parameters
    ----------
    name : str
        The function, as the report calls it; unique in a cell.
    call : callable
        From a framework's operands to what its `wait` and `read` take.
    compiled : bool
        Whether the first call on a shape compiles something.
    """

    name: str
    call: Callable[[Any], Any]
    compiled: bool = False


@dataclass(frozen=True)
class Pair:
    """Ours against another in a mode: the framework's ``native`` function, or a ``copy``."""

    mode: str
    ours: Contender
    theirs: Contender
    kind: str = "native"


class Framework(Protocol):
    """A framework on one device."""

    device: str

    def start(self) -> None:
        """Forget what was compiled."""

    def operands(self, inputs: Inputs) -> Any:
        """The inputs as tensors on the device."""

    def pairs(self, cell: Cell) -> Sequence[Pair]:
        """Who is compared in a cell; contenders may be part of several pairs."""

    def wait(self, result: Any) -> None:
        """Return when a result is computed."""

    def read(self, result: Any) -> Answer:
        """A result's numbers."""

    def peak(self, call: Callable[[], Any]) -> int | str:
        """Bytes at the peak of a call beyond those before it; or why they are not known."""

    def logits(self, operands: Any) -> Any:
        """The tensor by whose type a call is dispatched."""
