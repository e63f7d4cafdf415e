"""NumPy: its values beside SciPy's, its gradients beside PyTorch's on the same memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special
from torch.nn import functional

import xentropy as xe
from benchmarks import peak
from benchmarks.cases import Cell
from benchmarks.contenders._contender import Answer, Contender, Pair
from benchmarks.inputs import Inputs


class Operands(NamedTuple):
    """Arrays, and tensors that share their memory."""

    logits: NDArray[Any]
    targets: NDArray[Any]
    tensor: torch.Tensor
    wanted: torch.Tensor


class Numpy:
    """NumPy's arrays, on the host."""

    device = "cpu"

    def start(self) -> None:
        """Nothing is compiled."""

    def operands(self, inputs: Inputs) -> Operands:
        """The arrays as they are."""
        return Operands(*inputs, _tensor(inputs.logits), _tensor(inputs.targets))

    def pairs(self, cell: Cell) -> Sequence[Pair]:
        """Ours against the peer, and against a copy of the logits."""
        forward = cell.direction == "forward"
        ours, theirs = _forward(cell) if forward else _gradients(cell)
        copy = Contender("copy", lambda given: (given.logits.copy(),))
        return Pair("eager", ours, theirs), Pair("eager", ours, copy, "copy")

    def wait(self, result: Any) -> None:
        """NumPy has nothing to wait for."""

    def read(self, result: Any) -> Answer:
        """The loss, and the gradient where there is one."""
        loss, *gradient = (np.asarray(_array(each), np.float64) for each in result)
        return Answer(float(loss), gradient[0] if gradient else None)

    def peak(self, call: Callable[[], Any]) -> int | str:
        """By the process."""
        return peak.lacking() or peak.beyond(call)

    def logits(self, operands: Operands) -> NDArray[Any]:
        """The array."""
        return operands.logits


def _forward(cell: Cell) -> tuple[Contender, Contender]:
    loss = partial(xe.cross_entropy, axis=cell.axis)
    pick = _picked if cell.targets == "hard" else _weighted
    return (
        Contender("xe.cross_entropy", lambda given: (loss(given.logits, given.targets),)),
        Contender(
            f"scipy log_softmax, {pick.__name__[1:]}",
            lambda given: (pick(special.log_softmax(given.logits, cell.axis), given, cell.axis),),
        ),
    )


def _picked(logs: NDArray[Any], given: Operands, axis: int) -> Any:
    picked = np.take_along_axis(logs, np.expand_dims(given.targets, axis), axis)
    return -picked.mean(dtype=np.float32)


def _weighted(logs: NDArray[Any], given: Operands, axis: int) -> Any:
    return -(given.targets * logs).sum(axis=axis, dtype=np.float32).mean()


def _gradients(cell: Cell) -> tuple[Contender, Contender]:
    both = partial(xe.value_and_grad(xe.cross_entropy), axis=cell.axis)
    return (
        Contender("xe.value_and_grad", lambda given: both(given.logits, given.targets)),
        Contender("F.cross_entropy, backward", _backward),
    )


def _backward(given: Operands) -> tuple[torch.Tensor, torch.Tensor | None]:
    leaf = given.tensor.detach().requires_grad_()
    loss = functional.cross_entropy(leaf, given.wanted)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach(), leaf.grad


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    """A tensor on the memory of an array; PyTorch does not know the bfloat16 of ml_dtypes."""
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _array(result: Any) -> Any:
    if isinstance(result, torch.Tensor):
        return result.double().numpy()
    return np.asarray(result).astype(np.float64)


def frameworks() -> list[Numpy]:
    """The host alone."""
    return [Numpy()]
