"""What a process computes with DTensors: whole values and gradients, by the name of a check."""

from __future__ import annotations

from typing import Any

import numpy as np
from processes import Rank

SHAPE, WIDTH = (6, 11), 5
OPTIONS: dict[str, dict[str, Any]] = {
    "none": {"reduction": "none"},
    "sum, smoothed": {"reduction": "sum", "label_smoothing": 0.1},
    "mean of a number": {"normalizer": 7.0},
    "mean": {},
    "valid, smoothed": {"label_smoothing": 0.2, "z_loss": 0.1, "normalizer": "valid"},
}
#: How the logits lie on a mesh, by the number of processes: the axis that each dimension cuts.
MESHES: dict[str, tuple[int, tuple[int, ...], tuple[int | None, ...]]] = {
    "classes": (2, (2,), (1,)),
    "rows": (2, (2,), (0,)),
    "nothing": (2, (2,), (None,)),
    "rows and classes": (4, (2, 2), (0, 1)),
    "classes over four": (4, (4,), (1,)),
}


def arrays() -> dict[str, np.ndarray]:
    """The whole arrays, in float64."""
    rng = np.random.default_rng(0)
    return {
        "logits": 3 * rng.standard_normal(SHAPE),
        "hidden": 2 * rng.standard_normal((SHAPE[0], WIDTH)),
        "weight": rng.standard_normal((SHAPE[1], WIDTH)),
        "bias": rng.standard_normal(SHAPE[1]),
        "labels": np.array([0, 3, 9, 0, 1, 10]),
        "probabilities": rng.random(SHAPE),
        "sample_weights": rng.random(SHAPE[0]),
        "class_weights": rng.random(SHAPE[1]),
    }


def counts_rows(mesh: str, options: dict[str, Any]) -> bool:
    """Whether a mean would divide by the rows of one process."""
    mean = options.get("reduction", "mean") == "mean"
    return mean and 0 in MESHES[mesh][2] and not isinstance(options.get("normalizer"), float)


def computed(rank: Rank, names: tuple[str, ...]) -> dict[str, Any]:
    """All checks of some meshes."""
    import datetime as dt

    import torch
    from torch import distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=(rank.folder / "store").as_uri(),
        rank=rank.number,
        world_size=rank.count,
        timeout=dt.timedelta(seconds=60),
    )
    found: dict[str, Any] = {}
    for name in names:
        found |= {(name, *key): value for key, value in _of_mesh(name).items()}
    dist.barrier()
    dist.destroy_process_group()
    return found


class Mesh:
    """Arrays laid on a mesh as the logits are."""

    def __init__(self, name: str) -> None:
        from torch.distributed.device_mesh import init_device_mesh

        _, shape, self.cuts = MESHES[name]
        self.mesh = init_device_mesh("cpu", shape)

    def lay(self, x: np.ndarray, axes: dict[int, int], *, moving: bool = True) -> Any:
        """An array of which some axes go along with those of the logits."""
        import torch
        from torch.distributed.tensor import Replicate, Shard, distribute_tensor

        how = [Shard(axes[c]) if c in axes else Replicate() for c in self.cuts]  # type: ignore[index]
        made = distribute_tensor(torch.tensor(x), self.mesh, how)
        return made.requires_grad_() if moving else made


ROWS, CLASSES, BOTH = {0: 0}, {1: 0}, {0: 0, 1: 1}


def _of_mesh(name: str) -> dict[Any, Any]:
    mesh, found = Mesh(name), {}
    for options, given in OPTIONS.items():
        for targets in ("labels", "probabilities"):
            if counts_rows(name, given):
                found[options, targets, "refused"] = refused(mesh, targets, given)
            else:
                found |= {
                    (options, targets, *k): v for k, v in losses(mesh, targets, given).items()
                }
    return found | others(mesh)


def targets_of(mesh: Mesh, targets: str) -> Any:
    x = arrays()[targets]
    return mesh.lay(x, BOTH if x.ndim == 2 else ROWS, moving=x.ndim == 2)


def refused(mesh: Mesh, targets: str, options: dict[str, Any]) -> str:
    """The error of a mean that nobody can divide."""
    import xentropy as xe

    try:
        xe.cross_entropy(mesh.lay(arrays()["logits"], BOTH), targets_of(mesh, targets), **options)
    except ValueError as error:
        return str(error)
    return ""


def losses(mesh: Mesh, targets: str, options: dict[str, Any]) -> dict[Any, Any]:
    """Values and gradients of a loss of logits, and of one of a head."""
    import xentropy as xe

    whole, t = arrays(), targets_of(mesh, targets)
    x = mesh.lay(whole["logits"], BOTH)
    weights = {
        "sample_weights": mesh.lay(whole["sample_weights"], ROWS),
        "class_weights": mesh.lay(whole["class_weights"], CLASSES),
    }
    leaves = {"logits": x, **weights} | ({"targets": t} if targets == "probabilities" else {})
    found = pulled("dense", xe.cross_entropy(x, t, **weights, **options), leaves)
    plain = {name: w.detach().full_tensor() for name, w in weights.items()}
    found["plain tensors beside", "value"] = full(xe.cross_entropy(x, t, **plain, **options))
    value, by = xe.value_and_grad(xe.cross_entropy)(x, t, **options)
    found |= {("value_and_grad", "value"): full(value), ("value_and_grad", "logits"): full(by)}
    head = {
        "hidden": mesh.lay(whole["hidden"], ROWS),
        "weight": mesh.lay(whole["weight"], CLASSES),
        "bias": mesh.lay(whole["bias"], CLASSES),
    }
    loss = xe.linear_cross_entropy(head["hidden"], head["weight"], t, bias=head["bias"], **options)
    return found | pulled("head", loss, head)


def pulled(name: str, loss: Any, leaves: dict[str, Any]) -> dict[Any, Any]:
    """A value, and the gradients of its sum."""
    import torch

    by = torch.autograd.grad(loss.sum(), list(leaves.values()))
    gradients = {(name, leaf): full(g) for leaf, g in zip(leaves, by, strict=True)}
    return {(name, "value"): full(loss)} | gradients


def others(mesh: Mesh) -> dict[Any, Any]:
    """Functions of rows, and a label that is no class."""
    import xentropy as xe

    x, labels = mesh.lay(arrays()["logits"], BOTH), targets_of(mesh, "labels")
    scores = xe.score(x, labels)
    found = {("score", field): full(value) for field, value in scores._asdict().items()}
    found["logsumexp", ""] = full(xe.logsumexp(x))
    found["logsumexp", "keepdims"] = full(xe.logsumexp(x, keepdims=True))
    found["second", ""] = second(xe.cross_entropy(x, labels, reduction="sum"), x)
    found["focal_loss", ""] = full(xe.focal_loss(x, labels, reduction="none"))
    plain = labels.full_tensor() + 90
    try:
        xe.cross_entropy(x, plain, reduction="none")
    except IndexError as error:
        found["label", "no class"] = str(error)
    return found


def second(loss: Any, x: Any) -> np.ndarray:
    """The gradient of the sum of the squares of a loss's gradient."""
    import torch

    (by,) = torch.autograd.grad(loss, x, create_graph=True)
    return full(torch.autograd.grad((by**2).sum(), x)[0])


def full(x: Any) -> np.ndarray:
    """The whole of a DTensor, which a result has to be."""
    from torch.distributed.tensor import DTensor

    if not isinstance(x, DTensor):
        raise TypeError(f"a DTensor was expected, got {type(x)}")
    return np.asarray(x.detach().full_tensor())
