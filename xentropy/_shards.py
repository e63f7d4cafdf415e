"""Arrays that hold some of the classes each: the namespace in which they are one array.

Where devices hold slices of the classes, every one of them evaluates the same rule. What a row
tells as a whole, its maximum, sums over its classes and the place of its largest entry, is asked
of all of them; everything else is local. So no rule knows of devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from xentropy import _stats
from xentropy._typing import Array, Namespace


class Group(Protocol):
    """What holds the slices of an array, every member one, in the order of the classes."""

    @property
    def size(self) -> int:
        """How many members there are."""
        ...

    def first(self, count: int) -> Any:
        """The number of the first class of this member, which holds ``count``."""
        ...

    def total(self, count: int) -> Any:
        """How many classes all members hold."""
        ...

    def widest(self, count: int) -> int:
        """The most classes that any member holds."""
        ...

    def max(self, x: Array) -> Array:
        """The largest entry among those of the members, which is a constant."""
        ...

    def least(self, x: Array) -> Array:
        """The smallest entry among those of the members, of integers."""
        ...

    def sum(self, x: Array) -> Array:
        """The sum over the members; differentiable, and the derivative is such a sum too."""
        ...

    def enter(self, x: Array) -> Array:
        """What all members have alike and use apart: its gradient is the sum of theirs."""
        ...

    def leave(self, x: Array) -> Array:
        """What all members have alike and give out: its gradient is that of one of them."""
        ...


class Shards:
    """A namespace in which rows go on on other devices: sums along the classes are of all.

    Its arrays hold the device's classes; or of a ``tile`` some of them, of which it says the first
    and how many the device holds.
    """

    def __init__(
        self, xp: Namespace, group: Group, axis: int, tile: tuple[int, int] | None = None
    ) -> None:
        self.xp = xp
        self.group = group
        self.axis = axis
        self.tile = tile

    def __getattr__(self, name: str) -> Any:
        """Everything else is that of the arrays."""
        return getattr(self.xp, name)

    def first_class(self, count: int) -> Any:
        """The number of the first class of ``count`` that an array holds."""
        if self.tile is None:
            return self.group.first(count)
        start, held = self.tile
        return self.group.first(held) + start

    def all_classes(self, count: int) -> Any:
        """The number of all classes."""
        return self.group.total(count if self.tile is None else self.tile[1])

    def widest(self, count: int) -> int:
        """The most classes that any device holds."""
        return self.group.widest(count)

    def sum(self, x: Array, *, axis: Any = None, keepdims: bool = False) -> Array:
        """Sums; those along the classes are of all classes."""
        own = self.xp.sum(x, axis=axis, keepdims=keepdims)
        return self.group.sum(own) if axis == self.axis else own

    def class_sums(self, *arrays: Array, axis: int) -> list[Array]:
        """Sums of several arrays along the classes, in one message."""
        own = [self.xp.sum(x, axis=axis, keepdims=True) for x in arrays]
        return packed(self.xp, own, self.group.sum)

    def max(self, x: Array, *, axis: Any = None, keepdims: bool = False) -> Array:
        """Largest entries; those along the classes are of all classes."""
        own = self.xp.max(x, axis=axis, keepdims=keepdims)
        return self.group.max(own) if axis == self.axis else own

    def argmax(self, x: Array, *, axis: int, keepdims: bool = False) -> Array:
        """Which of all classes has the largest entry of a row, the first one of equals."""
        place = self.xp.argmax(x, axis=axis, keepdims=True)
        value = self.xp.max(x, axis=axis, keepdims=True)
        count = _stats.shape_of(self.xp, x)[axis]
        found = first_place(self.xp, self.group, value, place + self.first_class(count), count)
        return found if keepdims else self.xp.squeeze(found, axis=axis)

    def take_along_axis(self, x: Array, indices: Array, *, axis: int) -> Array:
        """The entry of every row that an index of all classes names."""
        chosen = _stats.class_numbers(self, x, axis, indices.dtype) == indices
        picked = self.xp.where(chosen, x, self.xp.zeros_like(x))
        return self.sum(picked, axis=axis, keepdims=True)

    def take(self, x: Array, indices: Array, *, axis: int) -> Array:
        """Entries of a vector of classes."""
        count = _stats.shape_of(self.xp, x)[axis]
        index = indices - self.first_class(count)
        here = (index >= 0) & (index < count)
        found = self.xp.take(x, self.xp.where(here, index, self.xp.zeros_like(index)), axis=axis)
        return self.group.sum(self.xp.where(here, found, self.xp.zeros_like(found)))


def packed(xp: Namespace, arrays: list[Array], ask: Any) -> list[Array]:
    """Arrays of one shape and dtype, sent as one message."""
    if len(arrays) == 1:
        return [ask(arrays[0])]
    found = ask(xp.stack(arrays))
    return [found[i, ...] for i in range(len(arrays))]


def first_place(xp: Namespace, group: Group, value: Array, place: Array, count: int) -> Array:
    """Of the members' largest entries and their classes, the first class of the largest of all.

    As on one device NaN is larger than any number.
    """
    return chosen_place(xp, group, [(value, place)], [group.max(value)], count)[0]


def chosen_place(
    xp: Namespace,
    group: Group,
    own: Sequence[tuple[Array, Array]],
    largest: Sequence[Array],
    count: int,
) -> list[Array]:
    """The same of several, in one message: the smallest class that has the largest entry.

    Classes that have it are ``total`` beyond those that are NaN, and all others beyond these.
    """
    total, asked = group.total(count), []
    for (value, place), top in zip(own, largest, strict=True):
        attains = xp.where(value == top, place + total, xp.zeros_like(place) + 2 * total)
        asked.append(xp.where(xp.isnan(value), place, attains))
    return [found % total for found in packed(xp, asked, group.least)]
