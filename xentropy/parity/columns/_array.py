"""Entries of a case as a NumPy array: every framework takes one in."""

from __future__ import annotations

from typing import Any

import numpy as np

from xentropy.parity._case import Array


def dtype_of(name: str) -> Any:
    """A NumPy dtype; bfloat16 is ml_dtypes' own."""
    if name != "bfloat16":
        return np.dtype(name)
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16)


def numpy_array(held: Array) -> Any:
    """The entries in their dtype and shape."""
    wide = np.asarray(held.values, dtype=_wide(held.dtype))
    return wide.astype(dtype_of(held.dtype)).reshape(held.shape)


def _wide(dtype: str) -> Any:
    return dtype_of(dtype) if dtype.startswith(("int", "uint")) else np.dtype("float64")


def entries(values: Any) -> list[float]:
    """Entries in row-major order as Python floats, which hold every dtype's numbers exactly."""
    listed: list[float] = np.asarray(values).astype(np.float64).ravel().tolist()
    return listed
