"""Ways to ask for a gradient, what is sent, and what is allocated, in PyTorch with a group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sharded_cases import (
    BIAS,
    CLASS_WEIGHTS,
    HIDDEN,
    LABELS,
    SAMPLE_WEIGHTS,
    SOFT,
    WEIGHT,
    X,
)
from sharded_torch import Member, Step
from sharded_torch_numbers import plain

import xentropy as xe

Sent = list[tuple[str, int]]


def slices(member: Member) -> tuple[Any, Any, Callable[..., Any]]:
    """The logits of a member, the labels, and its loss."""
    import torch

    logits = torch.tensor(X[:, slice(*member.bounds)], requires_grad=True)
    labels = torch.tensor(LABELS)

    def loss(x: Any, **options: Any) -> Any:
        return xe.cross_entropy(x, labels, group=member.group, **options)

    return logits, labels, loss


# --- ways to a gradient: each returns gradients of the mean by the logits -------------------


def adds_up(member: Member) -> list[np.ndarray]:
    logits, _, loss = slices(member)
    for _ in range(3):
        loss(logits).backward()
    return [plain(logits.grad / 3)]


def twice(member: Member) -> list[np.ndarray]:
    import torch

    logits, _, loss = slices(member)
    value = loss(logits)
    found = [torch.autograd.grad(value, logits, retain_graph=True)[0] for _ in range(2)]
    return [plain(by) for by in (*found, torch.autograd.grad(value, logits)[0])]


def strided(member: Member) -> list[np.ndarray]:
    """Logits that are every other entry of an array, and those of a transposed one."""
    import torch

    logits, _, loss = slices(member)
    gaps = torch.zeros(len(X), 2 * logits.shape[1], dtype=torch.float64)[:, ::2]
    gaps = gaps.copy_(logits.detach()).requires_grad_()
    turned = logits.detach().T.contiguous().T.requires_grad_()
    assert not gaps.is_contiguous()
    return [plain(torch.autograd.grad(loss(x), x)[0]) for x in (gaps, turned)]


def by_func(member: Member) -> list[np.ndarray]:
    import torch

    logits, _, loss = slices(member)
    return [plain(torch.func.grad(loss)(logits.detach()))]


def by_value_and_grad(member: Member) -> list[np.ndarray]:
    logits, labels, _ = slices(member)
    function = xe.value_and_grad(xe.cross_entropy)
    _, made = function(logits, labels, group=member.group)
    over = logits.detach().clone()
    _, same = function(over, labels, group=member.group, out=over)
    assert same is over
    return [plain(made), plain(over)]


def forward(member: Member) -> dict[str, np.ndarray]:
    """Derivatives along a direction, by torch.func and by dual numbers."""
    import torch
    from torch.autograd import forward_ad

    logits, _, loss = slices(member)
    along = torch.tensor(DIRECTION[:, slice(*member.bounds)])
    _, pushed = torch.func.jvp(loss, (logits.detach(),), (along,))
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(logits.detach(), along)
        slope = forward_ad.unpack_dual(loss(dual)).tangent
    return {"jvp": plain(pushed), "dual": plain(slope)}


DIRECTION = np.random.default_rng(3).standard_normal(X.shape)


def by_mesh(member: Member) -> dict[str, np.ndarray]:
    """A mesh of one dimension as the group, and one dimension of a mesh."""
    import torch
    from torch.distributed.device_mesh import init_device_mesh

    logits, labels, _ = slices(member)
    line = init_device_mesh("cpu", (4,))
    pair = init_device_mesh("cpu", (2, 2), mesh_dim_names=("rows", "classes"))["classes"]
    half = torch.tensor(np.split(X, 2, axis=1)[pair.get_local_rank()], requires_grad=True)
    return {
        name: plain(torch.autograd.grad(xe.cross_entropy(x, labels, group=mesh), x)[0])
        for name, x, mesh in (("line", logits, line), ("pair", half, pair))
    }


WAYS = (adds_up, twice, strided, by_func, by_value_and_grad)


# --- what is sent ---------------------------------------------------------------------------


@contextmanager
def watched() -> Iterator[Sent]:
    """Every message of this process: what it is, and its bytes."""
    import torch.distributed as dist

    kinds = {"all_reduce": 0, "all_gather": 1}
    real, sent = {name: getattr(dist, name) for name in kinds}, []

    def noted(name: str) -> Callable[..., Any]:
        def send(*args: Any, **kwargs: Any) -> Any:
            tensor, how = args[kinds[name]], kwargs.get("op")
            kind = name if how is None else str(how).rpartition(".")[2].lower()
            sent.append((kind, tensor.nbytes))
            return real[name](*args, **kwargs)

        return send

    try:
        for name in kinds:
            setattr(dist, name, noted(name))
        yield sent
    finally:
        for name, function in real.items():
            setattr(dist, name, function)


def messages(member: Member, name: str, wider: int) -> tuple[Sent, Sent]:
    """What a call sends, and its backward, with ``wider`` times as many classes."""
    function, arrays, options = SENDERS[name]
    given = {}
    for key, x in arrays.items():
        axis = {"logits": 1, "weight": 0, "bias": 0, "class_weights": 0}.get(key)
        axis = 1 if key == "targets" and x.ndim == 2 else axis
        whole = x if axis is None else np.repeat(x, wider, axis=axis)
        bounds = [wider * bound for bound in member.bounds]
        given[key] = whole if axis is None else whole.take(range(*bounds), axis=axis)
    return sent_by(getattr(xe, function), given, options | {"group": member.group})


def sent_by(function: Any, arrays: Any, options: Any) -> tuple[Sent, Sent]:
    """Of the call, and of the gradients by its first arrays."""
    import torch

    given = {name: torch.tensor(x) for name, x in arrays.items()}
    moving = [given[name].requires_grad_() for name in ("logits", "hidden", "weight", "bias")
              if name in given]  # fmt: skip
    with watched() as calling:
        value = function(**given, **options)
    total = value.sum() if hasattr(value, "sum") else sum(x.sum() for x in value[:4])
    with watched() as pulling:
        torch.autograd.grad(total, moving)
    return calling, pulling


_DENSE = {"logits": X, "targets": LABELS}
_WEIGHTS = {"class_weights": CLASS_WEIGHTS, "sample_weights": SAMPLE_WEIGHTS}
_HEAD = {"hidden": HIDDEN.reshape(6, -1), "weight": WEIGHT, "targets": LABELS, "bias": BIAS}
SENDERS: dict[str, Any] = {
    "labels": ("cross_entropy", _DENSE, {}),
    "weights and smoothing": ("cross_entropy", _DENSE | _WEIGHTS, {"label_smoothing": 0.1}),
    "probabilities": ("cross_entropy", _DENSE | {"targets": SOFT}, {"normalizer": "batch"}),
    "score": ("score", _DENSE, {}),
    "head": ("linear_cross_entropy", _HEAD, {}),
    "scored head": ("linear_score", _HEAD, {}),
}


# --- what is allocated ----------------------------------------------------------------------

ROWS, WIDTH, BLOCK = 256, 2048, 1 << 14


def allocated(member: Member, smoothing: float) -> dict[str, tuple[int, int]]:
    """The peak and the largest allocation in bytes, of a call and of its backward."""
    import torch

    logits = torch.zeros(ROWS, WIDTH, requires_grad=True)
    labels = torch.arange(ROWS)
    options = {"label_smoothing": smoothing, "group": member.group}
    with xe.options(block_size=BLOCK):
        xe.cross_entropy(logits, labels, **options).backward()  # what is made once
        logits.grad = None
        with torch.profiler.profile(profile_memory=True) as calling:
            value = xe.cross_entropy(logits, labels, **options)
        with torch.profiler.profile(profile_memory=True) as pulling:
            torch.autograd.grad(value, logits)
    return {"call": peak_of(calling), "backward": peak_of(pulling)}


def peak_of(profile: Any) -> tuple[int, int]:
    """The most bytes that were there at once, and the largest at a time."""
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    sizes = [e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())]
    return int(np.cumsum(sizes).max(initial=0)), max(sizes, default=0)


# --- the steps ------------------------------------------------------------------------------

STEPS = {
    f"{way.__name__}; {layout}": Step(__name__, way.__name__, (layout,))
    for way in (*WAYS, forward)
    for layout in ("2 uneven", "4 even")
}
STEPS |= {"by_mesh": Step(__name__, "by_mesh", ("4 even",))}
STEPS |= {
    f"messages {name} {wider}": Step(__name__, "messages", ("4 uneven",), (name, wider))
    for name in SENDERS
    for wider in (1, 3)
}
STEPS |= {
    f"allocated {smoothing}": Step(__name__, "allocated", ("2 even",), (smoothing,))
    for smoothing in (0.0, 0.1)
}
