"""Calls that cannot be, of classes that several processes hold: how each of them is refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
from processes import Rank
from sharded_cases import CLASS_WEIGHTS, HIDDEN, LABELS, WEIGHT, X
from sharded_torch import Member, Raised, Step, exchanged, raised

import xentropy as xe

ODD = 1  # the member that does otherwise than the others
Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class Given(NamedTuple):
    """What a member calls with: whether it does otherwise, its logits and labels, its classes."""

    odd: bool
    x: Any
    y: Any
    bounds: slice


def refused(member: Member, name: str) -> Raised | None:
    """How a call failed."""
    import torch

    bounds = slice(*member.bounds)
    x, labels = torch.tensor(X[:, bounds]), torch.tensor(LABELS)
    function, args, options = CALLS[name](Given(member.number == ODD, x, labels, bounds))
    return raised(lambda: function(*args, **{"group": member.group, **options}))


def head(g: Given) -> Call:
    """A head whose labels are too large."""
    import torch

    given = (torch.tensor(HIDDEN.reshape(6, -1)), torch.tensor(WEIGHT[g.bounds]), g.y + 1)
    return xe.linear_cross_entropy, given, {}


def mesh(g: Given) -> Call:
    """A mesh of two dimensions as the group."""
    from torch.distributed.device_mesh import init_device_mesh

    return xe.cross_entropy, (g.x, g.y), {"group": init_device_mesh("cpu", (2, 2))}


def numpy_arrays(_: Given) -> Call:
    """Arrays of another framework than the group."""
    return xe.cross_entropy, (np.asarray(X), np.asarray(LABELS)), {}


def weights(bounds: slice) -> Any:
    """The class weights of a slice."""
    import torch

    return torch.tensor(CLASS_WEIGHTS[bounds])


CE = xe.cross_entropy
CALLS: dict[str, Callable[[Given], Call]] = {
    # All alike.
    "a label too large": lambda g: (CE, (g.x, g.y + 1), {}),
    "a label below 0": lambda g: (CE, (g.x, g.y - 1), {}),
    "too large beside an ignored one": lambda g: (
        xe.score,
        (g.x, 4 * g.y),
        {"ignore_index": 28},
    ),
    "a label too large for a head": head,
    "no such option": lambda g: (CE, (g.x, g.y), {"reduction": "all"}),
    "a word as the group": lambda g: (CE, (g.x, g.y), {"group": "world"}),
    "an object as the group": lambda g: (CE, (g.x, g.y), {"group": object()}),
    "a mesh of two dimensions": mesh,
    "arrays of NumPy": numpy_arrays,
    "all entries of logsumexp": lambda g: (xe.logsumexp, (g.x,), {"axis": None}),
    # One differs.
    "labels differ": lambda g: (CE, (g.x, g.y.clamp(max=6) if g.odd else g.y), {}),
    "shapes differ": lambda g: (CE, (g.x[g.odd :], g.y[g.odd :]), {}),
    "axes differ": lambda g: (CE, (g.x[None], g.y[None]) if g.odd else (g.x, g.y), {}),
    "options differ": lambda g: (CE, (g.x, g.y), {"temperature": 1.0 + g.odd}),
    "dtypes differ": lambda g: (CE, (g.x.float() if g.odd else g.x, g.y), {}),
    "kinds of targets differ": lambda g: (CE, (g.x, g.x.exp() if g.odd else g.y), {}),
    "functions differ": lambda g: (xe.score if g.odd else CE, (g.x, g.y), {}),
    "arrays differ": lambda g: (
        CE,
        (g.x, g.y),
        {"class_weights": weights(g.bounds) if g.odd else None},
    ),
    # One refuses.
    "one has a bad option": lambda g: (CE, (g.x, g.y), {"label_smoothing": 2.0 * g.odd}),
    "one has a bad shape": lambda g: (CE, (g.x, g.y[g.odd :]), {}),
    "one has integer logits": lambda g: (CE, (g.x.long() if g.odd else g.x, g.y), {}),
    "one has bad weights": lambda g: (
        CE,
        (g.x, g.y),
        {"class_weights": CLASS_WEIGHTS.tolist() if g.odd else weights(g.bounds)},
    ),
    "one has an option that is none": lambda g: (
        xe.focal_loss,
        (g.x, g.y),
        {"colour": 1} if g.odd else {},
    ),
}
LAYOUTS = ("2 uneven",), ("4 even",)
STEPS = {
    f"refused: {name}; {' and '.join(layouts)}": Step(__name__, "refused", layouts, (name,))
    for name in CALLS
    for layouts in (LAYOUTS if "mesh" not in name else LAYOUTS[1:])
}


# --- a process that is gone -----------------------------------------------------------------


WAIT = 10.0


def left_alone(rank: Rank) -> list[tuple[Raised | None, float]] | None:
    """Process 1 leaves before it is called, and 2 before its backward; 0 is in a group with each.

    What process 0 was told, and after how long.
    """
    import torch
    import torch.distributed as dist

    wait = timedelta(seconds=WAIT)
    place = f"file://{rank.folder}/meet"
    dist.init_process_group("gloo", place, rank=rank.number, world_size=rank.count)
    first, second = (dist.new_group([0, i], timeout=wait) for i in (1, 2))
    exchanged(rank, "joined", "")  # else one may be gone before the others have joined
    if rank.number == 1:
        return None  # and the process ends at once: nothing says farewell
    half = slice(0, 4) if rank.number == 0 else slice(4, 8)
    weight = torch.tensor(WEIGHT[half], requires_grad=True)
    hidden = torch.tensor(HIDDEN.reshape(6, -1), requires_grad=True)
    labels = torch.tensor(LABELS)
    loss = xe.linear_cross_entropy(hidden, weight, labels, group=second)
    if rank.number == 2:
        return None
    logits = torch.tensor(X[:, half])
    return [
        timed(loss.backward),
        timed(lambda: xe.cross_entropy(logits, labels, group=first)),
    ]


def timed(call: Callable[[], Any]) -> tuple[Raised | None, float]:
    """How a call failed, and after how long."""
    start = time.monotonic()
    return raised(call), time.monotonic() - start
