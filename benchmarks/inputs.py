"""The numbers of a cell as NumPy arrays: the same for every backend and every run."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import DENSE, Cell, Dims

#: Standard deviation of the logits of an untrained model.
WIDTH = 3.0
#: How far ahead of every other class a confident row has its true one.
MARGIN = 10.0


class Inputs(NamedTuple):
    """What the gradients are by, and targets: labels of int64, or probabilities of that dtype."""

    leaves: tuple[NDArray[Any], ...]
    targets: NDArray[Any]


def make(cell: Cell) -> Inputs:
    """The inputs of a cell."""
    leaves, labels = _given(cell)
    dtype = np.dtype(ml_dtypes.bfloat16 if cell.dtype == "bfloat16" else cell.dtype)
    soft = cell.targets == "soft"
    targets = _probabilities(cell.logits, cell.axis).astype(dtype) if soft else labels
    return Inputs(tuple(leaf.astype(dtype) for leaf in leaves), targets)


def _given(cell: Cell) -> tuple[tuple[NDArray[np.float32], ...], NDArray[np.int64]]:
    if cell.loss == DENSE:
        logits, labels = _rows(cell.shape, cell.axis, cell.rows)
        return (logits,), labels
    return _head(cell.shape)


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
def _head(shape: Dims) -> tuple[tuple[NDArray[np.float32], ...], NDArray[np.int64]]:
    """Hidden and weight in float32, whose logits are as wide as those of `_rows`; and labels."""
    rows, features, classes = shape
    random = _generator(shape, "head")
    hidden = random.standard_normal((rows, features), dtype=np.float32)
    weight = random.standard_normal((classes, features), dtype=np.float32)
    weight *= np.float32(WIDTH / features**0.5)
    return (hidden, weight), random.integers(classes, size=rows)


@lru_cache(maxsize=1)
def _probabilities(shape: Dims, axis: int) -> NDArray[np.float32]:
    """Rows of positive numbers that sum to one."""
    shares = _generator(shape, "soft").random(shape, dtype=np.float32)
    shares /= shares.sum(axis=axis, keepdims=True)
    return shares
