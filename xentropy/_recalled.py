"""Calls whose arrays look like those of an earlier one, of which nothing is asked again but labels.

What is validated of a call is the shape and dtype of its arrays, its options, and the values of
labels. All but the values can be remembered: of few logits Python's part is most, and where the
caches were swept by other work it takes ten times as long as in a loop of its own.

Where a framework computes while Python goes on, labels are looked at after the program has been
sent off: the thread that runs it falls asleep in a few microseconds, and takes fifty to wake up.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from xentropy._dispatch import seen
from xentropy._labels import check_labels
from xentropy._options import current
from xentropy._typing import Array

if TYPE_CHECKING:
    from xentropy._backend import Backend
    from xentropy._call import Call

# So many calls are remembered; then all are forgotten.
_MOST = 1024
_PLAIN = frozenset((bool, int, float, str, type(None)))

_calls: dict[Hashable, Recalled] = {}


class Recalled(NamedTuple):
    """A call without its arrays, and which of the arguments are its leaves.

    ``wanted`` are the leaves differentiated by, ``by`` the one whose gradient is returned; None
    where the value is all.
    """

    call: Call[Any]
    places: tuple[int | None, ...]
    wanted: tuple[bool, ...] | None
    by: int

    def __call__(self, args: tuple[Array, ...]) -> Any:
        """What the call gives of other arrays."""
        backend, rule = self.call.backend, self.call.rule
        leaves = tuple([None if place is None else args[place] for place in self.places])
        if not backend.later:
            _look(backend, rule, leaves)
            return self._evaluated(leaves)
        try:
            return self._evaluated(leaves)
        finally:  # whatever a framework says of NaN, a label that is no class is named
            _look(backend, rule, leaves)

    def _evaluated(self, leaves: tuple[Array | None, ...]) -> Any:
        call = self.call
        if self.wanted is None:
            return call.shaped(call.backend.apply(call.rule, leaves))
        found = call.backend.value_and_grad(call.rule, leaves, self.wanted)
        return call.shaped(found[0]), found[1][self.by]


def _look(backend: Backend, rule: Any, leaves: tuple[Array | None, ...]) -> None:
    judged = rule.judged(leaves)
    if judged is not None:
        labels, count, ignored = judged
        check_labels(backend, labels, count, ignored, labels)


def earlier(
    what: Hashable, args: tuple[Any, ...], options: Mapping[str, Any]
) -> tuple[Hashable | None, Recalled | None]:
    """The key of a call, and an earlier one that has it."""
    key = _key(what, args, options)
    # Without a key nothing is looked up: a compiler that traces it would guard all that is there.
    return key, None if key is None else _calls.get(key)


def _key(what: Hashable, args: tuple[Any, ...], options: Mapping[str, Any]) -> Hashable | None:
    """What calls have in common that only the values of their arrays tell apart.

    What `xentropy.options` asks for is part of it, as the size of a tile is part of a rule. None
    where calls are validated each time: of arrays that are not plain, with an array among the
    options, or with anything else that is no plain value; and where a group holds the classes.
    """
    backend = seen(args[0]) if args else None
    if backend is None or options.get("group") is not None:
        return None
    look = backend.looks(args)
    if look is None:
        return None
    if not options:
        return what, look, current()
    plain = tuple([(name, type(value), value) for name, value in options.items()])
    return (what, look, current(), plain) if all(k in _PLAIN for _, k, _ in plain) else None


def remember(
    key: Hashable | None,
    args: tuple[Any, ...],
    call: Call[Any],
    wanted: tuple[bool, ...] | None = None,
    by: int = 0,
) -> None:
    """Remember a call that has a key, if its leaves are its arguments, each of them one.

    Its rule says what was `judged` of the values of these arrays: the labels, or nothing.
    """
    if key is None or not hasattr(call.rule, "judged"):
        return
    places = tuple([_place(leaf, args) for leaf in call.leaves])
    once = [place for place in places if place is not None]
    if sorted(once) != list(range(len(args))):
        return
    if len(_calls) >= _MOST:
        _calls.clear()
    _calls[key] = Recalled(call._replace(leaves=(), given=None), places, wanted, by)


def _place(leaf: Array | None, args: tuple[Any, ...]) -> int | None:
    """Which of the arguments a leaf is, their number if none."""
    if leaf is None:
        return None
    return next((place for place, arg in enumerate(args) if arg is leaf), len(args))
