"""PyTorch, which needs no NumPy for this."""

from __future__ import annotations

import torch

from xentropy.doctor._exact import LABELS, LOGITS
from xentropy.doctor.frameworks import Loss, Numbers


def versions() -> dict[str, str]:
    """PyTorch's, and CUDA's where it was built for it."""
    cuda = torch.version.cuda
    return {"torch": torch.__version__} | ({"cuda": cuda} if cuda else {})


def devices() -> list[str]:
    """The host and the accelerators."""
    kind = torch.accelerator.current_accelerator(check_available=True)
    count = torch.accelerator.device_count() if kind else 0
    return ["cpu", *(f"{kind.type}:{i}" for i in range(count) if kind)]


def run(loss: Loss, compiled: bool) -> Numbers:
    """The call, compiled by Inductor where that is asked for, and a backward pass."""
    x = torch.tensor(LOGITS, dtype=torch.float32, requires_grad=True)
    call = torch.compile(loss, fullgraph=True, dynamic=False) if compiled else loss
    values = call(x, torch.tensor(LABELS, dtype=torch.int32), reduction="none")
    (gradient,) = torch.autograd.grad(values.sum(), x)
    return Numbers(values.tolist(), gradient.flatten().tolist())
