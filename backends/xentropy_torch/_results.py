"""The dtypes and the reductions of PyTorch's results."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import _reduction

from xentropy._call import Call
from xentropy._typing import Normalizer, Reduction


def dtype_of(*arrays: torch.Tensor | None) -> torch.dtype:
    """What PyTorch makes of these dtypes together: the widest, and at least float32 in autocast."""
    dtypes = [x.dtype for x in arrays if x is not None]
    found = dtypes[0]
    for dtype in dtypes[1:]:
        found = torch.promote_types(found, dtype)
    narrow = found.is_floating_point and found != torch.float64
    return torch.float32 if narrow and autocasts(arrays[0]) else found


def autocasts(x: torch.Tensor | None) -> bool:
    """Whether autocast is on for the device of a tensor."""
    if x is None or not torch.amp.is_autocast_available(x.device.type):
        return False
    return torch.is_autocast_enabled(x.device.type)


def widened(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A tensor in the dtype of a result that has more digits than it."""
    return x.to(dtype) if dtype == torch.float64 and x.is_floating_point() else x


def reduction_of(size_average: bool | None, reduce: bool | None, reduction: str) -> Reduction:
    """The reduction that is meant; PyTorch itself warns of the deprecated ways to say it."""
    if size_average is not None or reduce is not None:
        warn = not torch.compiler.is_compiling()
        reduction = _reduction.legacy_get_string(size_average, reduce, emit_warning=warn)
    by_number: tuple[Reduction, ...] = ("none", "mean", "sum")
    return by_number[_reduction.get_enum(reduction)]


def over_all(how: Reduction) -> Normalizer:
    """A mean over all rows or elements; elsewhere the option stays at its default."""
    return "batch" if how == "mean" else "weights"


def value_of(call: Call[torch.Tensor], dtype: torch.dtype, **fields: Any) -> torch.Tensor:
    """What a call gives in PyTorch's dtype, where a mean over nothing is NaN."""
    return call.changed(empty=math.nan, **fields).value().to(dtype)
