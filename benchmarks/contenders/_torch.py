"""PyTorch: eager, and both functions compiled by Inductor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch.nn import functional

import xentropy as xe
from benchmarks import peak
from benchmarks.cases import DENSE, Cell
from benchmarks.contenders._contender import Answer, Contender, Named, Pair, by_itself
from benchmarks.inputs import Inputs

Operands = tuple[torch.Tensor, ...]
Loss = Callable[..., torch.Tensor]


class Torch:
    """PyTorch's tensors on a device."""

    rest = 0.0

    def __init__(self, device: str) -> None:
        self.device = device

    def start(self) -> None:
        """Forget the graphs, whose number for one function is limited."""
        torch.compiler.reset()

    def operands(self, inputs: Inputs) -> Operands:
        """Tensors on the device."""
        arrays = (*inputs.leaves, inputs.targets)
        return tuple(_tensor(array).to(self.device) for array in arrays)

    def pairs(self, cell: Cell) -> Sequence[Pair]:
        """Eager against eager, compiled against compiled, and eager against what none can avoid."""
        named = _dense(cell) if cell.loss == DENSE else _head()
        way = _forward if cell.direction == "forward" else _backward
        ours, theirs = (Contender(n, partial(way, f)) for n, f in named)
        compiled = [
            Contender(f"{n}, compiled", partial(way, _compiled(f)), compiled=True) for n, f in named
        ]
        others = [_copy()] if cell.loss == DENSE else [_products(cell, self.device)]
        if cell.loss != DENSE and cell.targets == "hard":
            others.append(Contender("chunked", partial(way, _chunked)))
        return (
            Pair("eager", ours, theirs),
            *by_itself(cell, theirs),
            *(Pair("eager", ours, other, other.name) for other in others),
            Pair("compiled", compiled[0], compiled[1]),
        )

    def wait(self, result: Any) -> None:
        """Wait for an accelerator."""
        if self.device != "cpu":
            torch.cuda.synchronize()

    def read(self, result: Any) -> Answer:
        """The loss, and the gradients where there are some."""
        loss, *gradients = (each.detach().double().cpu().numpy() for each in result)
        return Answer(float(loss), tuple(gradients))

    def peak(self, call: Callable[[], Any]) -> int | str:
        """By the process, or by the allocator of the accelerator."""
        if self.device == "cpu":
            return peak.lacking() or peak.beyond(call)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return torch.cuda.max_memory_allocated() - before

    def logits(self, operands: Operands) -> torch.Tensor:
        """The tensor."""
        return operands[0]


def _dense(cell: Cell) -> Sequence[Named]:
    ours = partial(xe.cross_entropy, axis=cell.axis)
    return ("xe.cross_entropy", ours), ("F.cross_entropy", functional.cross_entropy)


def _head() -> Sequence[Named]:
    ours = ("xe.linear_cross_entropy", xe.linear_cross_entropy)
    return ours, ("F.cross_entropy of F.linear", materialised)


def materialised(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """A head whose logits are held."""
    return functional.cross_entropy(functional.linear(hidden, weight), targets)


def _chunked(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """PyTorch's own way without all the logits at once."""
    options = torch.nn.LinearCrossEntropyOptions()
    return functional.linear_cross_entropy(hidden, weight, targets, options=options)


def _copy() -> Contender:
    return Contender("copy", lambda given: (given[0].clone(),), bare=True)


def _products(cell: Cell, device: str) -> Contender:
    """The matrix products of a head, with memory for the logits that is used again."""
    dtype: torch.dtype = getattr(torch, cell.dtype)
    room = torch.empty(cell.logits, dtype=dtype, device=device)

    def call(given: Operands) -> Operands:
        hidden, weight, _ = given
        logits = torch.matmul(hidden, weight.T, out=room)
        if cell.direction == "forward":
            return (logits,)
        return logits @ weight, logits.T @ hidden

    return Contender("products", call, bare=True)


def _forward(loss: Loss, given: Operands) -> tuple[torch.Tensor]:
    with torch.no_grad():
        return (loss(*given),)


def _backward(loss: Loss, given: Operands) -> tuple[torch.Tensor | None, ...]:
    *tensors, targets = given
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    value = loss(*leaves, targets)
    value.backward()  # type: ignore[no-untyped-call]
    return value.detach(), *(leaf.grad for leaf in leaves)


def _compiled(loss: Loss) -> Loss:
    """A function of its own, since what is compiled is remembered by its code."""

    def call(*given: torch.Tensor) -> torch.Tensor:
        return loss(*given)

    compiled: Loss = torch.compile(call, fullgraph=True, dynamic=False)
    return compiled


def _tensor(array: Any) -> torch.Tensor:
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view("int16")).view(torch.bfloat16)
    return torch.from_numpy(array)


def frameworks() -> list[Torch]:
    """The host, and a GPU where there is one."""
    return [Torch("cpu")] + ([Torch("cuda")] if torch.cuda.is_available() else [])
