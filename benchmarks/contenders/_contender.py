"""What every framework's module gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import xentropy as xe
from benchmarks.cases import DENSE, ITSELF, Cell

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.inputs import Inputs


class Answer(NamedTuple):
    """What a contender computed, in float64."""

    loss: float
    gradients: tuple[NDArray[Any], ...]


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
    bare : bool
        Whether it computes no loss, but only what none can do without.
    """

    name: str
    call: Callable[[Any], Any]
    compiled: bool = False
    bare: bool = False


#: A function of leaves and targets with its name.
Named = tuple[str, Callable[..., Any]]


@dataclass(frozen=True)
class Pair:
    """Ours against another in a mode.

    The other is the framework's ``native`` function; a ``copy`` of the logits; of a head the bare
    matrix ``products``, or the framework's own ``chunked`` function.
    """

    mode: str
    ours: Contender
    theirs: Contender
    kind: str = "native"


def by_itself(cell: Cell, native: Contender, compiled: bool = False) -> list[Pair]:
    """Ours in that mode, where a cell asks for the gradient of logits."""
    if cell.loss != DENSE or cell.direction == "forward":
        return []
    both = xe.value_and_grad(partial(xe.cross_entropy, axis=cell.axis))
    ours = Contender("xe.value_and_grad", lambda given: both(*given), compiled)
    return [Pair(ITSELF, ours, native)]


class Framework(Protocol):
    """A framework on one device.

    ``rest`` is for how many seconds nobody is called before a contender's sample.
    """

    device: str
    rest: float

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
