"""The ways to a loss of which every process holds some classes, with gradients, in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812 - as everyone calls it
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Shard
from torch.distributed.tensor.parallel import loss_parallel

import xentropy as xe
from benchmarks.sharded import model
from benchmarks.sharded.model import Case


class Inputs(NamedTuple):
    """What a process has: a slice of the logits; or hidden, whole, and a slice of the weight."""

    mesh: DeviceMesh
    leaves: tuple[Tensor, ...]
    labels: Tensor

    def clear(self) -> None:
        """Let go of the gradients."""
        for leaf in self.leaves:
            leaf.grad = None


@dataclass(frozen=True)
class Way:
    """A loss, and where it has to be computed."""

    loss: Callable[[Inputs], Tensor]
    within: Callable[[], AbstractContextManager[None]] = nullcontext

    def run(self, inputs: Inputs) -> Tensor:
        """The loss; its gradients are left at the leaves."""
        inputs.clear()
        with self.within():
            loss = self.loss(inputs)
            loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


def made(case: Case, mesh: DeviceMesh) -> Inputs:
    """The inputs of this process; all processes draw the same numbers and keep their part.

    The leaf of a slice is memory of its own, as a layer would have made it.
    """
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(case.classes, (case.rows,), generator=random)
    rank, sizes = mesh.get_local_rank(), (case.rows, case.hidden)
    if not case.hidden:
        whole = 3 * torch.randn(case.rows, case.classes, generator=random)
        leaves: tuple[Tensor, ...] = (whole.chunk(case.processes, 1)[rank].clone(),)
    else:
        hidden = torch.randn(sizes, generator=random)
        weight = torch.randn(case.classes, case.hidden, generator=random) / case.hidden**0.5
        leaves = hidden, weight.chunk(case.processes)[rank].clone()
    return Inputs(mesh, tuple(leaf.requires_grad_() for leaf in leaves), labels)


def mesh_of(processes: int) -> DeviceMesh:
    """All processes, in one dimension."""
    return init_device_mesh("cpu", (processes,))


def _ours(inputs: Inputs) -> Tensor:
    return xe.cross_entropy(inputs.leaves[0], inputs.labels, group=inputs.mesh)


def _our_head(inputs: Inputs) -> Tensor:
    hidden, weight = inputs.leaves
    return xe.linear_cross_entropy(hidden, weight, inputs.labels, group=inputs.mesh)


class _Gather(torch.autograd.Function):
    """All logits; the gradient is the part of the process' own."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.rank, ctx.own = group.rank(), own.shape[1]
        parts = [torch.empty_like(own) for _ in range(group.size())]
        dist.all_gather(parts, own, group=group)
        return torch.cat(parts, 1)

    @staticmethod
    def backward(ctx: Any, *bars: Tensor) -> tuple[Tensor, None]:
        return bars[0].narrow(1, ctx.rank * ctx.own, ctx.own).contiguous(), None


class _Enter(torch.autograd.Function):
    """What all processes have alike: its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group = group
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *bars: Tensor) -> tuple[Tensor, None]:
        by = bars[0].contiguous()
        dist.all_reduce(by, group=ctx.group)
        return by, None


def _gathered(inputs: Inputs) -> Tensor:
    logits = _Gather.apply(inputs.leaves[0], inputs.mesh.get_group())  # type: ignore[no-untyped-call]
    return F.cross_entropy(logits, inputs.labels)


def _gathered_head(inputs: Inputs) -> Tensor:
    (hidden, weight), group = inputs.leaves, inputs.mesh.get_group()
    own = _Enter.apply(hidden, group) @ weight.T  # type: ignore[no-untyped-call]
    return F.cross_entropy(_Gather.apply(own, group), inputs.labels)  # type: ignore[no-untyped-call]


def _loss_parallel(inputs: Inputs) -> Tensor:
    logits = DTensor.from_local(inputs.leaves[0], inputs.mesh, [Shard(1)])
    return F.cross_entropy(logits, inputs.labels)


_MADE = (
    Way(_ours),
    Way(_loss_parallel, loss_parallel),
    Way(_gathered),
    Way(_our_head),
    Way(_gathered_head),
)
#: The ways by name, as `model` lists them.
WAYS = dict(zip(model.WAYS, _MADE, strict=True))
