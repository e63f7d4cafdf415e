"""Rules of rows of which every device holds some classes.

A loss of logits, and its scores, are observed locally. What travels is one maximum of every row
and one message of its sums, which add up under that maximum; the pullback of a loss is local. Any
other rule, and what is differentiated again, is evaluated in the namespace of `_shards`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from xentropy import _partial, _reduction, _sharded_plan
from xentropy._around import Around
from xentropy._known import Plan
from xentropy._linear import LinearLoss, LinearScore
from xentropy._maps import LogSumExp
from xentropy._partial import First, Part
from xentropy._rows import Leaves, Left, RowLoss
from xentropy._score import RowScore
from xentropy._shards import Group, Shards, chosen_place, packed
from xentropy._stats import along, cut, shape_of
from xentropy._targets import Whole
from xentropy._typing import Array, Namespace

# What every device has alike, if it is no array of classes.
ALIKE = frozenset({"targets", "sample_weights", "normalizer", "alpha", "b", "hidden"})
# Of these the gradients are sums over the classes that no sum along their axis has made.
SUMMED = frozenset({"alpha", "b", "hidden"})


class Apart(NamedTuple):
    """What the packed forward leaves: `Left` of rows, and `Whole` of all classes."""

    max: Array
    rest: Array
    mass: Array
    losses: Array
    share: Array = None
    own: Array = None
    total: Array = None

    @property
    def left(self) -> Left:
        """What is left of rows."""
        return Left(*self[:4])

    @property
    def whole(self) -> Whole:
        """What only all classes tell."""
        return Whole(*self[4:])

    def present(self) -> tuple[Array, ...]:
        """The arrays, without those that are absent."""
        return tuple(x for x in self if x is not None)


def apart(loss: RowLoss, leaves: Leaves, residuals: tuple[Array, ...]) -> Apart:
    """From the arrays that are present."""
    weighed = loss.hard and leaves.class_weights is not None
    present = (loss.label_smoothing != 0, weighed, not loss.hard)
    rest = iter(residuals[4:])
    return Apart(*residuals[:4], *(next(rest) if is_ else None for is_ in present))


@dataclass(frozen=True)
class Sharded(Around):
    """A rule whose first leaf, and what has its classes, is one slice of them.

    With a ``plan`` the rows are visited in blocks.
    """

    rule: RowLoss | RowScore | LogSumExp | LinearLoss | LinearScore
    group: Any  # Group
    plan: Plan | None = None

    @property
    def axis(self) -> int:
        """The axis of the classes."""
        return self.rule.axis if isinstance(self.rule, LogSumExp) else self.loss.axis

    @property
    def loss(self) -> RowLoss:
        """The rule of the rows' loss."""
        rule = cast("RowLoss | RowScore | LinearLoss | LinearScore", self.rule)
        return rule if isinstance(rule, RowLoss) else rule.loss

    def forward(
        self, xp: Namespace, leaves: tuple[Array | None, ...], *, again: bool = False
    ) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """The values, alike on every device, and what its pullback needs."""
        if again:
            shards, entered = Shards(xp, self.group, self.axis), self._entered(leaves)
            values, left = self.rule.forward(shards, entered, again=True)
            count = len(self.outputs)
            out = tuple(self.group.leave(value) for value in values[:count])
            return (*out, *values[count:]), left
        if not packs(self.rule, leaves):
            return self.rule.forward(Shards(xp, self.group, self.axis), leaves)
        return self._packed(xp, leaves)

    def _packed(
        self, xp: Namespace, given: tuple[Array | None, ...]
    ) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """The same of one visit to these classes, and what all devices make of it."""
        leaves, rule = Leaves(*given), cast("_partial.Rule", self.rule)
        count = shape_of(xp, leaves.logits)[self.axis]
        first = self.group.first(count)
        if self.plan is None:
            part = _partial.observe(xp, (leaves, first), rule)
        else:
            part = _sharded_plan.observe(self.plan, leaves, first, rule)
        return finished(xp, leaves, gathered(xp, part, rule, self.group, count), rule)

    def pullback(
        self,
        xp: Namespace,
        leaves: tuple[Array | None, ...],
        residuals: tuple[Array, ...],
        bars: tuple[Array | None, ...],
        wanted: tuple[bool, ...],
        *,
        again: bool = False,
    ) -> tuple[Array | None, ...]:
        """The gradients by the wanted leaves: of the slices their own, of the others all."""
        if not again and packs(self.rule, leaves):
            return self._pulled(xp, leaves, residuals, bars, wanted)
        shards = Shards(xp, self.group, self.axis)
        if again:
            leaves = self._entered(leaves)
            bars = tuple(None if bar is None else self.group.enter(bar) for bar in bars)
            residuals = residuals[:4]  # what only all classes tell is asked for again
        found = self.rule.pullback(shards, leaves, residuals, bars, wanted, again=again)
        named = zip(self.names, leaves, found, strict=True)
        return tuple(self._whole(xp, *one, again=again) for one in named)

    def _pulled(
        self,
        xp: Namespace,
        leaves: tuple[Array | None, ...],
        residuals: tuple[Array, ...],
        bars: tuple[Array | None, ...],
        wanted: tuple[bool, ...],
    ) -> tuple[Array | None, ...]:
        """The gradients, of which those by logits ask no other device."""
        shards, given, want = Shards(xp, self.group, self.axis), Leaves(*leaves), Leaves(*wanted)
        known = apart(self.loss, given, residuals)
        if self.plan is not None and not any(want[1:]) and isinstance(self.rule, RowLoss):
            call = (self.plan, shards, self.rule, given)
            task = _sharded_plan.Task(*call, known.left, known.whole)
            return Leaves(_sharded_plan.gradient(task, bars[0]), None)
        visit = self.loss.visit(shards, given, known.left, known.whole)
        return cast("_partial.Rule", self.rule).pull(shards, given, want, visit, bars)

    def by_logits(
        self,
        xp: Namespace,
        leaves: tuple[Array | None, ...],
        residuals: tuple[Array, ...],
        *,
        again: bool = False,
    ) -> Array:
        """The gradient of a loss, or of the sum of its rows, by the logits, not in their dtype."""
        shards, given, loss = Shards(xp, self.group, self.axis), Leaves(*leaves), self.loss
        left, whole = Left(*residuals[:4]), None
        if not again and packs(self.rule, leaves):
            known = apart(loss, given, residuals)
            left, whole = known.left, known.whole
        visit = loss.visit(shards, given, left, whole, again=again)
        rows = xp.squeeze(left.losses, axis=self.axis)
        bar = xp.ones_like(rows if loss.reduction == "none" else xp.sum(rows))
        first = Leaves(*(i == 0 for i in range(len(leaves))))
        made = loss.pull_apart(shards, given, first, visit, bar)[0]
        mask = along(xp, given.where, given.logits.ndim, self.axis)
        return cut(xp, made, mask)

    def _entered(self, leaves: tuple[Array | None, ...]) -> tuple[Array | None, ...]:
        named = zip(self.names, leaves, strict=True)
        return tuple(
            self.group.enter(leaf) if self.is_alike(name, leaf) else leaf for name, leaf in named
        )

    def _whole(
        self, xp: Namespace, name: str, leaf: Array | None, by: Array | None, *, again: bool
    ) -> Array | None:
        """The gradient of a leaf that all devices have alike, from what each of them knows."""
        if by is None or not self.is_alike(name, leaf):
            return by
        if name in SUMMED:
            dtype = self.rule.dtype if isinstance(self.rule, LogSumExp) else self.loss.dtype
            by = xp.astype(self.group.sum(xp.astype(by, dtype)), by.dtype)
        return self.group.leave(by) if again else by

    def is_alike(self, name: str, leaf: Array | None) -> bool:
        """Whether all devices have a floating leaf alike."""
        if leaf is None or name not in ALIKE:
            return False
        if name == "targets":
            return False  # labels have no gradient, and probabilities are slices
        return name not in ("alpha", "b") or leaf.ndim == 0


def packs(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
    """Whether a rule's forward is one visit, whose sums are one message: one of plain logits."""
    if isinstance(rule, LinearLoss | LinearScore):
        return True
    if not isinstance(rule, RowLoss | RowScore):
        return False
    loss = _partial.loss_of(rule)
    return loss.source == "logits" and loss.link is None and Leaves(*leaves).alpha is None


def gathered(xp: Namespace, part: Part, rule: _partial.Rule, group: Group, count: int) -> Part:
    """The parts of all devices as one: one message of maxima, one of sums, one of classes."""
    firsts = [first for first in (part.best, part.likely) if first is not None]
    own = [part.own.max, *(first.value for first in firsts[1:])]
    peak, *likely = packed(xp, own, group.max)
    numbers = _partial.under(xp, part, peak, _partial.loss_of(rule).temperature)
    sums = iter(packed(xp, [x for x in numbers if x is not None], group.sum))
    total = tuple(None if x is None else next(sums) for x in numbers)
    largest = [peak, *likely][: len(firsts)]
    places = chosen_place(xp, group, firsts, largest, count) if firsts else []
    both = [First(*pair) for pair in zip(largest, places, strict=True)]
    return _partial.united(xp, peak, total, *(*both, None, None)[:2])


def finished(
    xp: Namespace, leaves: Leaves, part: Part, rule: _partial.Rule
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """The values of rows of which all classes have been seen, and what the pullback needs."""
    if isinstance(rule, RowScore):
        values, left, whole = _partial.scores(xp, (leaves, part), rule)
        return values, Apart(*left, *whole).present()
    left, whole = _partial.left_of(xp, (leaves, part), rule)
    value = _reduction.reduce(xp, left.losses, _partial.reducer(xp, rule, leaves, left))
    if rule.reduction == "none":
        value = xp.squeeze(value, axis=rule.axis)
    return (value,), Apart(*left, *whole).present()
