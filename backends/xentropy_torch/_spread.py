"""DTensors: arrays that are spread over a mesh, and carry how with them.

What a loss needs of them is local: the process' rows and its slice of the classes, with the group
of processes that hold the other slices. The results are DTensors again. Nothing is gathered but
what the loss does not take in parts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Partial, Placement, Replicate, Shard

from xentropy import _agreement, _errors
from xentropy._backend import Rule
from xentropy._typing import Array
from xentropy_torch._groups import TorchGroup

Placements = tuple[Placement, ...]
Leaves = tuple[Array | None, ...]

# Leaves that have an entry for every class, if they have one dimension.
_OF_CLASSES = frozenset({"class_weights", "where", "alpha", "b", "bias", "weight"})
_OF_ROWS = frozenset({"targets", "sample_weights"})


class Place(NamedTuple):
    """Where an array lies: the mesh, how it is cut over it, and the shape of the whole."""

    mesh: DeviceMesh
    placements: Placements
    shape: tuple[int, ...]

    def of(self, x: Tensor) -> Tensor:
        """A local array as the DTensor of which it is this process' part."""
        # Parts need not be even, so the whole is not told by one of them.
        whole = torch.empty(self.shape, device="meta")
        found: Tensor = DTensor.from_local(
            x, self.mesh, self.placements, run_check=False, shape=whole.shape, stride=whole.stride()
        )
        return found


class Layout(NamedTuple):
    """How the logits lie on a mesh: for each of its dimensions the axis of them that it cuts.

    ``shape`` is that of all logits, ``axis`` that of the classes; None cuts nothing.
    """

    mesh: DeviceMesh
    shape: tuple[int, ...]
    axis: int
    cuts: tuple[int | None, ...]

    def of(self, name: str, leaf: Tensor) -> Placements:
        """How a leaf has to lie beside them."""
        return tuple(self._beside(name, leaf, cut) for cut in self.cuts)

    def _beside(self, name: str, leaf: Tensor, cut: int | None) -> Placement:
        place = None if cut is None else self._axis_of(name, leaf, cut)
        return Replicate() if place is None or leaf.shape[place] == 1 else Shard(place)

    def _axis_of(self, name: str, leaf: Tensor, cut: int) -> int | None:
        """Which axis of a leaf goes along with an axis of the logits."""
        if name == "hidden":
            return None if cut == self.axis else cut
        if name in _OF_CLASSES and (leaf.ndim == 1 or name == "weight"):
            return 0 if cut == self.axis else None
        if leaf.ndim == len(self.shape):
            return cut
        if name not in _OF_ROWS or cut == self.axis:
            return None
        return cut - (cut > self.axis)

    def gradient(self, placements: Placements) -> Placements:
        """How the gradient of a leaf lies: what has all rows has a part of it from each."""
        return tuple(
            Partial() if isinstance(own, Replicate) and cut not in (None, self.axis) else own
            for own, cut in zip(placements, self.cuts, strict=True)
        )

    def result(self, *, reduced: bool, kept: bool) -> Place:
        """Where a value of rows lies; reduced it is a sum of parts, if the rows are cut."""
        before, after = self.shape[: self.axis], self.shape[self.axis + 1 :]
        shape = () if reduced else (*before, *((1,) if kept else ()), *after)
        return Place(self.mesh, self._of_rows(reduced=reduced, kept=kept), shape)

    def _of_rows(self, *, reduced: bool, kept: bool) -> Placements:
        found: list[Placement] = []
        for cut in self.cuts:
            if cut is None or cut == self.axis:
                found.append(Replicate())
            elif reduced:
                found.append(Partial())
            else:
                found.append(Shard(cut if kept else cut - (cut > self.axis)))
        return tuple(found)

    def group(self) -> TorchGroup | None:
        """Who holds the classes, if they are cut."""
        if self.axis not in self.cuts:
            return None
        here = self.cuts.index(self.axis)
        classes, size = self.shape[self.axis], self.mesh.size(here)
        each = -(-classes // size)
        counts = tuple(max(0, min(each, classes - i * each)) for i in range(size))
        if 0 in counts:
            raise ValueError(
                f"the {classes} classes of the logits are spread over {size} processes, of which "
                f"the last would hold none: every process must hold at least one"
            )
        return TorchGroup(self.mesh.get_group(here), counts)


class Local(NamedTuple):
    """A rule with its local leaves, and where their gradients and the values lie."""

    rule: Rule
    leaves: Leaves
    gradients: tuple[Place | None, ...]
    values: Place

    def dressed(self, values: Iterable[Tensor]) -> tuple[Tensor, ...]:
        """Local values as DTensors."""
        return tuple(self.values.of(value) for value in values)

    def dressed_gradients(self, gradients: Iterable[Tensor | None]) -> tuple[Tensor | None, ...]:
        """Local gradients as DTensors."""
        pairs = zip(gradients, self.gradients, strict=True)
        return tuple(None if by is None or place is None else place.of(by) for by, place in pairs)


def local(rule: Rule, leaves: Leaves) -> Local | None:
    """What a process computes of DTensors; None where there are none, or no loss of classes."""
    if not any(isinstance(leaf, DTensor) for leaf in leaves):
        return None
    layout = _layout(rule, leaves)
    if layout is None:
        return None
    _check_mean(rule, leaves, layout)
    found = [_localised(*pair, layout) for pair in zip(rule.names, leaves, strict=True)]
    group = layout.group()
    inner = rule if group is None else _agreement.sliced(rule, group)
    reduced = getattr(rule, "reduction", "none") != "none"
    values = layout.result(reduced=reduced, kept=bool(getattr(rule, "keepdims", False)))
    arrays, gradients = zip(*found, strict=True)
    return Local(inner, arrays, gradients, values)


def _layout(rule: Rule, leaves: Leaves) -> Layout | None:
    """How the logits lie, or would: None if they are not along one axis of classes."""
    first, head = leaves[0], rule.names[0] == "hidden"
    about = _agreement.loss_of(rule)
    axes = getattr(about, "axes", (0,))
    if not (hasattr(about, "hard") or hasattr(about, "axes")) or len(axes) != 1:
        return None
    spread = [leaf for leaf in leaves if isinstance(leaf, DTensor)]
    mesh = spread[0].device_mesh
    if any(leaf.device_mesh != mesh for leaf in spread):
        raise ValueError("all DTensors of a call must be on one mesh")
    shape, axis = tuple(first.shape), about.axis  # type: ignore[union-attr]  # it is there
    if not head:
        return Layout(mesh, shape, axis, _cuts(rule.names[0], first, mesh))
    axis = len(shape) - 1
    rows = (None if cut == axis else cut for cut in _cuts("hidden", first, mesh))
    classes = (axis if cut == 0 else None for cut in _cuts("weight", leaves[1], mesh))
    cuts = tuple(b if b is not None else a for a, b in zip(rows, classes, strict=True))
    return Layout(mesh, (*shape[:-1], leaves[1].shape[0]), axis, cuts)  # type: ignore[union-attr]


def _cuts(name: str, leaf: Any, mesh: DeviceMesh) -> tuple[int | None, ...]:
    """Which axis of an array each dimension of the mesh cuts."""
    if not isinstance(leaf, DTensor):
        return (None,) * mesh.ndim
    found = tuple(how.dim if isinstance(how, Shard) else None for how in leaf.placements)
    cut = [axis for axis in found if axis is not None]
    plain = all(type(how) in (Shard, Replicate, Partial) for how in leaf.placements)
    if len(set(cut)) != len(cut) or not plain:
        rule = "cut along every axis by one dimension of its mesh at most"
        raise _errors.option(name, rule, leaf.placements)
    return found


def _localised(name: str, leaf: Any, layout: Layout) -> tuple[Tensor | None, Place | None]:
    """The part of a leaf that a process computes with, and where its gradient lies."""
    if leaf is None:
        return None, None
    if not isinstance(leaf, DTensor):  # all processes have it alike
        alike = (Replicate(),) * layout.mesh.ndim
        leaf = Place(layout.mesh, alike, tuple(leaf.shape)).of(leaf)
    wanted = layout.of(name, leaf)
    gradient = layout.gradient(wanted)
    if leaf.placements != wanted:
        leaf = leaf.redistribute(placements=wanted)
    place = Place(layout.mesh, gradient, tuple(leaf.shape))
    return leaf.to_local(grad_placements=gradient), place


def _check_mean(rule: Rule, leaves: Leaves, layout: Layout) -> None:
    """What a mean divides by must be known where no process has all rows."""
    number = dict(zip(rule.names, leaves, strict=True)).get("normalizer")
    if getattr(rule, "reduction", "none") != "mean" or number is not None:
        return
    if any(cut not in (None, layout.axis) for cut in layout.cuts):
        raise ValueError(
            "reduction must be 'none' or 'sum' where the rows of the logits are cut over a mesh, "
            "or 'mean' with the count of all rows as normalizer, got 'mean' and a normalizer that "
            "would count the rows of one process"
        )
