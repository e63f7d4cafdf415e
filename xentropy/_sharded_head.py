"""Linear heads of which every device holds the rows of some classes.

The logits of these classes are made tile by tile and leave a part of every row, of which a few
numbers travel; the pullback makes them again. The gradient by ``hidden`` is a sum over all
devices, in one message; those by the slices of weight and bias are local.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, cast

from xentropy import _linear, _partial, _reduction
from xentropy._linear import Bars, Bounds, Head, LinearLoss, LinearScore, Tile
from xentropy._partial import Part
from xentropy._rows import Leaves, Visit
from xentropy._sharded import Apart, Sharded, apart, finished, gathered
from xentropy._shards import Shards
from xentropy._stats import shape_of
from xentropy._typing import Array, Namespace


@dataclass(frozen=True)
class _LossTiles(LinearLoss):
    """The pullback of a loss, of tiles whose classes are numbered among those of all devices."""

    group: Any = None  # Group
    held: int = 0

    def pull(
        self, xp: Namespace, leaves: Leaves, tile: Tile, want: Leaves, *, again: bool
    ) -> Leaves:
        """The gradients of a tile by its logits and by the other leaves."""
        shards = Shards(xp, self.group, 1, (tile.start, self.held))
        return super().pull(shards, leaves, tile, want, again=again)

    def _visit(self, xp: Namespace, leaves: Leaves, tile: Tile, *, again: bool) -> Visit:
        known = cast("Apart", tile.left)
        return self.loss.visit(xp, leaves, known.left, known.whole, again=again)


@dataclass(frozen=True)
class _ScoreTiles(LinearScore):
    """The same of scores."""

    group: Any = None  # Group
    held: int = 0

    def pull(
        self, xp: Namespace, leaves: Leaves, tile: Tile, want: Leaves, *, again: bool
    ) -> Leaves:
        """The gradients of a block by its logits and by the other leaves."""
        known = cast("Apart", tile.left)
        shards = Shards(xp, self.group, 1, (tile.start, self.held))
        visit = self.loss.visit(shards, leaves, known.left, known.whole, again=again)
        return self.score.pull(shards, leaves, want, visit, tile.bars.rows)


@dataclass(frozen=True)
class ShardedHead(Sharded):
    """The rule of a head whose weight, and what has its classes, is one slice of them."""

    @property
    def _each(self) -> _partial.Rule:
        """The rule of rows of logits."""
        head = cast("LinearLoss | LinearScore", self.rule)
        return head.score if isinstance(head, LinearScore) else head.loss

    def _packed(
        self, xp: Namespace, given: tuple[Array | None, ...]
    ) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """The values of one visit to these classes, and what all devices make of it."""
        head = _linear.flat(xp, Head(*given), hard=self.loss.hard)
        held = shape_of(xp, head.weight)[0]
        part = gathered(xp, self._observed(xp, head), self._each, self.group, held)
        values, known = finished(xp, _linear.leaves_of(head, None), part, self._each)
        if isinstance(self.rule, LinearScore) or self.loss.reduction == "none":
            lead = shape_of(xp, given[0])[:-1]
            values = tuple(xp.reshape(value, lead) for value in values)
        return values, known

    def _observed(self, xp: Namespace, head: Head) -> Part:
        """What a visit to the classes of this device leaves."""
        tiles = LinearLoss(self.loss, cast("LinearLoss", self.rule).tile)
        cuts = tiles.cuts(xp, head, shape_of(xp, head.hidden)[0], again=False)
        seen = []
        for block in cuts.rows:
            rows = _linear.rows_of(head, *block) if len(cuts.rows) > 1 else head
            parts = (self._observe(xp, rows, bounds) for bounds in cuts.classes)
            merge = partial(_merged, xp, self._each)
            seen.append(reduce(merge, parts))
        if len(seen) == 1:
            return seen[0]
        return cast("Part", _partial.mapped(lambda *x: xp.concat(list(x), axis=0), *seen))

    def _observe(self, xp: Namespace, rows: Head, bounds: Bounds) -> Part:
        """What a visit to a tile leaves."""
        first = self.group.first(shape_of(xp, rows.weight)[0]) + bounds[0]
        tile = _linear.classes_of(rows, *bounds)
        leaves = _linear.leaves_of(tile, _linear.logits_of(xp, self.loss, tile))
        return _partial.observe(xp, (leaves, first), self._each)

    def _pulled(
        self,
        xp: Namespace,
        leaves: tuple[Array | None, ...],
        residuals: tuple[Array, ...],
        bars: tuple[Array | None, ...],
        wanted: tuple[bool, ...],
    ) -> tuple[Array | None, ...]:
        """The gradients; that by hidden is summed up over the devices before it is rounded."""
        head, want = _linear.flat(xp, Head(*leaves), hard=self.loss.hard), Head(*wanted)
        known = apart(self.loss, _linear.leaves_of(head, None), residuals)
        given, tiles = self._bars(xp, head, known, bars), self._tiles(xp, head)
        shards = Shards(xp, self.group, 1)
        if isinstance(tiles, LinearScore):
            cuts = tiles.cuts(shards, head)
        else:
            cuts = tiles.cuts(shards, head, shape_of(xp, head.hidden)[0], again=False)
        made = _linear.pulled(xp, tiles, cuts, head, known, given, want, again=False)
        if want.hidden:
            made = made._replace(hidden=self.group.sum(made.hidden))
        if want.normalizer:
            made = made._replace(normalizer=given.by_count)
        return _linear.shaped(xp, Head(*leaves), made)

    def _tiles(self, xp: Namespace, head: Head) -> _LossTiles | _ScoreTiles:
        held = shape_of(xp, head.weight)[0]
        if isinstance(self.rule, LinearScore):
            return _ScoreTiles(self.rule.score, self.rule.tile, self.group, held)
        rule = cast("LinearLoss", self.rule)
        return _LossTiles(rule.loss, rule.tile, self.group, held)

    def _bars(
        self, xp: Namespace, head: Head, known: Apart, bars: tuple[Array | None, ...]
    ) -> Bars:
        """The gradients by the values of rows, and by the count of a mean."""
        if isinstance(self.rule, LinearScore):
            return Bars(tuple(None if bar is None else xp.reshape(bar, (-1,)) for bar in bars))
        leaves, bar = _linear.leaves_of(head, None), bars[0]
        how = _partial.reducer(xp, self.loss, leaves, known.left)
        bar = xp.reshape(bar, (-1, 1)) if self.loss.reduction == "none" else bar
        count = None if how.divisor is None else _reduction.pull_count(xp, known.losses, how, bar)
        return Bars((_reduction.spread(xp, how, bar),), count, how)


def _merged(xp: Namespace, rule: _partial.Rule, a: Part, b: Part) -> Part:
    return _partial.merge(xp, (a, b), rule)
