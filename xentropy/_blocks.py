"""Blocks of whole rows: how an array is cut into them, and what belongs to a block."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache

from xentropy._typing import Array

# One slice for every axis of the logits; that of the class axis is whole.
Block = tuple[slice, ...]

_WHOLE = slice(None)
# The cuts of an array are kept for the next one that looks the same, where they are so few.
_KEPT = 1 << 10


def blocks(shape: tuple[int, ...], axis: int, size: int, threads: int = 1) -> tuple[Block, ...]:
    """Blocks of about ``size`` entries, together all of an array, in the order of memory.

    As many for every thread, so that none is left with the last of them; less than a quarter of a
    block is not worth a second thread.
    """
    total = math.prod(shape)
    if 4 * total > size:
        count = -(-total // (size * threads)) * threads
        size = -(-total // count)
    size = max(size, 1)
    make = _cuts if total <= _KEPT * size else _cuts.__wrapped__
    return make(tuple(shape), axis, size)


@lru_cache(maxsize=64)
def _cuts(shape: tuple[int, ...], axis: int, size: int) -> tuple[Block, ...]:
    return tuple(_cut(shape, axis, size, 0))


def _cut(shape: tuple[int, ...], axis: int, size: int, at: int) -> Iterator[Block]:
    """Cut along the first axis of rows that is long enough; one that is not, entry by entry.

    So is one that would be cut into ones and twos, as a block should not be twice another.
    """
    while at < len(shape) and (at == axis or shape[at] == 1):
        at += 1
    total = math.prod(shape)
    if at == len(shape) or total <= size:
        yield (_WHOLE,) * len(shape)
        return
    one = total // shape[at]
    count = -(-total // size)
    count = count if 2 * count <= shape[at] else shape[at]
    for start, stop in _even(shape[at], count):
        here = slice(start, stop)
        if one <= size or stop - start > 1:
            yield tuple(here if i == at else _WHOLE for i in range(len(shape)))
            continue
        inner = tuple(1 if i == at else n for i, n in enumerate(shape))
        for block in _cut(inner, axis, size, at + 1):
            yield tuple(here if i == at else cut for i, cut in enumerate(block))


def _even(length: int, count: int) -> Iterator[tuple[int, int]]:
    """Bounds of parts that differ by one entry at most."""
    for i in range(count):
        yield length * i // count, length * (i + 1) // count


class Buffers:
    """Buffers of a thread, in the shape of a block; blocks differ by a row at most.

    ``make`` gives one of a shape. What is not written to takes no memory.
    """

    def __init__(self, make: Callable[[tuple[int, ...]], Array], count: int) -> None:
        self._make, self._count = make, count
        self._flat: Array | None = None
        self._found: list[Array] = []

    def new(self, shape: tuple[int, ...]) -> list[Array]:
        """Buffers for one block."""
        return [self._make(shape) for _ in range(self._count)]

    def of(self, shape: tuple[int, ...]) -> list[Array]:
        """The buffers; those of the last block where it had this shape."""
        if not self._found or self._found[0].shape != shape:
            flat, size = self._flat, math.prod(shape)
            if flat is None or flat.shape[0] < self._count * size:
                flat = self._flat = self._make((self._count * size,))
            self._found = list(flat[: self._count * size].reshape((self._count, *shape)))
        return self._found


def wide(x: Array | None, block: Block) -> Array | None:
    """The part of an array of all dimensions, of which lengths of 1 spread over every block."""
    if x is None:
        return None
    return x[tuple(_WHOLE if n == 1 else cut for n, cut in zip(x.shape, block, strict=True))]
