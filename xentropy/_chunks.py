"""Rows whose logits lie in chunks of rows and classes: what the tasks of a graph compute.

A chunk of logits is observed by itself and leaves a few numbers per row; those of the chunks of a
row merge, in any order, and tell the row. What has an entry for every logit, a softmax or a
gradient, is then made chunk by chunk. So no task has more of the logits than one chunk.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from xentropy import _partial, _stats, _targets
from xentropy._maps import Entropy, LogSumExp, MapLeaves, Rest, Softmax, SumLeaves
from xentropy._partial import Part
from xentropy._reduction import Reducer
from xentropy._rows import Leaves, RowLoss
from xentropy._score import RowScore
from xentropy._sharded import Apart, packs
from xentropy._shards import Shards
from xentropy._typing import Array, DType, Namespace


def suits(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
    """Whether a rule can be evaluated chunk by chunk."""
    if isinstance(rule, LogSumExp):
        return bool(rule.axes) and not rule.signed and leaves[1] is None
    if isinstance(rule, RowLoss | RowScore):
        return packs(rule, leaves)
    return isinstance(rule, Softmax | Entropy)


def leaves_of(rule: Any, leaves: tuple[Array | None, ...]) -> Leaves:
    """The leaves of a loss, or those of a rule without targets as if it were one."""
    if isinstance(rule, RowLoss | RowScore):
        return Leaves(*leaves)._replace(normalizer=None)
    return Leaves(leaves[0], None, where=leaves[-1])


def axes_of(rule: Any) -> tuple[int, ...]:
    """The axes that are visited: that of the classes, or several of a logsumexp."""
    if isinstance(rule, LogSumExp):
        return rule.axes
    return (rule.loss.axis if isinstance(rule, RowScore) else rule.axis,)


def observer(rule: Any, index_dtype: DType, rows: int) -> RowLoss | RowScore:
    """The rule that a chunk is observed with; ``rows`` is how many dimensions rows have."""
    if isinstance(rule, RowLoss | RowScore):
        return rule
    # Several axes become one, which is the last.
    axis = rows if len(axes_of(rule)) > 1 else axes_of(rule)[0]
    temperature = getattr(rule, "temperature", 1.0)
    loss = RowLoss(rule.dtype, index_dtype, axis, True, temperature=temperature)
    return RowScore(loss) if isinstance(rule, Entropy) else loss


# What the tasks compute.


class At(NamedTuple):
    """Where the classes of a chunk lie among all."""

    start: int
    stop: int
    classes: int

    @classmethod
    def of(cls, numbers: Array) -> At:
        """By three numbers in an array."""
        return cls(*(int(number) for number in numbers))

    @property
    def held(self) -> int:
        """How many there are."""
        return self.stop - self.start

    def first(self, _: int) -> int:
        """The number of the first of them."""
        return self.start

    def total(self, _: int) -> int:
        """How many there are in all."""
        return self.classes


class Told(NamedTuple):
    """What the chunks of rows tell together: values of rows, and what a pullback needs of them."""

    values: tuple[Array, ...]
    known: Apart | None


def observed(xp: Namespace, rule: Any, leaves: Leaves, at: At, by: RowLoss | RowScore) -> Part:
    """What a visit to a chunk leaves."""
    if isinstance(rule, LogSumExp):
        leaves = Leaves(rule.entries(xp, SumLeaves(leaves.logits, None, leaves.where))[0], None)
    return _partial.observe(xp, (leaves, at.start), by)


def counted(xp: Namespace, leaves: Leaves, at: At, by: RowLoss | RowScore) -> Part:
    """What the targets of a chunk leave by themselves: masses, and nothing of the logits."""
    loss = _partial.loss_of(by)
    rows = leaves.targets.shape
    if loss.hard:
        rows = (*rows[: loss.axis], at.held, *rows[loss.axis :])
    zeros = xp.broadcast_to(xp.zeros((), dtype=loss.dtype), rows)
    return _partial.masses(xp, (leaves._replace(logits=zeros), at.start), by)


def merged(xp: Namespace, parts: list[Part], rule: RowLoss | RowScore) -> Part:
    """Several parts of the same rows as one."""
    whole = parts[0]
    for part in parts[1:]:
        whole = _partial.merge(xp, (whole, part), rule)
    return whole


def told(xp: Namespace, rule: Any, leaves: Leaves, part: Part) -> Told:
    """The values of rows, without the class axis, of which all classes have been seen."""
    if isinstance(rule, RowScore):
        values, left, whole = _partial.scores(xp, (leaves, part), rule)
        return Told(values, Apart(*left, *whole))
    if isinstance(rule, RowLoss):
        left, whole = _partial.left_of(xp, (leaves, part), rule)
        targets = _partial.row_targets(xp, rule, leaves, left.max)
        found = (left.losses, left.mass, _targets.row_scale(xp, targets))
        return Told(_squeezed(xp, rule, found), Apart(*left, *whole))
    return Told(_squeezed(xp, rule, _of_map(xp, rule, part)), None)


def _of_map(xp: Namespace, rule: Any, part: Part) -> tuple[Array, ...]:
    """What a rule without targets tells of rows."""
    own = part.own
    if isinstance(rule, Entropy):
        return (_stats.entropy(xp, own.max, own.rest, part.moment),)
    if isinstance(rule, LogSumExp):
        return (_stats.logsumexp(xp, own),)
    return own.max, own.rest


def _squeezed(xp: Namespace, rule: Any, values: tuple[Array, ...]) -> tuple[Array, ...]:
    return tuple(xp.squeeze(value, axis=rule.axis) for value in values)


def dtypes(rule: Any, index_dtype: DType, flag: DType) -> tuple[DType, ...]:
    """The dtypes of the values of rows; ``flag`` is that of booleans."""
    if isinstance(rule, RowScore):
        return (rule.loss.dtype,) * 4 + (index_dtype, flag)
    counts = {RowLoss: 3, Softmax: 2}
    return (rule.dtype,) * counts.get(type(rule), 1)


def softmax(xp: Namespace, rule: Softmax, leaves: Leaves, values: tuple[Array, ...]) -> Array:
    """The softmax of a chunk, by the statistics of its rows."""
    left = Rest(*(xp.expand_dims(value, axis=rule.axis) for value in values))
    return rule.of_part(xp, MapLeaves(leaves.logits, leaves.where), left)


def gradient(
    xp: Namespace, rule: RowLoss, leaves: Leaves, known: Apart, bar: Array | None, at: At
) -> Array:
    """The gradient by the logits of a chunk; ``bar`` is that by every row's loss, or 1."""
    place: Any = at
    shards = Shards(xp, place, rule.axis)
    visit = rule.visit(shards, leaves, known.left, known.whole)
    made = rule.by_first(shards, leaves, visit)
    return rule.shaped(xp, leaves, made if bar is None else bar * made)


# Rows become a number.


def reducer(
    xp: Namespace, rule: RowLoss, normalizer: Array | None, values: tuple[Array, ...]
) -> Reducer:
    """How the losses of rows are reduced, by losses, masses and scales of rows."""
    _, masses, scales = values
    kept = _stats.counted(xp, scales, scales) if rule.normalizer == "valid" else None
    return rule.reducer(xp, Leaves(None, None, normalizer=normalizer), masses, kept)
