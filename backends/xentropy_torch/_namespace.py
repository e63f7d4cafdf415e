"""array-api-compat's names for PyTorch, but for those that PyTorch's compiler makes slow.

It takes indices modulo a length, and asks of one number at a time whether it is infinite.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import array_api_compat.torch as _compat
import torch

if TYPE_CHECKING:
    from xentropy._typing import Array


def take_along_axis(x: Array, indices: Array, /, *, axis: int = -1) -> Array:
    """The entries at indices, of which none is negative here."""
    return torch.gather(x, axis, indices)


def isinf(x: Array, /) -> Array:
    """Whether numbers are infinite, by a comparison."""
    return torch.abs(x) == math.inf


def __getattr__(name: str) -> Any:
    """Any other name, which is one of this module from then on: calls of few logits ask often."""
    found = globals()[name] = getattr(_compat, name)
    return found
