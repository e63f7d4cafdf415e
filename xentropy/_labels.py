"""Labels that can be looked at: which of them is no class, and where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xentropy import _errors
from xentropy._typing import Array, Namespace

if TYPE_CHECKING:
    from xentropy._backend import Backend


def check_labels(
    backend: Backend, labels: Array, count: Any, ignore_index: int | None, given: Any
) -> None:
    """Raise an IndexError for the first label that is no class and is not ignored.

    Labels that cannot be looked at pass: their rows become NaN. So do those of as many classes as a
    symbol says. The error shows what was ``given``, before a backend made it its own.
    """
    seen = backend.look(labels) if isinstance(count, int) else None
    if seen is None or _all_classes(*seen, count, ignore_index):
        return
    # Imported by the first call that needs it: `import xentropy` stays light.
    from xentropy._targets import read_labels

    xp, values = seen
    read = read_labels(xp, values, count, ignore_index, xp.int64)
    place = first(xp, read.kept & ~read.valid)
    if place is not None:
        shown = (backend.look(given) if hasattr(given, "dtype") else None) or seen
        value = shown[1][place]
        # PyTorch turns its uint64 into a Python number by tolist alone.
        plain = value.tolist() if hasattr(value, "tolist") else int(value)
        raise _errors.label(plain, place, count)


def label_extremes(
    seen: tuple[Namespace, Array] | None, ignore_index: int | None
) -> tuple[int, int]:
    """The smallest and the largest label that is not ignored; 0 where none can be seen."""
    if seen is None or 0 in seen[1].shape:
        return 0, 0
    xp, labels = seen
    if ignore_index is None or ignore_index not in _extremes(xp, labels):
        return _extremes(xp, labels)
    kept = xp.reshape(labels, (-1,))
    kept = kept[kept != ignore_index]
    return _extremes(xp, kept) if kept.shape[0] else (0, 0)


def _all_classes(xp: Namespace, labels: Array, count: int, ignore_index: int | None) -> bool:
    """Whether the smallest and the largest label are classes, ignored ones left aside.

    Almost always they are, and two visits to the labels tell it: where they do not, it takes many
    more to find the first label that is none.
    """
    if 0 in labels.shape:
        return True
    low, high = _extremes(xp, labels)
    if low >= 0 and high < count:
        return True
    outside = {n for n in (low, high) if not 0 <= n < count}
    if outside != {ignore_index}:
        return False
    # An ignored row may as well have a label of 0.
    rest = xp.where(labels == ignore_index, xp.zeros_like(labels), labels)
    return all(0 <= n < count for n in _extremes(xp, rest))


# Up to so many are looked at sooner as numbers of Python.
_FEW = 64


def _extremes(xp: Namespace, x: Array) -> tuple[int, int]:
    """The smallest and the largest entry; an array's own methods are quickest where it has them."""
    if hasattr(x, "tolist") and x.ndim == 1 and x.shape[0] <= _FEW:
        numbers = x.tolist()
        return int(min(numbers)), int(max(numbers))
    both = getattr(x, "aminmax", None)
    if both is not None:
        low, high = both()
        return int(low), int(high)
    low, high = getattr(x, "min", None), getattr(x, "max", None)
    if low is None or high is None:
        return int(xp.min(x)), int(xp.max(x))
    return int(low()), int(high())


def first(xp: Namespace, flags: Array) -> tuple[int, ...] | None:
    """The place of the first True, or None."""
    shape = tuple(flags.shape)
    if 0 in shape:
        return None
    flat = xp.astype(xp.reshape(flags, (-1,)), xp.int32)
    first = int(xp.argmax(flat, axis=0))
    return unravel(first, shape) if int(flat[first]) else None


def unravel(flat: int, shape: Sequence[int | None]) -> tuple[int, ...]:
    """The place in an array of a flat index."""
    place: list[int] = []
    for length in reversed(shape):
        flat, last = divmod(flat, length or 1)
        place.append(last)
    return tuple(reversed(place))
