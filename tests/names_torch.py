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


def jvp(function: Callable[..., Any], x: Any) -> Any:
    """The derivative of a function as all of its argument moves alike."""
    return torch.func.jvp(function, (x,), (torch.ones_like(x),))[1]


def func_grad(function: Callable[..., Any], x: Any) -> Any:
    """The gradient by a transform of torch.func."""
    return torch.func.grad(function)(x)


def hessian(function: Callable[..., Any], x: Any) -> Any:
    """All second derivatives, backward through backward."""
    return torch.autograd.functional.hessian(function, x)


def two_backwards(function: Callable[..., Any], x: Any) -> Any:
    """What one graph gives the second time."""
    leaf = x.detach().clone().requires_grad_()
    value = function(leaf)
    return [torch.autograd.grad(value, leaf, retain_graph=True)[0] for _ in range(2)][1]


def names(*, ours: bool) -> dict[str, Any]:
    """The functions of PyTorch or of its drop-ins, and what they are called with."""
    of_torch = ("float16", "bfloat16", "float64", "int32", "arange", "ones", "tensor", "zeros")
    return {
        **{name: getattr(torch, name) for name in of_torch},
        **(OURS if ours else NATIVE),
        "LinearCrossEntropyOptions": torch.nn.LinearCrossEntropyOptions,
        "func_grad": func_grad,
        "grad": grad,
        "hessian": hessian,
        "inf": math.inf,
        "jvp": jvp,
        "nan": math.nan,
        "two_backwards": two_backwards,
    }
