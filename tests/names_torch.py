"""What the names in the code of PyTorch's differences mean."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from twins_torch import NATIVE, OURS


def grad(function: Callable[..., Any], x: Any) -> Any:
    """The gradient of the sum of a function's values."""
    leaf = x.detach().clone().requires_grad_()
    return torch.autograd.grad(function(leaf).sum(), leaf)[0]


def names(*, ours: bool) -> dict[str, Any]:
    """The functions of PyTorch or of its drop-ins, and what they are called with."""
    of_torch = ("float16", "bfloat16", "float64", "int32", "arange", "ones", "tensor", "zeros")
    return {
        **{name: getattr(torch, name) for name in of_torch},
        **(OURS if ours else NATIVE),
        "grad": grad,
        "inf": math.inf,
        "nan": math.nan,
    }
