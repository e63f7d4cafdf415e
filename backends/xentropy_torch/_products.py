"""Large float32 products by oneDNN, where PyTorch's own take longer.

Those are MKL's, which on AMD's processors takes twice as long. PyTorch has oneDNN's too, for what
its compiler makes of a linear layer; a product comes in memory of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch

from xentropy import _linear_plans, _plans
from xentropy._known import Plan
from xentropy._linear import Head
from xentropy._typing import Array
from xentropy_torch import _mutable
from xentropy_torch import _namespace as xp

# What goes to a place is made in parts of so many entries, of as many that are copied.
_PART = 1 << 19
# Of float32 a tile is at most 50 MB, as oneDNN takes some memory too.
TILE = 12 << 20


def plan(rule: Any, leaves: tuple[Array | None, ...]) -> Plan:
    """PyTorch's plan in blocks, with products by oneDNN where they are large and quicker.

    Operations have threads of their own.
    """
    threads = torch.get_num_threads()
    if (
        _linear_plans.large(rule, leaves, torch.float32)
        and _quicker()
        and _dense(Head(*leaves).weight)
    ):
        return _plans.plan(xp, _OTHERS, threads=threads)._replace(tile=TILE)
    return _plans.plan(xp, _mutable, threads=threads)


def _quicker() -> bool:
    """Whether oneDNN is there, allowed, and has vectors that MKL does not use."""
    there = torch.backends.mkldnn.is_available() and _linear is not None
    return bool(_mutable.slow() and there and torch._C._get_mkldnn_enabled())


def _dense(x: Array) -> bool:
    """Whether a matrix has nothing between its rows or its columns.

    Of a second factor that has, oneDNN takes a way of its own that is 500 times as slow.
    """
    return bool(x.is_contiguous() or x.T.is_contiguous())


# It has no public name; without it results stay the same.
_linear = getattr(torch.ops.mkldnn, "_linear_pointwise", None)


def _product(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """A matrix product, part by part where it has a place."""
    if out is None:
        return _multiplied(a, b.T)
    for into, made in _parts(a, b.T, out):
        into.copy_(made)
    return out


def _add_product(a: Array, b: Array, *, out: Array) -> None:
    """The same, added to what is there."""
    for into, made in _parts(a, b.T, out):
        into.add_(made)


def _parts(a: Array, b: Array, out: Array) -> Iterator[tuple[Array, Array]]:
    """Parts of the longer side of a place, and what of a @ b.T is to be there."""
    rows, columns = out.shape
    size = max(1, _PART // max(min(rows, columns), a.shape[1]))
    if rows < columns:
        for into, some in zip(out.split(size, 1), b.split(size), strict=True):
            yield into, _multiplied(a, some)
        return
    b = b.contiguous()
    for into, some in zip(out.split(size), a.split(size), strict=True):
        yield into, _multiplied(some, b)


def _multiplied(a: Array, b: Array) -> Array:
    """a @ b.T."""
    b = b if _dense(b) else b.contiguous()
    return _linear(a, b, None, "none", [], "")  # type: ignore[misc]  # see `_quicker`


# Gradients are in small pages. What huge ones spare is a hundredth of what the products take, and
# a virtual machine whose host has taken them back pays for more than that.
_OTHERS = SimpleNamespace(
    **{
        **vars(_mutable),
        "APART": True,
        "PLACED": True,
        "result": torch.empty_like,
        "product": _product,
        "add_product": _add_product,
    }
)
