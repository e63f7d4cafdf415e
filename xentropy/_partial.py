"""Rows of which some classes have been seen: observed part by part, merged, and told.

A part has sums over its classes, of the shape of the rows with the class axis kept. Sums of parts
add up once they stand under a common maximum: those that a stream has seen one after the other,
those of the chunks of a lazy array, and those that devices hold, of which only these numbers
travel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, cast

from xentropy import _stats, _targets
from xentropy._reduction import Reducer
from xentropy._rows import Leaves, Left, RowLoss
from xentropy._score import RowScore
from xentropy._stats import Coefficients, Stats, times
from xentropy._targets import Labels, Targets, Whole
from xentropy._typing import Array, Namespace

Rule: TypeAlias = RowLoss | RowScore


class First(NamedTuple):
    """The largest entry of rows, and the first class that has it."""

    value: Array
    place: Array


class Part(NamedTuple):
    """What a visit to some classes of rows leaves; what a rule has no use for is None.

    The statistics have three kinds of coefficients: ``own`` the one-hot of the label or the
    probabilities, ``weighed`` these times the class weights, ``others`` the class weights of all
    that take part, over which a smoothing spreads, and ``taking`` says how many those are: what
    the coefficients of a row are is known only when all classes have been seen. ``likely`` is of
    the probabilities.
    """

    own: Stats
    weighed: Stats | None
    others: Stats | None
    taking: Array | None
    moment: Array | None
    best: First | None
    likely: First | None


def loss_of(rule: Rule) -> RowLoss:
    """The rule of the rows' loss."""
    return rule.loss if isinstance(rule, RowScore) else rule


def mapped(function: Callable[..., Any], *parts: Any) -> Any:
    """What a function makes of the arrays of parts, one by one; None stays None."""
    if parts[0] is None:
        return None
    if not isinstance(parts[0], tuple):
        return function(*parts)
    fields = (mapped(function, *fields) for fields in zip(*parts, strict=True))
    return type(parts[0])(*fields)


# A visit.


def observe(xp: Namespace, arrays: tuple[Leaves, Any], rule: Rule) -> Part:
    """Visit some classes, by their leaves and the number of the first of them."""
    (leaves, start), loss = arrays, loss_of(rule)
    x, axis = loss.scores(xp, leaves), loss.axis
    peak = _stats.peak_of(xp, x, axis)
    seen = _stats.shares(xp, x, peak, axis=axis, temperature=loss.temperature)
    own, told = belief(xp, loss, leaves, x, start), isinstance(rule, RowScore)
    taking = _taking(xp, loss, leaves, x) if loss.label_smoothing else None
    kinds = (own, weighed(xp, loss, leaves, own), _others(xp, loss, leaves, taking, peak))
    stats = (None if t is None else _stats.tally(xp, seen, peak, t, axis=axis) for t in kinds)
    return Part(
        *cast("tuple[Stats, Stats | None, Stats | None]", tuple(stats)),
        None if taking is None else _count(xp, taking, peak, axis),
        _stats.moment(xp, seen, axis) if told else None,
        _first(xp, loss, x, start) if told else None,
        _first(xp, loss, own.dense, start) if told and not loss.hard else None,
    )


def masses(xp: Namespace, arrays: tuple[Leaves, Any], rule: Rule) -> Part:
    """What the targets of some classes leave by themselves: of the logits the shape is asked.

    It merges like a visit, and has the masses and nothing else of one.
    """
    (leaves, start), loss = arrays, loss_of(rule)
    x, axis = leaves.logits, loss.axis
    own = belief(xp, loss, leaves, x, start)
    taking = _taking(xp, loss, leaves, x) if loss.label_smoothing else None
    zero = xp.zeros_like(_stats.mass(xp, own, axis))
    kinds = (own, weighed(xp, loss, leaves, own), _others(xp, loss, leaves, taking, zero))
    stats = (
        None if t is None else Stats(zero, zero, zero, _stats.mass(xp, t, axis)) for t in kinds
    )
    return Part(
        *cast("tuple[Stats, Stats | None, Stats | None]", tuple(stats)),
        None if taking is None else _count(xp, taking, zero, axis),
        None,
        None,
        None,
    )


def belief(xp: Namespace, loss: RowLoss, leaves: Leaves, x: Array, start: Any) -> Coefficients:
    """1 at the label, if it is among these classes; or the probabilities of these classes."""
    if not loss.hard:
        return Coefficients(dense=xp.astype(leaves.targets, loss.dtype))
    index = _labels(xp, loss, leaves).index - start
    here = (index >= 0) & (index < _stats.shape_of(xp, x)[loss.axis])
    return Coefficients(xp.where(here, index, xp.zeros_like(index)), xp.astype(here, loss.dtype))


def weighed(xp: Namespace, loss: RowLoss, leaves: Leaves, own: Coefficients) -> Coefficients | None:
    """The same times the class weights, where there are any."""
    if leaves.class_weights is None:
        return None
    weights = xp.astype(leaves.class_weights, loss.dtype)
    return _targets.balanced(xp, own, weights, leaves.logits.ndim, loss.axis)


def _others(
    xp: Namespace, loss: RowLoss, leaves: Leaves, taking: Array | None, peak: Array
) -> Coefficients | None:
    if taking is None:
        return None
    weights = taking
    if leaves.class_weights is not None:
        by_class = xp.astype(leaves.class_weights, loss.dtype)
        weights = taking * _stats.along(xp, by_class, taking.ndim, loss.axis)
    return Coefficients(spread=xp.ones_like(peak), weights=weights)


def _taking(xp: Namespace, loss: RowLoss, leaves: Leaves, x: Array) -> Array:
    """1 at the classes that take part, along the class axis."""
    numbers = _stats.class_numbers(xp, x, loss.axis, xp.int32)
    ones = xp.astype(numbers >= 0, loss.dtype)
    return _stats.cut(xp, ones, _stats.along(xp, leaves.where, x.ndim, loss.axis))


def _count(xp: Namespace, taking: Array, peak: Array, axis: int) -> Array:
    return xp.sum(taking, axis=axis, keepdims=True) + xp.zeros_like(peak)


def _first(xp: Namespace, loss: RowLoss, x: Array, start: Any) -> First:
    place = xp.argmax(x, axis=loss.axis, keepdims=True)
    value = xp.max(x, axis=loss.axis, keepdims=True)
    return First(value, xp.astype(place, loss.index_dtype) + start)


def _labels(xp: Namespace, loss: RowLoss, leaves: Leaves) -> Labels:
    """Labels of a number of classes that is not known here; -1 where there is none."""
    if leaves.targets is None:
        rows = xp.max(leaves.logits, axis=loss.axis, keepdims=True)
        none = xp.astype(xp.zeros_like(rows), loss.index_dtype) - 1
        return Labels(none, none < 0, none >= 0)
    labels = xp.expand_dims(leaves.targets, axis=loss.axis)
    most = int(xp.iinfo(loss.index_dtype).max)
    found = _targets.read_labels(xp, labels, most, loss.ignore_index, loss.index_dtype)
    none = xp.zeros_like(found.index) - 1
    return found._replace(index=xp.where(found.valid | ~found.kept, found.index, none))


def part_of(leaves: Leaves, start: int, stop: int) -> Leaves:
    """The leaves of some classes whose logits these are: their weights and mask."""
    weights, where = (
        None if x is None else x[start:stop] for x in (leaves.class_weights, leaves.where)
    )
    return leaves._replace(class_weights=weights, where=where)


# Parts become one.


def under(xp: Namespace, part: Part, peak: Array, temperature: float) -> tuple[Any, ...]:
    """The numbers of a part that add up, under a common maximum: sums of statistics, and others.

    Of three kinds of statistics, whose rests are one: the first has it.
    """
    kinds: list[Array | None] = []
    for i, stats in enumerate(part[:3]):
        if stats is None:
            kinds += [None] * 2
            continue
        found = _stats.contribution(xp, stats, peak, temperature=temperature)
        kinds += found if i == 0 else found[2:]
    moment = None
    if part.moment is not None:
        moment = _stats.lowered_moment(xp, part.own, part.moment, peak, temperature=temperature)
    return *kinds, part.taking, moment


def united(
    xp: Namespace, peak: Array, total: tuple[Any, ...], best: First | None, likely: First | None
) -> Part:
    """All parts as one, by the totals of `under` and the first of the largest entries."""
    rest, tops, gap, mass, *more, taking, moment = total
    own = _stats.united(xp, peak, _stats.Contribution(rest, tops, gap, mass))
    heavy, others = (
        None if pair[0] is None else own._replace(gap=pair[0], mass=pair[1])
        for pair in (more[:2], more[2:])
    )
    return Part(own, heavy, others, taking, moment, best, likely)


def merge(xp: Namespace, parts: tuple[Part, Part], rule: Rule) -> Part:
    """What a visit to the classes of both leaves."""
    a, b = parts
    peak = xp.maximum(a.own.max, b.own.max)
    both = [under(xp, part, peak, loss_of(rule).temperature) for part in parts]
    total = tuple(None if one is None else one + two for one, two in zip(*both, strict=True))
    firsts = (_earlier(xp, *pair) for pair in ((a.best, b.best), (a.likely, b.likely)))
    return united(xp, peak, total, *firsts)


def _earlier(xp: Namespace, a: First | None, b: First | None) -> First | None:
    """The larger maximum and its class; of equals, or of two NaN, the first one."""
    if a is None or b is None:
        return None
    lost_a, lost_b = xp.isnan(a.value), xp.isnan(b.value)
    equal = (a.value == b.value) | (lost_a & lost_b)
    later = (b.value > a.value) | (lost_b & ~lost_a)
    chosen = later | (equal & (b.place < a.place))
    return First(xp.where(chosen, b.value, a.value), xp.where(chosen, b.place, a.place))


# What rows tell of which all classes have been seen.


def left_of(xp: Namespace, arrays: tuple[Leaves, Part], rule: Rule) -> tuple[Left, Whole]:
    """What a visit to all classes would have left, and what only all classes tell."""
    (leaves, part), loss = arrays, loss_of(rule)
    targets, own = row_targets(xp, loss, leaves, part.own.max), part.own
    heavy = own if part.weighed is None else part.weighed
    scale, total = _targets.row_scale(xp, targets), own.mass
    on = _known(xp, targets, scale * (1 - loss.label_smoothing), total)
    gap, mass = times(xp, on, heavy.gap), times(xp, on, heavy.mass)
    share = None
    if part.others is not None and part.taking is not None:
        count = xp.where(part.taking == 0, xp.ones_like(part.taking), part.taking)
        share = loss.label_smoothing / count
        spread = times(xp, scale * share, total)
        gap = gap + times(xp, spread, part.others.gap)
        mass = mass + times(xp, spread, part.others.mass)
    losses = _stats.finish(xp, own._replace(gap=gap, mass=mass))
    left = Left(own.max, own.rest, mass, None)
    left = left._replace(losses=loss.with_z(xp, targets, left, losses))
    given = None if part.weighed is None or not loss.hard else heavy.mass
    return left, Whole(share, given, None if loss.hard else total)


def row_targets(xp: Namespace, loss: RowLoss, leaves: Leaves, like: Array) -> Targets:
    """What rows tell by themselves: labels and sample weights; ``like`` has their shape."""
    labels = _labels(xp, loss, leaves) if loss.hard else None
    scale = leaves.sample_weights
    if scale is not None:
        scale = xp.expand_dims(xp.astype(scale, loss.dtype), axis=loss.axis)
    whole = Whole(total=like)
    return Targets(labels, None, scale, None, None, 0.0, like, loss.axis, whole)


def reducer(xp: Namespace, loss: RowLoss, leaves: Leaves, left: Left) -> Reducer:
    """How the losses of rows are reduced."""
    kept = None
    if loss.normalizer == "valid":
        kept = _targets.kept_rows(xp, row_targets(xp, loss, leaves, left.max))
    return loss.reducer(xp, leaves, left.mass, kept)


def _known(xp: Namespace, targets: Targets, on: Array, total: Array) -> Array:
    """``on``, or NaN where a label was none of the classes."""
    if targets.labels is None:
        return on
    lost = targets.labels.kept & (total == 0)
    return xp.where(lost, xp.zeros_like(on) + float("nan"), on)


def scores(
    xp: Namespace, arrays: tuple[Leaves, Part], rule: RowScore
) -> tuple[tuple[Array, ...], Left, Whole]:
    """What `RowScore` tells, and what is left."""
    (leaves, part), loss = arrays, rule.loss
    left, whole = left_of(xp, arrays, rule)
    targets, own = row_targets(xp, loss, leaves, part.own.max), part.own
    kept = _targets.row_scale(xp, targets._replace(scale=None))
    believed = own._replace(gap=times(xp, kept, own.gap), mass=times(xp, kept, own.mass))
    lse = _stats.logsumexp(xp, own, temperature=loss.temperature)
    entropy = _stats.entropy(xp, own.max, own.rest, part.moment)
    values = (
        left.losses,
        -_known(xp, targets, _stats.finish(xp, believed), own.mass),
        times(xp, kept, lse),
        times(xp, kept, entropy),
        *_judged(targets, part),
    )
    return tuple(xp.squeeze(value, axis=loss.axis) for value in values), left, whole


def _judged(targets: Targets, part: Part) -> tuple[Array, Array]:
    """The most probable class, and whether it is the target's."""
    best = cast("First", part.best).place
    if targets.labels is not None:
        return best, targets.labels.kept & (best == targets.labels.index)
    return best, best == cast("First", part.likely).place
