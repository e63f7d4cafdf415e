"""Groups of processes that hold slices of the classes: torch.distributed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import ProcessGroup

Map = Callable[[Tensor], Tensor]


class _Linear(torch.autograd.Function):
    """A linear map, which is its own derivative, with its transpose."""

    @staticmethod
    def forward(x: Tensor, there: Map, _back: Map) -> Tensor:
        return there(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Map, Map], _output: Tensor) -> None:
        ctx.there, ctx.back = inputs[1:]

    @staticmethod
    def backward(ctx: Any, bar: Tensor) -> tuple[Tensor, None, None]:
        return linear(bar, ctx.back, ctx.there), None, None

    @staticmethod
    def jvp(ctx: Any, direction: Tensor, *_: None) -> Tensor:
        return linear(direction, ctx.there, ctx.back)


def linear(x: Tensor, there: Map, back: Map) -> Tensor:
    """What a linear map makes of an array; ``back`` is its transpose."""
    result: Tensor = _Linear.apply(x, there, back)
    return result


def _same(x: Tensor) -> Tensor:
    return x.view_as(x)


class TorchGroup(NamedTuple):
    """Processes that hold slices of the classes; ``counts`` says how many, once it is known."""

    processes: ProcessGroup
    counts: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """How many processes there are."""
        return self.processes.size()

    def first(self, count: int) -> int:
        """The number of the first class of this process."""
        return sum(self.counts[: self.processes.rank()])

    def total(self, count: int) -> int:
        """How many classes there are."""
        return sum(self.counts)

    def widest(self, count: int) -> int:
        """The most classes that any process holds."""
        return max(self.counts, default=count)

    def max(self, x: Tensor) -> Tensor:
        """The largest entry of all processes."""
        return _reduced(x.detach(), self.processes, dist.ReduceOp.MAX)

    def least(self, x: Tensor) -> Tensor:
        """The smallest entry of all processes."""
        return _reduced(x, self.processes, dist.ReduceOp.MIN)

    def sum(self, x: Tensor) -> Tensor:
        """The sum over the processes, each of which uses it apart."""
        return linear(x, self._summed, self._summed)

    def enter(self, x: Tensor) -> Tensor:
        """What all processes have alike and use apart: its gradient is what they add up to."""
        return linear(x, _same, self._summed)

    def leave(self, x: Tensor) -> Tensor:
        """What all processes give out alike: of its one gradient the first process sees to."""
        return linear(x, _same, self._of_first)

    def _summed(self, x: Tensor) -> Tensor:
        return _reduced(x, self.processes, dist.ReduceOp.SUM)

    def _of_first(self, x: Tensor) -> Tensor:
        return _same(x) if self.processes.rank() == 0 else torch.zeros_like(x)

    def notes(self, note: tuple[int, ...]) -> list[tuple[int, ...]]:
        """What every process sent, in their order."""
        own = torch.tensor(note, dtype=torch.int64, device=_device(self.processes))
        found = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(found, own, group=self.processes)
        return [tuple(one.tolist()) for one in found]

    def sized(self, counts: tuple[int, ...]) -> TorchGroup:
        """The same of processes that hold so many classes."""
        return self._replace(counts=counts)


def group_of(group: object) -> TorchGroup:
    """A process group, or that of the one dimension of a device mesh."""
    if isinstance(group, ProcessGroup):
        return TorchGroup(group)
    mesh = getattr(dist.device_mesh, "DeviceMesh", None)
    if mesh is None or not isinstance(group, mesh):
        raise TypeError(
            f"group must be a ProcessGroup or a DeviceMesh of one dimension, got {group!r}"
        )
    if group.ndim != 1:
        raise ValueError(
            f"group must be a DeviceMesh of one dimension, got one of {group.ndim}: choose the "
            "dimension that holds the classes, such as mesh['tp']"
        )
    return TorchGroup(group.get_group())


def _device(group: ProcessGroup) -> str:
    """Where a group sends from: a CPU if it can."""
    return "cpu" if "cpu:" in str(dist.get_backend_config(group)) else "cuda"


def _reduced(x: Tensor, group: ProcessGroup, how: Any) -> Tensor:
    """What an operation makes of the arrays of all processes; what is sent is no argument."""
    sent = x.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(sent, op=how, group=group)
    return sent
