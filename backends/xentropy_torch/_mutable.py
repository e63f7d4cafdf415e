"""PyTorch's operations in place, by the names of `xentropy._inplace.Ops`."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import torch

from xentropy._typing import Array, DType

subtract = torch.subtract
multiply = torch.multiply
exp = torch.exp
expm1 = torch.expm1
log = torch.log
log1p = torch.log1p
reciprocal = torch.reciprocal
where = torch.where
fraction = torch.frac
moveaxis = torch.moveaxis
squeeze = torch.squeeze
unsqueeze = torch.unsqueeze
zeros = torch.zeros_like
round = torch.round  # noqa: A001
# A Python number would become a tensor anew in every operation.
ONE = torch.tensor(1.0)
# A pass over a block takes less time than the calls that take rows out of it.
FEW = 0.0
SCALAR_LOG1P = False
# A product is written to its place.
APART = PLACED = False
# Nothing is recorded where a plan is followed: see `_backend.plan`, and what calls it.
quiet: type[AbstractContextManager[Any]] = nullcontext

# From here on NumPy asks the system for huge pages, and so spares most page faults.
_HUGE = 1 << 22
_WIDE = torch.float32.itemsize


def less(x: Array, a: Any, b: Any, *, spare: Array | None) -> Array:  # noqa: ARG001
    """x - a * b, in one pass."""
    if isinstance(a, float):
        return x.sub_(b * a)
    return x.sub_(a, alpha=b) if isinstance(b, float) else x.addcmul_(a, b, value=-1)


def at_least(x: Array, least: float, *, out: Array) -> Array:
    """max(x, least)."""
    return torch.clamp(x, min=least, out=out)


def no_nan(x: Array) -> Array:
    """0 where it is NaN, where it lies."""
    return torch.nan_to_num(x, nan=0.0, posinf=math.inf, neginf=-math.inf, out=x)


def exp_below(x: Array, peak: Array, *, out: Array) -> Array | None:
    """exp(x) of numbers not above 0 as the derivative of ELU, where MKL's exp is slow, else None.

    That takes some NaN for numbers above 0: there are none below peaks that are finite.
    """
    worth = x.dtype == torch.float32 and x.numel() >= _MANY and slow()
    if not (worth and finite(peak)):
        return None
    return _of_elu(ONE, 1.0, 1.0, 1.0, False, x, grad_input=out)


# PyTorch's own exp, which takes two thirds of the time of MKL's there, is found within others.
_of_elu = torch.ops.aten.elu_backward.grad_input
# In fewer numbers an operation costs more by this name than it spares.
_MANY = 1 << 16


def shares(x: Array, axis: int, *, out: Array) -> Array | None:
    """A softmax of long rows where exp is slow, else None."""
    last = axis in (-1, x.ndim - 1) and x.shape[-1] >= _LONG
    if not (last and x.dtype == torch.float32 and slow()):
        return None
    return torch.softmax(x, -1, out=out)


# A softmax of shorter rows takes longer than exp.
_LONG = 128
# Of longer ones a log-softmax loses too much: of those along the last axis, and of the others.
_LAST, _OTHER = 1024, 64


def softmax(x: Array, axis: int) -> Array | None:
    """PyTorch's own, of rows so short that its sums lose little; None if it is NaN somewhere."""
    last = axis in (-1, x.ndim - 1)
    if x.shape[axis] > (_LAST if last else _OTHER):
        return None
    made = torch.softmax(x, axis, out=result(x))
    return made if finite(made) else None


def log_softmax(
    shape: tuple[int, ...], axis: int, dtype: DType, *, labels: bool
) -> tuple[Callable[..., Array], int] | None:
    """PyTorch's own where rows are short enough, and exp, with all it takes, is slower along them.

    Along the last axis as many sums as a vector has numbers are made at a time, else one number
    after the other is added. It may be written over its argument.
    """
    if dtype != torch.float32:
        return None
    count = shape[axis]
    if axis < len(shape) - 1:
        return (torch.log_softmax, count) if 1 < count <= _OTHER else None
    if not (_LONG <= count <= _LAST and (slow() or not labels)):
        return None
    return torch.log_softmax, -(-count // (16 if _wide() else 8))


@cache
def slow() -> bool:
    """Whether MKL is there and slow: it uses AVX-512 on Intel's processors alone.

    A softmax is PyTorch's own. With shorter vectors MKL's exp takes 0.6 of the time of that one.
    """
    return bool(torch.backends.mkl.is_available() and _wide() and "AuthenticAMD" in _processor())


def _wide() -> bool:
    """Whether PyTorch's own loops use AVX-512."""
    return bool(torch.backends.cpu.get_cpu_capability() == "AVX512")


def _processor() -> str:
    """What the system says of the processor, its vendor included."""
    try:
        return Path("/proc/cpuinfo").read_text("utf-8")[:200]
    except OSError:
        return platform.processor()


def max(x: Array, axis: int) -> Array:  # noqa: A001
    """The maxima along an axis."""
    return torch.amax(x, axis, keepdim=True)


def sum(x: Array, axis: int, *, out: Array | None = None) -> Array:  # noqa: A001
    """The sums along an axis."""
    return torch.sum(x, axis, keepdim=True, out=out)


def smallest(x: Array) -> float:
    """The smallest entry."""
    return float(x.amin())


def extremes(x: Array) -> tuple[float, float]:
    """The smallest and the largest entry."""
    low, high = torch.aminmax(x)
    return float(low), float(high)


def count(flags: Array) -> int:
    """How many flags are set."""
    return int(flags.sum())


def finite(x: Array) -> bool:
    """Whether no entry is infinite or NaN: then their sum is none either."""
    return math.isfinite(x.sum())


def place(shape: tuple[int, ...], labels: Array, axis: int) -> Array:  # noqa: ARG001
    """The labels themselves."""
    return labels


def pick(x: Array, place: Array, axis: int, *, out: Array | None = None) -> Array:
    """The entries at a place."""
    return torch.gather(x, axis, place, out=out)


def put(x: Array, place: Array, value: Array | float, axis: int) -> None:
    """Write those entries; narrow dtypes by an index for every axis, scatter_ would copy all x."""
    if isinstance(value, float):  # scatter_ takes twice as long with a number
        value = _scalar(value, x.dtype).expand(place.shape)
    if x.itemsize >= _WIDE:
        x.scatter_(axis, place, value)
        return
    last = x.ndim - 1
    places = [torch.arange(n).view(-1, *(1,) * (last - i)) for i, n in enumerate(x.shape)]
    places[axis] = place
    x[tuple(places)] = value


def divide(a: Array | float, x: Array) -> Array:
    """A quotient."""
    return torch.div(_scalar(a, x.dtype) if isinstance(a, float) else a, x)


# As a rule it is that of the call before, one over the same number of rows.
@lru_cache(maxsize=16)
def _scalar(value: float, dtype: DType) -> Array:
    """A Python number, which would become a tensor anew in every operation."""
    return torch.scalar_tensor(value, dtype=dtype, device="cpu")


def number(value: float, like: Array) -> Array:
    """A number, over another one."""
    return like.fill_(value)


def copy(x: Array, *, out: Array) -> Array:
    """Write, casting."""
    return out.copy_(x)


def product(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """A matrix product."""
    return torch.matmul(a, b, out=out)


def add_product(a: Array, b: Array, *, out: Array) -> None:
    """The same, added to what is there."""
    out.addmm_(a, b)


def places(flags: Array) -> Array:
    """Where flags are set."""
    return torch.nonzero(flags)[:, 0]


def spread(shape: tuple[int, ...], dtype: DType, like: Array) -> Array:
    """One number that has any shape."""
    return like.new_zeros((), dtype=dtype).expand(shape)


def clear(shape: tuple[int, ...], dtype: DType, like: Array) -> Array:
    """Zeros."""
    return like.new_zeros(shape, dtype=dtype)


def buffer(shape: tuple[int, ...], dtype: DType, like: Array) -> Array:
    """A tensor of no particular values."""
    return torch.empty(shape, dtype=dtype, device=like.device)


def result(like: Array) -> Array:
    """A tensor for a gradient: a large one in memory that NumPy has asked for, where it is there.

    Of the time for a gradient of 131 MB, four fifths would go to page faults.
    """
    large = like.nbytes >= _HUGE and like.is_contiguous()
    flat = _huge(like.nbytes) if large else None
    return torch.empty_like(like) if flat is None else flat.view(like.dtype).view(like.shape)


def _huge(size: int) -> Array | None:
    """So many bytes, or None where there is no NumPy."""
    try:
        import numpy as np
    except ImportError:
        return None
    return torch.from_numpy(np.empty(size, np.uint8))


def index(labels: Array) -> Array:
    """Labels in the dtype that PyTorch gathers with."""
    return labels if labels.dtype == torch.int64 else labels.to(torch.int64)
