"""Rows at the limits, in PyTorch: `sharded_limits` has them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sharded_cases import IGNORED, LAYOUTS
from sharded_limits import LIMITS, PLAIN, SURE
from sharded_torch import Member, Step
from sharded_torch_numbers import PAIRS, plain

import xentropy as xe

Told = dict[str, Any]
BLOCKS = (None, 1)


def limits(member: Member, plainly: bool, block: int | None) -> Told:
    """What a member and what one process alone makes of the rows."""
    rows = list((PLAIN if plainly else LIMITS).values())
    x, labels = np.array([limit.row for limit in rows]), np.array([limit.label for limit in rows])
    with xe.options(block_size=block):
        told = looked_at(x[:, slice(*member.bounds)], labels, "float32", group=member.group)
        alone = looked_at(x, labels, "float32")
    return told | {"gradient alone": alone["gradient"], "scored alone": alone["scored"]}


def looked_at(x: np.ndarray, labels: np.ndarray, dtype: str, **options: Any) -> Told:
    """Losses, scores and the gradients of their sums."""
    import torch

    logits = torch.tensor(x, dtype=getattr(torch, dtype), requires_grad=True)
    options |= {"ignore_index": IGNORED}
    targets = torch.tensor(labels)
    losses = xe.cross_entropy(logits, targets, reduction="none", **options)
    score = xe.score(logits, targets, **options)
    return {
        "loss": plain(losses),
        "gradient": plain(torch.autograd.grad(losses.sum(), logits)[0]),
        "mean": plain(xe.cross_entropy(logits, targets, **options)),
        "score": {name: plain(x) for name, x in zip(score._fields, score, strict=True)},
        "scored": plain(torch.autograd.grad(score.entropy.sum() + score.lse.sum(), logits)[0]),
        "logsumexp": plain(xe.logsumexp(logits, group=options.get("group"))),
    }


def sure(member: Member, dtype: str, block: int | None, whole: bool) -> tuple[Any, Any]:
    """Losses and gradients of rows that are sure; ``whole`` in the form that is not in place."""
    import torch

    x = np.array([row for row, _ in SURE])[:, slice(*member.bounds)]
    logits = torch.tensor(x, dtype=getattr(torch, dtype), requires_grad=True)
    labels = torch.tensor([label for _, label in SURE])
    mask = {"where": torch.ones(x.shape[1], dtype=torch.bool)} if whole else {}
    with xe.options(block_size=block):
        losses = xe.cross_entropy(logits, labels, reduction="none", group=member.group, **mask)
        return plain(losses), plain(torch.autograd.grad(losses.sum(), logits)[0])


STEPS = {
    f"limits {plainly}, {block}; {' and '.join(layouts)}": Step(
        __name__, "limits", layouts, (plainly, block)
    )
    for plainly in (False, True)
    for block in BLOCKS
    for layouts in PAIRS
} | {
    f"sure {dtype}, {block}, {whole}; {layout}": Step(
        __name__, "sure", (layout,), (dtype, block, whole)
    )
    for dtype in ("float32", "float64")
    for block, whole in ((None, False), (1, False), (None, True))
    for layout in LAYOUTS
}
