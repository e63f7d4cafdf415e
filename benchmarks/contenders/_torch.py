"""PyTorch: eager, and both functions compiled by Inductor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch.nn import functional

import xentropy as xe
from benchmarks import peak
from benchmarks.cases import Cell
from benchmarks.contenders._contender import Answer, Contender, Pair
from benchmarks.inputs import Inputs

Operands = tuple[torch.Tensor, torch.Tensor]
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Torch:
    """PyTorch's tensors on a device."""

    def __init__(self, device: str) -> None:
        self.device = device

    def start(self) -> None:
        """Forget the graphs, whose number for one function is limited."""
        torch.compiler.reset()

    def operands(self, inputs: Inputs) -> Operands:
        """Tensors on the device."""
        logits, targets = map(_tensor, inputs)
        return logits.to(self.device), targets.to(self.device)

    def pairs(self, cell: Cell) -> Sequence[Pair]:
        """Eager against eager, compiled against compiled, and eager against a copy."""
        ours, theirs = partial(xe.cross_entropy, axis=cell.axis), functional.cross_entropy
        way = _forward if cell.direction == "forward" else _backward
        eager = [Contender(n, partial(way, f)) for n, f in _named(ours, theirs)]
        compiled = [
            Contender(f"{n}, compiled", partial(way, _compiled(f)), compiled=True)
            for n, f in _named(ours, theirs)
        ]
        copy = Contender("copy", lambda given: (given[0].clone(),))
        return (
            Pair("eager", eager[0], eager[1]),
            Pair("eager", eager[0], copy, "copy"),
            Pair("compiled", compiled[0], compiled[1]),
        )

    def wait(self, result: Any) -> None:
        """Wait for an accelerator."""
        if self.device != "cpu":
            torch.cuda.synchronize()

    def read(self, result: Any) -> Answer:
        """The loss, and the gradient where there is one."""
        loss, *gradient = (each.detach().double().cpu() for each in result)
        return Answer(float(loss), gradient[0].numpy() if gradient else None)

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


def _named(ours: Loss, theirs: Loss) -> Sequence[tuple[str, Loss]]:
    return ("xe.cross_entropy", ours), ("F.cross_entropy", theirs)


def _forward(loss: Loss, given: Operands) -> tuple[torch.Tensor]:
    with torch.no_grad():
        return (loss(*given),)


def _backward(loss: Loss, given: Operands) -> tuple[torch.Tensor, torch.Tensor | None]:
    logits, targets = given
    leaf = logits.detach().requires_grad_()
    value = loss(leaf, targets)
    value.backward()  # type: ignore[no-untyped-call]
    return value.detach(), leaf.grad


def _compiled(loss: Loss) -> Loss:
    """A function of its own, since what is compiled is remembered by its code."""

    def call(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return loss(logits, targets)

    compiled: Loss = torch.compile(call, fullgraph=True, dynamic=False)
    return compiled


def _tensor(array: Any) -> torch.Tensor:
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view("int16")).view(torch.bfloat16)
    return torch.from_numpy(array)


def frameworks() -> list[Torch]:
    """The host, and a GPU where there is one."""
    return [Torch("cpu")] + ([Torch("cuda")] if torch.cuda.is_available() else [])
