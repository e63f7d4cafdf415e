"""Index arithmetic on shapes: where the rows of an axis lie in row-major order, and how a shape
spreads over another.
"""

from __future__ import annotations

import itertools
import math

Shape = tuple[int, ...]


def strides(shape: Shape) -> Shape:
    """Row-major strides in entries."""
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def rows(shape: Shape, axes: Shape) -> list[list[int]]:
    """Flat indices of every row along `axes`, the rows in row-major order of the remaining
    dimensions.
    """
    axes = tuple(a % len(shape) for a in axes)
    rest = [a for a in range(len(shape)) if a not in axes]
    inner = _offsets(shape, sorted(axes))
    return [[start + step for step in inner] for start in _offsets(shape, rest)]


def _offsets(shape: Shape, axes: list[int]) -> list[int]:
    step = strides(shape)
    places = itertools.product(*(range(shape[a]) for a in axes))
    return [sum(i * step[a] for i, a in zip(place, axes, strict=True)) for place in places]


def drop(shape: Shape, axes: Shape, keepdims: bool = False) -> Shape:
    """`shape` without `axes`, or with ones in their place."""
    gone = {a % len(shape) for a in axes}
    if keepdims:
        return tuple(1 if a in gone else n for a, n in enumerate(shape))
    return tuple(n for a, n in enumerate(shape) if a not in gone)


def spread(shape: Shape, onto: Shape) -> list[int]:
    """For every entry of `onto` the flat index of the entry of `shape` that is broadcast there."""
    padded = (1,) * (len(onto) - len(shape)) + shape
    step = [0 if n == 1 else s for n, s in zip(padded, strides(padded), strict=True)]
    places = itertools.product(*map(range, onto))
    return [sum(i * s for i, s in zip(place, step, strict=True)) for place in places]
