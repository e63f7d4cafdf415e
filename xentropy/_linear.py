"""Losses of a linear head: logits that are made tile by tile, and never held whole.

The logits hidden @ weight.T + bias of a tile, some rows and some classes, exist while the tile is
visited. A visit leaves a few numbers per row, and those of the parts of a row merge. The pullback
makes the logits once more and multiplies their gradient into those of hidden, weight and bias
while it is in hand. Only labels let rows be cut by classes: probabilities are held whole anyway.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any, NamedTuple, TypeVar

from xentropy import _reduction, _stats, _targets
from xentropy._reduction import Reducer
from xentropy._rows import Leaves, Left, RowLoss, Visit
from xentropy._score import RowScore, summands
from xentropy._stats import Stats, shape_of
from xentropy._targets import Targets
from xentropy._typing import Array, DType, Judged, Namespace, Reduction

# About how many logits a tile has. A visit makes a few arrays of that size.
TILE = 1 << 21
# About how many tiles a compiler is given, which takes its time for each.
UNROLLED = 16
# As few rows do not pay for a visit to all of the weight: shorter blocks are cut by classes.
FEW, MANY = 128, 1024

Bounds = tuple[int, Any]
T = TypeVar("T")


class Head(NamedTuple):
    """The arrays of a linear head and of its loss; the first three are always there."""

    hidden: Array
    weight: Array
    targets: Array
    bias: Array = None
    class_weights: Array = None
    sample_weights: Array = None
    where: Array = None
    normalizer: Array = None


# Leaves along one axis of rows, and parts of them.


def flat(xp: Namespace, head: Head, *, hard: bool) -> Head:
    """The leaves with all rows along one axis."""
    *lead, length = shape_of(xp, head.hidden)
    rows, classes = math.prod(lead), shape_of(xp, head.weight)[0]
    samples, where = head.sample_weights, head.where
    if where is not None and where.ndim > 1:
        where = _flat_mask(xp, where, tuple(lead), classes)
    elif where is not None and where.shape[0] != classes:  # one entry for all of a single row's
        where = xp.broadcast_to(where, (classes,))
    return head._replace(
        hidden=xp.reshape(head.hidden, (rows, length)),
        targets=xp.reshape(head.targets, (rows,) if hard else (rows, classes)),
        sample_weights=None if samples is None else xp.reshape(samples, (rows,)),
        where=where,
    )


def _flat_mask(xp: Namespace, where: Array, lead: tuple[Any, ...], classes: Any) -> Array:
    """A mask of all dimensions: one for all rows, or one for every row."""
    if all(n == 1 for n in where.shape[:-1]):
        lead = ()
    wide = xp.broadcast_to(where, (*lead, *where.shape[where.ndim - 1 :])) if lead else where
    spread = xp.reshape(wide, (math.prod(lead), where.shape[-1]))
    return xp.broadcast_to(spread, (math.prod(lead), classes))


def rows_of(head: Head, start: int, stop: Any) -> Head:
    """The leaves of some rows."""
    samples, where = head.sample_weights, head.where
    if where is not None and where.ndim > 1 and where.shape[0] != 1:
        where = where[start:stop, :]
    return head._replace(
        hidden=head.hidden[start:stop, :],
        targets=head.targets[start:stop, ...],
        sample_weights=None if samples is None else samples[start:stop],
        where=where,
    )


def classes_of(head: Head, start: int, stop: Any) -> Head:
    """The leaves of some classes; labels stay what they are."""
    bias, weights, where = head.bias, head.class_weights, head.where
    return head._replace(
        weight=head.weight[start:stop, :],
        bias=None if bias is None else bias[start:stop],
        class_weights=None if weights is None else weights[start:stop],
        where=None if where is None else where[..., start:stop],
    )


def logits_of(xp: Namespace, rule: RowLoss, head: Head) -> Array:
    """The logits of rows, in the compute dtype."""
    weight = xp.permute_dims(xp.astype(head.weight, rule.dtype), (1, 0))
    made = xp.matmul(xp.astype(head.hidden, rule.dtype), weight)
    return made if head.bias is None else made + xp.astype(head.bias, rule.dtype)


def leaves_of(head: Head, logits: Array) -> Leaves:
    """The leaves of a loss of these logits."""
    return Leaves(logits, head.targets, *head[4:])


def bounds(length: Any, size: int) -> list[Bounds]:
    """Bounds of parts of about one size; an unknown length is not cut."""
    if not isinstance(length, int) or length <= size:
        return [(0, length)]
    return evenly(length, -(-length // size))


def evenly(length: Any, count: int) -> list[Bounds]:
    """Bounds of some parts of about one size; the first one is not empty."""
    if count == 1:
        return [(0, length)]
    return [(-(-length * i // count), -(-length * (i + 1) // count)) for i in range(count)]


class Bars(NamedTuple):
    """What a pullback gets: the gradients by values of rows, and that by the count of a mean."""

    rows: tuple[Array | None, ...]
    by_count: Array | None = None
    how: Reducer = Reducer("none")


class Tile(NamedTuple):
    """Some rows and some classes: their leaves, the first class, and what is known of the rows.

    ``whole`` is what makes the coefficients of all classes; None where these are all.
    """

    head: Head
    start: int
    whole: Targets | None
    left: Left
    bars: Bars


class Cuts(NamedTuple):
    """Bounds of blocks of rows, and of parts of classes."""

    rows: list[Bounds]
    classes: list[Bounds]


def row_targets(xp: Namespace, rule: RowLoss, head: Head) -> Targets:
    """What makes the coefficients of labels, all classes in one row: no array of both."""
    numbers = _stats.class_numbers(xp, head.weight, 0, xp.int32)
    like = xp.astype(xp.reshape(numbers, (1, -1)), rule.dtype)
    return rule.targets(xp, leaves_of(head, like), like)


# The rules.


def _judged(loss: RowLoss, head: Head) -> Judged | None:
    return (head.targets, head.weight.shape[0], loss.ignore_index) if loss.hard else None


@dataclass(frozen=True)
class LinearLoss:
    """A loss over classes of the logits of a linear head; ``loss`` has the classes on axis 1."""

    loss: RowLoss
    tile: int | None = None

    names = Head._fields
    constant = RowLoss.constant
    outputs = RowLoss.outputs
    others = RowLoss.others

    def judged(self, leaves: tuple[Array | None, ...]) -> Judged | None:
        """The labels; the classes are the weight's."""
        return _judged(self.loss, Head(*leaves))

    @property
    def reduction(self) -> Reduction:
        """What becomes of the rows."""
        return self.loss.reduction

    @property
    def dtype(self) -> DType:
        """The dtype of the computation."""
        return self.loss.dtype

    def forward(
        self, xp: Namespace, leaves: tuple[Array | None, ...], *, again: bool = False
    ) -> tuple[tuple[Array], Left]:
        """The reduced loss, and what the pullback needs."""
        head = flat(xp, Head(*leaves), hard=self.loss.hard)
        left = self._observed(xp, head, again=again)
        value = _reduction.reduce(xp, left.losses, self.reducer(xp, head, left))
        if self.loss.reduction == "none":
            value = xp.reshape(value, shape_of(xp, leaves[0])[:-1])
        return (value,), left

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
        """The gradients by the wanted leaves, given the gradient by the reduced loss."""
        head, want = flat(xp, Head(*leaves), hard=self.loss.hard), Head(*wanted)
        left = self._observed(xp, head, again=True) if again else Left(*residuals)
        how = self.reducer(xp, head, left)
        bar = xp.reshape(bars[0], (-1, 1)) if self.loss.reduction == "none" else bars[0]
        count = None
        if how.divisor is not None:
            count = _reduction.pull_count(xp, left.losses, how, bar)
        given = Bars((_reduction.spread(xp, how, bar),), count, how)
        cuts = self.cuts(xp, head, shape_of(xp, head.hidden)[0], again=again)
        made = pulled(xp, self, cuts, head, left, given, want, again=again)
        if want.normalizer:
            made = made._replace(normalizer=count)
        return shaped(xp, Head(*leaves), made)

    def idle(self, head: Head) -> Head:
        """What tells which rows have no gradient."""
        return head

    def reducer(self, xp: Namespace, head: Head, left: Left) -> Reducer:
        """How the losses of all rows are reduced."""
        kept = None
        if self.loss.normalizer == "valid":
            scale = row_scale(xp, self.loss, head)
            kept = _stats.counted(xp, scale, scale)
        return self.loss.reducer(xp, leaves_of(head, None), left.mass, kept)

    def cuts(self, xp: Namespace, head: Head, count: Any, *, again: bool) -> Cuts:
        """How ``count`` rows are cut; and classes, if fewer rows than pay would fit otherwise."""
        tile, here = self.tile or TILE, shape_of(xp, head.weight)[0]
        classes = _widest(xp, here)
        rows = _fitting(tile, classes)
        few = min(FEW, count) if isinstance(count, int) else FEW
        mask = head.where is not None and head.where.ndim > 1
        if again or mask or not self.loss.hard or rows >= few:
            return Cuts(bounds(count, rows), [(0, here)])
        rows = min(MANY, count) if isinstance(count, int) else MANY
        parts = len(bounds(classes, _fitting(tile, rows)))
        return Cuts(bounds(count, rows), evenly(here, parts))

    def _observed(self, xp: Namespace, head: Head, *, again: bool) -> Left:
        """What a visit to all rows leaves."""
        cuts = self.cuts(xp, head, shape_of(xp, head.hidden)[0], again=again)
        blocks = (rows_of(head, *block) for block in cuts.rows)
        seen = [self.observe(xp, block, cuts.classes, again=again) for block in blocks]
        return joined(xp, Left, seen)

    def observe(
        self, xp: Namespace, head: Head, parts: list[Bounds], *, again: bool = False
    ) -> Left:
        """What a visit to a block of rows leaves."""
        if len(parts) > 1:
            return self._observe_parts(xp, head, parts)
        leaves = leaves_of(head, logits_of(xp, self.loss, head))
        return self.loss.visit(xp, leaves, again=again).left

    def _observe_parts(self, xp: Namespace, head: Head, parts: list[Bounds]) -> Left:
        """The same part by part: their statistics merge."""
        whole, temperature = row_targets(xp, self.loss, head), self.loss.temperature
        seen = (self._observe_part(xp, classes_of(head, *part), part[0], whole) for part in parts)
        stats = reduce(partial(_stats.merge, xp, temperature=temperature), seen)
        left = Left(stats.max, stats.rest, stats.mass, None)
        return left._replace(losses=self.loss.with_z(xp, whole, left, _stats.finish(xp, stats)))

    def _observe_part(self, xp: Namespace, head: Head, start: int, whole: Targets) -> Stats:
        x = self.loss.scores(xp, leaves_of(head, logits_of(xp, self.loss, head)))
        t = _targets.coefficients(xp, _targets.part(xp, whole, start, x))
        return _stats.observe(xp, x, t, axis=1, temperature=self.loss.temperature)

    def pull(
        self, xp: Namespace, leaves: Leaves, tile: Tile, want: Leaves, *, again: bool
    ) -> Leaves:
        """The gradients of a tile by its logits and by the other leaves."""
        rule, (rows,), visit = self.loss, tile.bars.rows, self._visit(xp, leaves, tile, again=again)
        visit, by_logits, others = visit._replace(how=tile.bars.how), None, Leaves(None, None)
        if want.logits:
            by_logits = rule.shaped(xp, leaves, rows * rule.by_first(xp, leaves, visit))
        if any(want[1:]):
            # What z_loss adds to the gradient by sample weights belongs to rows, not to classes.
            rule = replace(rule, z_loss=rule.z_loss if tile.start == 0 else 0.0)
            others = rule.by_others(xp, leaves, want, visit, rows, tile.bars.by_count)
        return others._replace(logits=by_logits)

    def _visit(self, xp: Namespace, leaves: Leaves, tile: Tile, *, again: bool) -> Visit:
        """A visit to a tile of which the statistics of the rows are known."""
        rule, left = self.loss, tile.left
        if tile.whole is None:
            return rule.visit(xp, leaves, left, again=again)
        x, cold = rule.scores(xp, leaves), rule.temperature
        seen = _stats.shares(xp, x, left.max, axis=1, temperature=cold, rest=left.rest)
        targets = _targets.part(xp, tile.whole, tile.start, x)
        return Visit(x, targets, _targets.coefficients(xp, targets), seen, left, tile.bars.how)


@dataclass(frozen=True)
class LinearScore:
    """The scores of the logits of a linear head; ``score`` has the classes on axis 1."""

    score: RowScore
    tile: int | None = None

    names = Head._fields
    constant = RowScore.constant
    outputs = RowScore.outputs
    others = RowScore.others

    def judged(self, leaves: tuple[Array | None, ...]) -> Judged | None:
        """The labels; the classes are the weight's."""
        return _judged(self.loss, Head(*leaves))

    @property
    def loss(self) -> RowLoss:
        """The rule of the rows' loss."""
        return self.score.loss

    def forward(
        self, xp: Namespace, leaves: tuple[Array | None, ...], *, again: bool = False
    ) -> tuple[tuple[Array, ...], Left]:
        """What `RowScore` tells of every row."""
        head, lead = flat(xp, Head(*leaves), hard=self.loss.hard), shape_of(xp, leaves[0])[:-1]
        blocks = (rows_of(head, *block) for block in self.cuts(xp, head).rows)
        seen = [self._score(xp, block, again=again) for block in blocks]
        values = joined(xp, lambda *found: found, [values for values, _ in seen])
        shaped_ = tuple(xp.reshape(value, lead) for value in values)
        return shaped_, joined(xp, Left, [left for _, left in seen])

    def summands(self, xp: Namespace, leaves: tuple[Array | None, ...]) -> tuple[Array, ...]:
        """What the totals of rows are sums of."""
        values, left = self.forward(xp, leaves)
        return summands(xp, self.loss, leaves[2], values, left)

    def _score(self, xp: Namespace, head: Head, *, again: bool) -> tuple[tuple[Array, ...], Left]:
        leaves = leaves_of(head, logits_of(xp, self.loss, head))
        return self.score.forward(xp, leaves, again=again)

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
        """The gradients by the wanted leaves, given those by the floating outputs."""
        head = flat(xp, Head(*leaves), hard=self.loss.hard)
        given = Bars(tuple(None if bar is None else xp.reshape(bar, (-1,)) for bar in bars))
        left, cuts = Left(*residuals), self.cuts(xp, head)
        made = pulled(xp, self, cuts, head, left, given, Head(*wanted), again=again)
        return shaped(xp, Head(*leaves), made)

    def idle(self, head: Head) -> Head:
        """What tells which rows have no gradient: a weight of 0 is one of the loss alone."""
        return head._replace(sample_weights=None)

    def cuts(self, xp: Namespace, head: Head) -> Cuts:
        """Blocks of rows: a row's prediction is one number of all classes."""
        classes = shape_of(xp, head.weight)[0]
        size = _fitting(self.tile or TILE, _widest(xp, classes))
        return Cuts(bounds(shape_of(xp, head.hidden)[0], size), [(0, classes)])

    def pull(
        self, xp: Namespace, leaves: Leaves, tile: Tile, want: Leaves, *, again: bool
    ) -> Leaves:
        """The gradients of a block by its logits and by the other leaves."""
        found = self.score.pullback(xp, leaves, tile.left, tile.bars.rows, want, again=again)
        return Leaves(*found)


# The pullback.


def pulled(
    xp: Namespace,
    rule: LinearLoss | LinearScore,
    cuts: Cuts,
    head: Head,
    left: Any,
    bars: Bars,
    want: Head,
    *,
    again: bool,
) -> Head:
    """The gradients by the leaves, rows along one axis, in the compute dtype.

    Class by class of parts, so that the gradient by each part of the weight is summed up at once;
    those by rows are sums over the parts. ``left`` is a named tuple of numbers of rows.
    """
    blocks = [_block(xp, rule, head, left, bars, block, cuts) for block in cuts.rows]
    by_rows: list[Head | None] = [None] * len(blocks)
    by_classes = []
    for start, stop in cuts.classes:
        total = None
        for i, block in enumerate(blocks):
            made = pull_tile(xp, rule, part_of(block, start, stop), want, again=again)
            by_rows[i] = added(by_rows[i], made._replace(**_NO_CLASSES))
            total = added(total, made._replace(**_NO_ROWS))
        by_classes.append(total)
    rows, classes = joined(xp, Head, by_rows), joined(xp, Head, by_classes)
    return Head(*(a if b is None else b for a, b in zip(rows, classes, strict=True)))


_NO_ROWS = {"hidden": None, "targets": None, "sample_weights": None}
_NO_CLASSES = {"weight": None, "bias": None, "class_weights": None}


def _block(
    xp: Namespace,
    rule: LinearLoss | LinearScore,
    head: Head,
    left: Any,
    bars: Bars,
    block: Bounds,
    cuts: Cuts,
) -> Tile:
    """A block of rows with all classes."""
    rows, own, those = head, left, bars.rows
    if len(cuts.rows) > 1:  # PyTorch's older vmap cannot take the whole of an array as a part
        here = slice(*block)
        rows = rows_of(head, *block)
        own = left._make(None if x is None else x[here, ...] for x in left)
        those = tuple(x if x is None or x.ndim == 0 else x[here, ...] for x in those)
    whole = row_targets(xp, rule.loss, rows) if len(cuts.classes) > 1 else None
    return Tile(rows, 0, whole, own, bars._replace(rows=those))


def part_of(tile: Tile, start: int, stop: Any) -> Tile:
    """Some classes of a tile of all."""
    return tile._replace(head=classes_of(tile.head, start, stop), start=start)


def pull_tile(
    xp: Namespace, rule: LinearLoss | LinearScore, tile: Tile, want: Head, *, again: bool
) -> Head:
    """The gradients of a tile: the logits are made again, and their gradient multiplied."""
    head, dtype = tile.head, rule.loss.dtype
    leaves = leaves_of(head, logits_of(xp, rule.loss, head))
    through = want.hidden or want.weight or want.bias
    asked = Leaves(through, want.targets, *want[4:7])._replace(normalizer=False, alpha=False)
    made = rule.pull(xp, leaves, tile, asked, again=again)
    by_hidden = by_weight = by_bias = None
    if want.hidden:
        by_hidden = xp.matmul(made.logits, xp.astype(head.weight, dtype))
    if want.weight:
        hidden = silenced(xp, rule.loss, rule.idle(head))
        by_weight = xp.matmul(xp.permute_dims(made.logits, (1, 0)), hidden)
    if want.bias:
        by_bias = xp.sum(made.logits, axis=0)
    return Head(by_hidden, by_weight, made.targets, by_bias, *made[2:4])


def may_idle(rule: RowLoss, head: Head) -> bool:
    """Whether a row may have no weight."""
    return head.sample_weights is not None or (rule.hard and rule.ignore_index is not None)


def silenced(xp: Namespace, rule: RowLoss, head: Head) -> Array:
    """The hidden rows, where a row has no weight without what its gradient 0 must not meet.

    Finite entries stay: the derivative by the weight has them.
    """
    hidden = xp.astype(head.hidden, rule.dtype)
    if not may_idle(rule, head):
        return hidden
    silent = (row_scale(xp, rule, head) == 0) & ~xp.isfinite(hidden)
    return xp.where(silent, xp.zeros_like(hidden), hidden)


def row_scale(xp: Namespace, rule: RowLoss, head: Head) -> Array:
    """The sample weight of every row, 0 where it is ignored."""
    if head.sample_weights is not None:
        scale = xp.reshape(xp.astype(head.sample_weights, rule.dtype), (-1, 1))
    else:
        scale = xp.ones_like(xp.astype(xp.sum(head.hidden, axis=-1, keepdims=True), rule.dtype))
    labels = row_targets(xp, rule, head).labels if rule.hard else None
    return _targets.scaled(xp, scale, None if labels is None else labels.kept, rule.dtype)


def shaped(xp: Namespace, leaves: Head, made: Head) -> Head:
    """The gradients in the shapes and dtypes of their leaves."""
    both = zip(made, leaves, strict=True)
    return Head(*(None if g is None else _shaped(xp, g, leaf) for g, leaf in both))


def _shaped(xp: Namespace, gradient: Array, leaf: Array) -> Array:
    # A cast to the same dtype may copy, and this may be as large as the weight.
    if gradient.dtype != leaf.dtype:
        gradient = xp.astype(gradient, leaf.dtype)
    return xp.reshape(gradient, shape_of(xp, leaf))


def joined(xp: Namespace, form: Callable[..., T], parts: Sequence[Any]) -> T:
    """Tuples of arrays, put together along the first axis; None stays None."""
    if len(parts) == 1:
        return form(*parts[0])
    columns = zip(*parts, strict=True)
    # PyTorch's older vmap knows concatenation by this name alone.
    concat = getattr(xp, "cat", xp.concat)
    return form(*(None if c[0] is None else concat(list(c), axis=0) for c in columns))


def added(a: Head | None, b: Head) -> Head:
    """Gradients added up; None is none."""
    if a is None:
        return b
    return Head(*(x if y is None else x + y for x, y in zip(a, b, strict=True)))


def _widest(xp: Namespace, classes: Any) -> Any:
    """The most classes that any device holds: all of them cut rows alike, and meet at each cut."""
    widest = getattr(xp, "widest", None)
    return classes if widest is None else widest(classes)


def _fitting(size: int, other: Any) -> int:
    """How many lines of a length make a tile of a size; an unknown length is taken as it is."""
    return max(1, size // other) if isinstance(other, int) and other else size
