"""How xentropy talks to Dask: rules become tasks, one for every chunk; nothing is computed."""

from __future__ import annotations

import math

import array_api_compat.dask.array as xp
import dask.array as da
import numpy as np

from xentropy import _chunks
from xentropy._backend import Generic, Rule
from xentropy._rows import RowLoss
from xentropy._typing import Array
from xentropy_dask._graph import Graph

Leaves = tuple[Array | None, ...]


class DaskBackend(Generic):
    """Dask arrays: values are never looked at, results are as lazy as what comes in."""

    def takes(self, x: Array) -> bool:
        """A NumPy array beside an array in chunks is in memory, and becomes one."""
        return isinstance(x, np.ndarray)

    def adopt(self, x: Array) -> Array:
        """An array in chunks."""
        return da.from_array(x) if isinstance(x, np.ndarray) else x

    def make(self, value: object, like: Array, *, floating: bool) -> Array:
        """Python numbers and lists as an array."""
        return da.asarray(value, dtype=self.compute_dtype(like) if floating else None)

    def shape(self, x: Array) -> tuple[int | None, ...]:
        """The shape, with None where the lengths of chunks are unknown."""
        return tuple(None if math.isnan(length) else length for length in x.shape)

    def apply(self, rule: Rule, leaves: Leaves) -> tuple[Array, ...]:
        """The values: chunk by chunk, where the rule has a form for that."""
        self._check(rule, leaves)
        if not _chunks.suits(rule, leaves):
            return super().apply(rule, leaves)
        return Graph(self, rule, leaves).values()

    def value_and_grad(
        self, rule: Rule, leaves: Leaves, wanted: tuple[bool, ...], of: int = 0
    ) -> tuple[tuple[Array, ...], Leaves]:
        """The values and gradients; chunk by chunk, if that by the logits of a loss is wanted."""
        self._check(rule, leaves)
        alone = wanted[0] and not any(wanted[1:])
        if not (isinstance(rule, RowLoss) and alone and _chunks.suits(rule, leaves)):
            return super().value_and_grad(rule, leaves, wanted, of)
        value, gradient = Graph(self, rule, leaves).value_and_gradient()
        return (value,), (gradient, *(None for _ in wanted[1:]))

    def _check(self, rule: Rule, leaves: Leaves) -> None:
        """A rule has to know the lengths of all its arrays."""
        for name, leaf in zip(rule.names, leaves, strict=True):
            if leaf is not None and None in self.shape(leaf):
                raise ValueError(
                    f"{name} must have chunks of known lengths, got shape {leaf.shape}: call its "
                    "compute_chunk_sizes() first"
                )


backend = DaskBackend("dask", xp, xp.int64)
