"""The arrays of a call: chunks of logits are observed, what they leave is merged, rows are told.

All are made block by block, and their graphs by Dask: a layer each, however many chunks there are.
The blocks of those in between are no arrays but what the core's functions leave.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import dask.array as da
import numpy as np
from dask.array.utils import meta_from_array

from xentropy import _chunks, _reduction
from xentropy._backend import Backend
from xentropy._maps import Softmax
from xentropy._reduction import Reducer
from xentropy._rows import Leaves, RowLoss
from xentropy._typing import Array
from xentropy_dask import _tasks

Axes = tuple[int, ...]
# An array, or None, and the axes of the logits that its own go along.
Along = tuple[Array | None, Axes | None]
ABSENT: Along = (None, None)

# How many parts of rows a task merges: they stay few numbers, and tasks few.
MERGED = 8


class Graph:
    """A rule on arrays in chunks."""

    def __init__(self, backend: Backend, rule: Any, leaves: tuple[Array | None, ...]) -> None:
        self.backend, self.rule, self.normalizer = backend, rule, None
        if isinstance(rule, RowLoss):
            self.normalizer = Leaves(*leaves).normalizer
        given = _chunks.leaves_of(rule, leaves)
        self.x = given.logits
        self.axes: Axes = _chunks.axes_of(rule)
        self.every: Axes = tuple(range(self.x.ndim))
        self.rows: Axes = tuple(a for a in self.every if a not in self.axes)
        self.by = _chunks.observer(rule, backend.index_dtype, len(self.rows))
        self.leaves = Leaves(*(self._aligned(*pair) for pair in given._asdict().items()))
        self.dtypes = _chunks.dtypes(rule, backend.index_dtype, np.bool_)
        self.at: Along = (self._places(), self.axes[:1])

    # The leaves.

    def _aligned(self, name: str, leaf: Array | None) -> Along:
        """A leaf in chunks like those of the logits; one of length 1 is beside all."""
        if leaf is None:
            return ABSENT
        axes = self._axes(name, leaf.ndim)
        pairs = zip(leaf.shape, (self.x.chunks[a] for a in axes), strict=True)
        chunks = tuple((1,) if n == 1 != sum(own) else own for n, own in pairs)
        return (leaf if leaf.chunks == chunks else leaf.rechunk(chunks)), axes

    def _axes(self, name: str, ndim: int) -> Axes:
        if name in ("class_weights", "where") and ndim == 1:
            return self.axes
        return self.every if ndim == self.x.ndim else self.rows

    def _places(self) -> Array:
        """Where every chunk of classes begins and ends, and the classes in all: a block each."""
        lengths = self.x.chunks[self.axes[0]]
        ends = np.cumsum((0, *lengths))
        rows = [(start, stop, ends[-1]) for start, stop in pairwise(ends)]
        return da.from_array(np.asarray(rows).reshape(-1), chunks=3)

    # The layers.

    def _blocks(
        self, task: Callable[..., Any], axes: Axes, *arrays: Along, dtype: Any, **options: Any
    ) -> Array:
        """A task for every block, with the blocks of other arrays that lie beside it."""
        return da.blockwise(
            task,
            axes,
            *(item for pair in arrays for item in pair),
            token=f"xentropy-{task.__name__}",
            dtype=dtype,
            meta=meta_from_array(self.x, len(axes), dtype),
            align_arrays=False,
            concatenate=False,
            **options,
        )

    def _told(self, visit: Callable[..., Any], leaves: Leaves) -> Along:
        """What the rows tell: every chunk is visited, what is left is merged in a tree."""
        dtype = self.dtypes[0]
        parts = self._blocks(
            visit, self.every, self.at, *leaves, dtype=dtype, rule=self.rule, by=self.by
        )
        merge = partial(_tasks.merge, by=self.by)
        merged = da.reduction(
            parts,
            _tasks.one,
            merge,
            combine=merge,
            axis=self.axes,
            split_every=MERGED,
            concatenate=False,
            name="xentropy-merge",
            dtype=dtype,
            meta=meta_from_array(self.x, len(self.rows), dtype),
        )
        # Labels and sample weights; what is cut by classes, their parts have told.
        beside = [one if one[1] == self.rows else ABSENT for one in leaves[1:4]]
        told = self._blocks(
            _tasks.tell, self.rows, (merged, self.rows), *beside, dtype=dtype, rule=self.rule
        )
        return told, self.rows

    def _values_of(self, told: Along) -> tuple[Array, ...]:
        """What the rows tell, as arrays."""
        return tuple(
            self._blocks(_tasks.nth, self.rows, told, dtype=dtype, n=n)
            for n, dtype in enumerate(self.dtypes)
        )

    # The results.

    def values(self) -> tuple[Array, ...]:
        """The values of the rule."""
        told = self._told(_tasks.observe, self.leaves)
        if isinstance(self.rule, Softmax):
            return (self._like_x(_tasks.softmax, told, *self.leaves),)
        rows = self._values_of(told)
        if isinstance(self.rule, RowLoss):
            return (_reduction.reduce(self.backend.xp, rows[0], self._reducer(rows)),)
        if getattr(self.rule, "keepdims", False):
            # By an index: a reshape does not take every array with chunks of length 0.
            wide = tuple(slice(None) if a in self.rows else None for a in self.every)
            return tuple(value[wide] for value in rows)
        return rows

    def value_and_gradient(self) -> tuple[Array, Array]:
        """The loss, and its gradient by the logits.

        What a mean divides by is asked of the targets alone: were it asked of the visit, every
        chunk of the logits would wait for all of them.
        """
        told = self._told(_tasks.observe, self.leaves)
        how = self._reducer(self._counts())
        value = _reduction.reduce(self.backend.xp, self._values_of(told)[0], how)
        bar: Along = ABSENT
        if how.divisor is not None:
            ones = self.backend.xp.ones_like(how.divisor)
            bar = _reduction.spread(self.backend.xp, how, ones), ()
        return value, self._like_x(_tasks.pull, self.at, told, bar, *self.leaves)

    def _counts(self) -> tuple[Array, ...]:
        return self._values_of(self._told(_tasks.count, self.leaves._replace(logits=ABSENT)))

    def _like_x(self, task: Callable[..., Any], *arrays: Along) -> Array:
        """An array in the chunks of the logits, of their dtype."""
        chunks = dict(enumerate(self.x.chunks))
        return self._blocks(
            task, self.every, *arrays, dtype=self.x.dtype, rule=self.rule, adjust_chunks=chunks
        )

    def _reducer(self, rows: tuple[Array, ...]) -> Reducer:
        return _chunks.reducer(self.backend.xp, self.rule, self.normalizer, rows)
