"""The numbers of a cell as NumPy arrays: the same for every backend and every run."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import Cell, Dims

#: Standard deviation of the logits of an untrained model.
WIDTH = 3.0
#: How far ahead of every other class a confident row has its true one.
MARGIN = 10.0


class Inputs(NamedTuple):
    """Logits and targets: labels of int64, or probabilities of the logits' dtype."""

    logits: NDArray[Any]
    targets: NDArray[Any]


def make(cell: Cell) -> Inputs:
    """The inputs of a cell."""
    axis = cell.axis
    logits, labels = _rows(cell.shape, axis, cell.rows)
    dtype = np.dtype(ml_dtypes.bfloat16 if cell.dtype == "bfloat16" else cell.dtype)
    soft = cell.targets == "soft"
    targets = _probabilities(cell.shape, axis).astype(dtype) if soft else labels
    return Inputs(logits.astype(dtype), targets)


def _generator(*seed: Any) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(seed).encode()))


@lru_cache(maxsize=1)
def _rows(shape: Dims, axis: int, rows: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits in float32, and labels."""
    random = _generator(shape, rows)
    logits = random.standard_normal(shape, dtype=np.float32)
    logits *= WIDTH
    labels = random.integers(shape[axis], size=np.delete(shape, axis))
    if rows == "confident":
        ahead = logits.max(axis=axis, keepdims=True) + np.float32(MARGIN)
        np.put_along_axis(logits, np.expand_dims(labels, axis), ahead, axis)
    return logits, labels


@lru_cache(maxsize=1)
def _probabilities(shape: Dims, axis: int) -> NDArray[np.float32]:
    """Rows of positive numbers that sum to one."""
    shares = _generator(shape, "soft").random(shape, dtype=np.float32)
    shares /= shares.sum(axis=axis, keepdims=True)
    return shares
