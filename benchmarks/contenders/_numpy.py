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
from benchmarks.cases import DENSE, Cell
from benchmarks.contenders._contender import Answer, Contender, Pair
from benchmarks.inputs import Inputs


class Operands(NamedTuple):
    """The arrays of leaves and targets, and tensors that share their memory."""

    arrays: tuple[NDArray[Any], ...]
    tensors: tuple[torch.Tensor, ...]


class Numpy:
    """NumPy's arrays, on the host."""

    device = "cpu"
    # PyTorch's threads look out for more work for 7 ms, and take a core from NumPy's meanwhile.
    rest = 0.01

    def start(self) -> None:
        """Nothing is compiled."""

    def operands(self, inputs: Inputs) -> Operands:
        """The arrays as they are."""
        arrays = (*inputs.leaves, inputs.targets)
        return Operands(arrays, tuple(map(_tensor, arrays)))

    def pairs(self, cell: Cell) -> Sequence[Pair]:
        """Ours against the peer, and against what none can avoid."""
        forward = cell.direction == "forward"
        ours, theirs = _forward(cell) if forward else _gradients(cell)
        bare = _copy() if cell.loss == DENSE else _products(cell)
        return Pair("eager", ours, theirs), Pair("eager", ours, bare, bare.name)

    def wait(self, result: Any) -> None:
        """NumPy has nothing to wait for."""

    def read(self, result: Any) -> Answer:
        """The loss, and the gradients where there are some."""
        loss, *gradients = (np.asarray(_array(each), np.float64) for each in result)
        return Answer(float(loss), tuple(gradients))

    def peak(self, call: Callable[[], Any]) -> int | str:
        """By the process."""
        return peak.lacking() or peak.beyond(call)

    def logits(self, operands: Operands) -> NDArray[Any]:
        """The array."""
        return operands.arrays[0]


def _ours(cell: Cell) -> Any:
    if cell.loss == DENSE:
        return partial(xe.cross_entropy, axis=cell.axis)
    return xe.linear_cross_entropy


def _forward(cell: Cell) -> tuple[Contender, Contender]:
    loss = _ours(cell)
    pick = _picked if cell.targets == "hard" else _weighted
    logits, of = (_given, "") if cell.loss == DENSE else (_multiplied, " of @")

    def theirs(given: Operands) -> tuple[Any]:
        logs = special.log_softmax(logits(given), cell.axis)
        return (pick(logs, given.arrays[-1], cell.axis),)

    return (
        Contender(f"xe.{cell.loss}", lambda given: (loss(*given.arrays),)),
        Contender(f"scipy log_softmax{of}, {pick.__name__[1:]}", theirs),
    )


def _given(given: Operands) -> NDArray[Any]:
    return given.arrays[0]


def _multiplied(given: Operands) -> Any:
    hidden, weight = map(_wide, given.arrays[:2])
    return hidden @ weight.T


def _wide(array: NDArray[Any]) -> NDArray[Any]:
    """In float32 at least: NumPy has no fast products of narrower numbers."""
    return array if array.itemsize > 2 else array.astype(np.float32)


def _picked(logs: NDArray[Any], targets: NDArray[Any], axis: int) -> Any:
    picked = np.take_along_axis(logs, np.expand_dims(targets, axis), axis)
    return -picked.mean(dtype=np.float32)


def _weighted(logs: NDArray[Any], targets: NDArray[Any], axis: int) -> Any:
    return -(targets * logs).sum(axis=axis, dtype=np.float32).mean()


def _gradients(cell: Cell) -> tuple[Contender, Contender]:
    dense = cell.loss == DENSE
    both = xe.value_and_grad(_ours(cell), wrt="logits" if dense else ("hidden", "weight"))
    loss = functional.cross_entropy if dense else _materialised
    of = "" if dense else " of F.linear"

    def ours(given: Operands) -> tuple[Any, ...]:
        value, gradients = both(*given.arrays)
        return (value, gradients) if dense else (value, *gradients)

    return (
        Contender("xe.value_and_grad", ours),
        Contender(f"F.cross_entropy{of}, backward", partial(_backward, loss)),
    )


def _materialised(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    return functional.cross_entropy(functional.linear(hidden, weight), targets)


def _backward(loss: Callable[..., Any], given: Operands) -> tuple[torch.Tensor | None, ...]:
    *tensors, targets = given.tensors
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    value = loss(*leaves, targets)
    value.backward()
    return value.detach(), *(leaf.grad for leaf in leaves)


def _copy() -> Contender:
    return Contender("copy", lambda given: (given.arrays[0].copy(),), bare=True)


def _products(cell: Cell) -> Contender:
    """The matrix products of a head, with memory for the logits that is used again."""
    room = np.empty(cell.logits, np.float32)

    def call(given: Operands) -> tuple[NDArray[Any], ...]:
        hidden, weight = map(_wide, given.arrays[:2])
        logits = np.matmul(hidden, weight.T, out=room)
        if cell.direction == "forward":
            return (logits,)
        return logits @ weight, logits.T @ hidden

    return Contender("products", call, bare=True)


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
