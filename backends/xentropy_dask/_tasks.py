"""What the tasks run, on blocks of arrays and in their namespace: the core's own functions.

A block of the leaves is an array, or None where an option was not given; what a visit leaves of a
row of logits takes the place of a block too. They are functions of a module: workers import it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
from array_api_compat import array_namespace

from xentropy import _chunks
from xentropy._chunks import At, Told
from xentropy._partial import Part
from xentropy._rows import Leaves
from xentropy._typing import Array

T = TypeVar("T")
Some = Part | None


def _quietly(function: Callable[..., T], like: Array, *args: Any) -> T:
    """Infinities are part of the mathematics: NumPy is not to warn of them."""
    with np.errstate(all="ignore"):
        return function(array_namespace(like), *args)


def observe(at: Array, *leaves: Array | None, rule: Any, by: Any) -> Some:
    """What a chunk of logits leaves; None of one without a class."""
    here, given = At.of(at), Leaves(*leaves)
    if 0 in (given.logits.shape[axis] for axis in _chunks.axes_of(rule)):
        return None
    return _quietly(_chunks.observed, given.logits, rule, given, here, by)


def count(at: Array, *leaves: Array | None, by: Any, **_: Any) -> Some:
    """The same of the targets alone: nothing but masses."""
    here, given = At.of(at), Leaves(*leaves)
    return _quietly(_chunks.counted, given.targets, given, here, by) if here.held else None


def one(block: Some, **_: Any) -> Some:
    """A part, as the leaf of a tree of them."""
    return block


def merge(blocks: Any, *, by: Any, **_: Any) -> Some:
    """Several parts of the same rows as one; blocks come in lists of lists."""
    parts = list(_parts(blocks))
    return _quietly(_chunks.merged, parts[0].own.max, parts, by) if parts else None


def _parts(blocks: Any) -> Iterator[Part]:
    if isinstance(blocks, list):
        for block in blocks:
            yield from _parts(block)
    elif blocks is not None:
        yield blocks


def tell(part: Part, *leaves: Array | None, rule: Any) -> Told:
    """What rows tell of which all chunks have been seen."""
    return _quietly(_chunks.told, part.own.max, rule, Leaves(None, *leaves), part)


def nth(told: Told, *, n: int) -> Array:
    """One of the values of rows."""
    return told.values[n]


def softmax(told: Told, *leaves: Array | None, rule: Any) -> Array:
    """The softmax of a chunk."""
    given = Leaves(*leaves)
    if 0 in given.logits.shape:
        return given.logits
    return _quietly(_chunks.softmax, given.logits, rule, given, told.values)


def pull(at: Array, told: Told, bar: Array | None, *leaves: Array | None, rule: Any) -> Array:
    """The gradient by the logits of a chunk."""
    here, given = At.of(at), Leaves(*leaves)
    if not here.held:
        return given.logits
    return _quietly(_chunks.gradient, given.logits, rule, given, told.known, bar, here)
