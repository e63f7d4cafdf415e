"""Members of a group agree on a call before they compute: none waits for one that does not come.

Every process of a group sends the others a note of a few integers: what it would compute, and
whether it can at all. Where one refuses, all of them do, and where notes differ, all say in what.
The notes also tell how many classes each one holds. Members that are traced together, as in JAX,
agree by what they are, and send nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, cast, runtime_checkable

from xentropy import _errors, _labels
from xentropy._dispatch import group_of
from xentropy._shards import Group

if TYPE_CHECKING:
    from xentropy._call import Call

A = TypeVar("A")

# Dimensions of the rows that a note has room for.
_ROWS = 6


@runtime_checkable
class Talking(Group, Protocol):
    """A group of processes that run apart."""

    def notes(self, note: tuple[int, ...]) -> list[tuple[int, ...]]:
        """What every member sent, in their order."""
        ...

    def sized(self, counts: tuple[int, ...]) -> Group:
        """The same group, of members that hold so many classes."""
        ...


class Note(NamedTuple):
    """What a process tells the others of its call; ``shape`` is that of the rows."""

    refused: int
    rule: int = 0
    arrays: int = 0
    lowest: int = 0
    highest: int = 0
    classes: int = 0
    axes: int = 0
    shape: tuple[int, ...] = (0,) * _ROWS

    def sent(self) -> tuple[int, ...]:
        """As integers."""
        *fields, shape = self
        return *fields, *shape

    @classmethod
    def received(cls, numbers: tuple[int, ...]) -> Note:
        """From integers."""
        return cls._make((*numbers[:-_ROWS], numbers[-_ROWS:]))


def agreed(
    prepare: Callable[..., Call[A]], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Call[A]:
    """The call of a function that was given a group, with a rule of slices."""
    try:
        call = prepare(*args, **kwargs)
    except Exception:
        _refuse(kwargs["group"])
        raise
    group = cast("Group", call.group)
    if isinstance(group, Talking):
        group = _settled(call, group)
    return call._replace(rule=sliced(call.rule, group))


def sliced(rule: Any, group: Group) -> Any:
    """The rule of arrays that hold some of the classes."""
    if rule.names[0] == "hidden":
        from xentropy._sharded_head import ShardedHead

        return ShardedHead(rule, group)
    from xentropy._sharded import Sharded

    return Sharded(rule, group)


def _refuse(group: Any) -> None:
    """Tell the others, who would wait, that there is nothing to compute."""
    try:
        found = group_of(group)
    except TypeError:
        return  # no group: there is nobody to tell
    if isinstance(found, Talking):
        found.notes(Note(1).sent())


def _settled(call: Call[Any], group: Talking) -> Group:
    """The group with the sizes of its slices; an error, the same for all, where they disagree."""
    sent = [Note.received(note) for note in group.notes(_note(call).sent())]
    refused = [str(i) for i, note in enumerate(sent) if note.refused]
    if refused:
        raise RuntimeError(f"group: rank {', '.join(refused)} refused its arguments, see its error")
    for field, what in _ALIKE.items():
        values = [getattr(note, field) for note in sent]
        _same(values, what, _shown(field, sent))
    counts = tuple(note.classes for note in sent)
    _check_labels(call, sent[0], sum(counts))
    return group.sized(counts)


_ALIKE = {
    "rule": "the function, its options and its dtypes",
    "arrays": "which optional arrays are given",
    "axes": "the number of axes of the rows",
    "shape": "the shape without the axis of the classes",
    "lowest": "the targets",
    "highest": "the targets",
}


def _shown(field: str, sent: list[Note]) -> list[str]:
    """What each rank says, where that tells something to a reader."""
    if field in ("axes", "shape"):
        return [f" ({_errors.show(note.shape[: note.axes])})" for note in sent]
    if field in ("lowest", "highest"):
        return [f" (labels {note.lowest} to {note.highest})" for note in sent]
    return [""] * len(sent)


def _same(values: list[Any], what: str, shown: list[str]) -> None:
    for rank, value in enumerate(values):
        if value != values[0]:
            raise ValueError(
                f"group: {what} must be the same on all ranks, but differ between rank 0"
                f"{shown[0]} and rank {rank}{shown[rank]}"
            )


def _note(call: Call[Any]) -> Note:
    """What this process would compute."""
    shape, axis = slice_of(call)
    rows = (*shape[:axis], *shape[axis + 1 :])
    head, rest = rows[: _ROWS - 1], rows[_ROWS - 1 :]
    padded = (*head, zlib.crc32(repr(rest).encode()) if len(rest) > 1 else sum(rest))
    low, high = _extremes(call)
    return Note(
        0,
        zlib.crc32(repr(call.rule).encode()),
        sum(1 << i for i, leaf in enumerate(call.leaves) if leaf is not None),
        low,
        high,
        shape[axis],
        len(rows),
        (*padded, *(0,) * (_ROWS - len(padded))),
    )


def slice_of(call: Call[Any]) -> tuple[tuple[int, ...], int]:
    """The shape of the slice of logits that this process holds, and the axis of its classes."""
    shape = cast("tuple[int, ...]", call.backend.shape(call.leaves[0]))
    if call.rule.names[0] == "hidden":
        classes = cast("int", call.backend.shape(call.leaves[1])[0])
        return (*shape[:-1], classes), len(shape) - 1
    return shape, loss_of(call.rule).axis


def loss_of(rule: Any) -> Any:
    """The rule of the rows' loss, or one that is about no loss."""
    return getattr(rule, "loss", rule)


def _extremes(call: Call[Any]) -> tuple[int, int]:
    """The smallest and the largest label that counts, of targets that are labels and seen."""
    labels = _labels_of(call)
    if labels is None:
        return 0, 0
    seen = call.backend.look(labels)
    return _labels.label_extremes(seen, loss_of(call.rule).ignore_index)


def _labels_of(call: Call[Any]) -> Any:
    if not getattr(loss_of(call.rule), "hard", False):
        return None
    return dict(zip(call.rule.names, call.leaves, strict=True))["targets"]


def _check_labels(call: Call[Any], note: Note, total: int) -> None:
    """Raise as one process would that held all the classes."""
    if note.lowest >= 0 and note.highest < total:
        return
    ignored = loss_of(call.rule).ignore_index
    _labels.check_labels(call.backend, _labels_of(call), total, ignored, call.given)
