"""A PyTorch function and its drop-in on the same arguments: values, gradients, dtypes, errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn import functional

import xentropy_torch

NAMES = (
    "softmax",
    "log_softmax",
    "logsumexp",
    "cross_entropy",
    "nll_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "kl_div",
    "linear_cross_entropy",
)
NATIVE: Mapping[str, Callable[..., Any]] = {
    name: getattr(functional, name, None) or getattr(torch, name) for name in NAMES
}
OURS: Mapping[str, Callable[..., Any]] = {name: getattr(xentropy_torch, name) for name in NAMES}

#: How far a result of a dtype may be from the one in float64, relative to its size.
TOLERANCE = {
    torch.float64: 1e-12,
    torch.float32: 1e-5,
    torch.bfloat16: 2**-7,
    torch.float16: 2**-10,
}


class Answer(NamedTuple):
    """A value, and the gradients by all arguments that require one."""

    value: Any
    gradients: Sequence[Any]


def evaluate(
    function: Callable[..., Any],
    args: Sequence[Any],
    options: Mapping[str, Any],
    *,
    wide: bool = False,
) -> Answer:
    """The value of a function and its gradients along one cotangent; ``wide``: in float64.

    PyTorch's options of a linear head name a dtype to add up in: they are left out of the latter.
    """
    leaves: list[Any] = []

    def fresh(x: Any) -> Any:
        if wide and isinstance(x, torch.nn.LinearCrossEntropyOptions):
            return None
        if not isinstance(x, torch.Tensor):
            return torch.float64 if wide and isinstance(x, torch.dtype) else x
        y = x.detach().clone()
        y = y.to(torch.float64) if wide and x.is_floating_point() else y
        if x.requires_grad:
            leaves.append(y.requires_grad_())
        return y

    own = [fresh(x) for x in args]
    named = {name: fresh(x) for name, x in options.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = function(*own, **named)
    if not leaves:
        return Answer(value, [])
    # Exact in every dtype, and constant along no axis.
    along = (torch.arange(value.numel()) * 7 % 11 / 8 + 0.25).reshape(value.shape).to(value.dtype)
    return Answer(value.detach(), torch.autograd.grad(value, leaves, along))


def assert_alike(
    native: Callable[..., Any],
    ours: Callable[..., Any],
    args: Sequence[Any],
    options: Mapping[str, Any],
) -> None:
    """Our value and gradients are the native ones of float64, in the native dtypes and shapes."""
    found, theirs = evaluate(ours, args, options), evaluate(native, args, options)
    exact = evaluate(native, args, options, wide=True)
    assert len(found.gradients) == len(theirs.gradients)
    sizes = (size_of(native, args, options, exact.value), *(0.0 for _ in exact.gradients))
    for mine, same, want, size in zip(
        (found.value, *found.gradients),
        (theirs.value, *theirs.gradients),
        (exact.value, *exact.gradients),
        sizes,
        strict=True,
    ):
        assert mine.dtype == same.dtype
        assert mine.shape == same.shape
        assert_near(mine, want, tolerance_of(args, mine.dtype), size)


def tolerance_of(args: Sequence[Any], dtype: Any) -> float:
    """That of the narrowest dtype that takes part."""
    dtypes = [x.dtype for x in args if isinstance(x, torch.Tensor) and x.is_floating_point()]
    return max(TOLERANCE[one] for one in (*dtypes, dtype))


def size_of(
    native: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any], value: Any
) -> float:
    """The size of a reduced loss if its terms had one sign; weights may make them cancel."""
    if native in (NATIVE["softmax"], NATIVE["log_softmax"], NATIVE["logsumexp"]) or value.ndim:
        return 0.0
    rows = evaluate(native, args, {**options, "reduction": "none"}, wide=True).value
    size: float = (rows.abs().sum() / rows.sum().abs() * value.abs()).nan_to_num(0.0, 0.0).item()
    return size


def assert_near(found: Any, want: Any, tolerance: float, size: float = 0.0) -> None:
    """Near relative to the largest entry, or to ``size`` where that is larger."""
    scale = want.abs().nan_to_num(posinf=0.0).max().item() if want.numel() else 0.0
    scale = max(scale, size)
    torch.testing.assert_close(
        found.double(), want, rtol=tolerance, atol=tolerance * scale, equal_nan=True
    )


def error_of(function: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """The error that a call raises, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            function(*args, **options)
        except Exception as error:  # noqa: BLE001 - whatever it is
            return error
    return None
