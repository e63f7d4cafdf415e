"""What a loss costs a process that holds some of the classes: messages and memory, by formula.

Messages are listed one by one, as `traffic` counts them. No framework is needed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

#: The integers of a note by which the processes agree on a call, and their bytes.
NOTE, INTEGER = 13, 8
#: Bytes of a number of float32, in which everything narrower is computed too.
NUMBER = 4
#: Sums of a row that travel: below the maximum, at the maximum, the target's gap and its mass.
SUMS = 4
GATHER, REDUCE = "all_gather", "all_reduce"


class Message(NamedTuple):
    """What a process hands to a collective operation."""

    kind: str
    nbytes: int


@dataclass(frozen=True)
class Case:
    """Rows, classes and processes; with ``hidden`` the classes are the rows of a head's weight."""

    rows: int
    classes: int
    processes: int = 1
    hidden: int = 0
    itemsize: int = NUMBER

    @property
    def own(self) -> int:
        """The most classes that a process holds."""
        return -(-self.classes // self.processes)

    @property
    def slice(self) -> int:
        """Bytes of the logits of these classes."""
        return self.rows * self.own * self.itemsize

    @property
    def whole(self) -> int:
        """Bytes of all logits."""
        return self.rows * self.classes * self.itemsize


@dataclass(frozen=True)
class Asked:
    """What of a call decides how many numbers of a row travel."""

    class_weights: bool = False
    label_smoothing: bool = False
    soft: bool = False
    scores: bool = False

    @property
    def sums(self) -> int:
        """Numbers of a row in the message of sums: two for each kind of weight, and counts."""
        smoothed = 3 * self.label_smoothing  # the gap and mass of all classes, and their number
        return SUMS + 2 * self.class_weights + smoothed + self.scores

    @property
    def firsts(self) -> int:
        """Classes of a row that are looked for: the most probable one, the target's."""
        return self.scores * (1 + self.soft)


PLAIN = Asked()


def shards(case: Case, asked: Asked = PLAIN) -> list[Message]:
    """Of `xentropy` with a group: forward, and for a head's hidden one message of the backward."""
    number = case.rows * max(NUMBER, case.itemsize)
    found = [
        Message(GATHER, NOTE * INTEGER),
        Message(REDUCE, number * max(1, asked.firsts)),
        Message(REDUCE, number * asked.sums),
    ]
    if asked.firsts:
        found.append(Message(REDUCE, case.rows * INTEGER * asked.firsts))
    return found + [Message(REDUCE, number * case.hidden)] * bool(case.hidden)


def gathered(case: Case) -> list[Message]:
    """Of gathering the logits; the gradient by a head's hidden is summed up too."""
    hidden = Message(REDUCE, case.rows * case.hidden * case.itemsize)
    return [Message(GATHER, case.slice), *[hidden] * bool(case.hidden)]


def loss_parallel(case: Case) -> list[Message]:
    """Of PyTorch's `loss_parallel`: the maximum, the sum and the label's entry of every row."""
    return [Message(REDUCE, case.rows * case.itemsize)] * 3


def sent(messages: Iterable[Message]) -> int:
    """The bytes that a process hands over."""
    return sum(message.nbytes for message in messages)


def wire(messages: Iterable[Message], processes: int) -> float:
    """The bytes that leave a process if the operations go round a ring.

    In a ring of P, what is gathered passes P - 1 times; a sum passes twice, in P parts.
    """
    around = {GATHER: processes - 1.0, REDUCE: 2 * (processes - 1) / processes}
    return sum(around[message.kind] * message.nbytes for message in messages)


#: Logits of a tile of a head, as `xentropy` cuts it, and how many arrays of its size there are.
TILE, TILES = 1 << 21, 12


def shards_held(case: Case) -> int:
    """Bytes beyond the inputs at the peak: the gradients, and for a head up to a dozen tiles.

    What there is for every row, and a block for each thread, is small beside them.
    """
    if not case.hidden:
        return case.slice
    return gradients(case) + TILES * min(TILE, case.rows * case.own) * NUMBER


def gathered_held(case: Case) -> int:
    """All logits three times: log-probabilities and the gradients by them and by the logits."""
    return 3 * case.whole


def loss_parallel_held(case: Case) -> int:
    """The slice four times: log-probabilities, and three steps of the gradient."""
    return 4 * case.slice


def gradients(case: Case) -> int:
    """Bytes of the gradients that a process is left with."""
    if not case.hidden:
        return case.slice
    return (case.rows + case.own) * case.hidden * case.itemsize


class Formula(NamedTuple):
    """What a way computes, and what it costs a process."""

    of: str
    messages: Callable[[Case], list[Message]]
    held: Callable[[Case], int]


DENSE, HEAD = "dense", "head"
#: The ways to a loss; of those that compute alike the first is ours.
WAYS = {
    "xe.cross_entropy, group=": Formula(DENSE, shards, shards_held),
    "loss_parallel": Formula(DENSE, loss_parallel, loss_parallel_held),
    "gather, F.cross_entropy": Formula(DENSE, gathered, gathered_held),
    "xe.linear_cross_entropy, group=": Formula(HEAD, shards, shards_held),
    "product, gather, F.cross_entropy": Formula(HEAD, gathered, gathered_held),
}
