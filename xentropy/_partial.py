"""Rows of which some classes have been seen: observed part by part, merged, and told as scores."""

from __future__ import annotations

from typing import NamedTuple

from xentropy import _stats, _targets
from xentropy._rows import Leaves, Left, RowLoss
from xentropy._stats import Coefficients, Stats, times
from xentropy._targets import Labels, Targets
from xentropy._typing import Array, Namespace


class Part(NamedTuple):
    """What a visit to some classes of rows leaves; the class axis is kept with length one.

    ``own`` has the coefficient 1 at the label, if it is among these classes, and ``others`` the
    weights of all of them, over which a smoothing spreads: what the coefficients of a row are is
    known only when all classes have been seen. ``count`` is how many of them take part.
    """

    own: Stats
    others: Stats
    moment: Array
    best: Array
    count: Array


def observe(xp: Namespace, arrays: tuple[Leaves, Array], rule: RowLoss) -> Part:
    """Visit some classes, by their leaves and the number of the first of them."""
    leaves, start = arrays
    x, labels = rule.scores(xp, leaves), _labels(xp, rule, leaves)
    peak = _stats.peak_of(xp, x, rule.axis)
    seen = _stats.shares(xp, x, peak, axis=rule.axis, temperature=rule.temperature)
    index = labels.index - start
    here = (index >= 0) & (index < x.shape[rule.axis])
    own = Coefficients(xp.where(here, index, xp.zeros_like(index)), xp.astype(here, rule.dtype))
    taking = _taking(xp, rule, leaves, x)
    others = Coefficients(spread=xp.ones_like(peak), weights=_weights(xp, rule, leaves, taking))
    best = xp.argmax(x, axis=rule.axis, keepdims=True)
    return Part(
        _stats.tally(xp, seen, peak, own, axis=rule.axis),
        _stats.tally(xp, seen, peak, others, axis=rule.axis),
        _stats.moment(xp, seen, rule.axis),
        xp.astype(best, rule.index_dtype) + start,
        xp.sum(taking),
    )


def part_of(leaves: Leaves, start: int, stop: int) -> Leaves:
    """The leaves of some classes whose logits these are: their weights and mask."""
    weights, where = (
        None if x is None else x[start:stop] for x in (leaves.class_weights, leaves.where)
    )
    return leaves._replace(class_weights=weights, where=where)


def _taking(xp: Namespace, rule: RowLoss, leaves: Leaves, x: Array) -> Array:
    """1 at the classes that take part, along the class axis."""
    numbers = _stats.class_numbers(xp, x, rule.axis, xp.int32)
    ones = xp.astype(numbers >= 0, rule.dtype)
    return _stats.cut(xp, ones, _stats.along(xp, leaves.where, x.ndim, rule.axis))


def _weights(xp: Namespace, rule: RowLoss, leaves: Leaves, taking: Array) -> Array:
    if leaves.class_weights is None:
        return taking
    weights = xp.astype(leaves.class_weights, rule.dtype)
    return taking * _stats.along(xp, weights, taking.ndim, rule.axis)


def _labels(xp: Namespace, rule: RowLoss, leaves: Leaves) -> Labels:
    """Labels of a number of classes that is not known yet; -1 where there is none."""
    if leaves.targets is None:
        rows = xp.max(leaves.logits, axis=rule.axis, keepdims=True)
        none = xp.astype(xp.zeros_like(rows), rule.index_dtype) - 1
        return Labels(none, none < 0, none >= 0)
    labels = xp.expand_dims(leaves.targets, axis=rule.axis)
    most = int(xp.iinfo(rule.index_dtype).max)
    found = _targets.read_labels(xp, labels, most, rule.ignore_index, rule.index_dtype)
    none = xp.zeros_like(found.index) - 1
    return found._replace(index=xp.where(found.valid | ~found.kept, found.index, none))


def merge(xp: Namespace, parts: tuple[Part, Part], rule: RowLoss) -> Part:
    """What a visit to the classes of both leaves."""
    (a, b), temperature = parts, rule.temperature
    own = _stats.merge(xp, a.own, b.own, temperature=temperature)
    others = _stats.merge(xp, a.others, b.others, temperature=temperature)
    moment = _stats.merge_moment(xp, (a.own, a.moment), (b.own, b.moment), temperature=temperature)
    return Part(own, others, moment, _best(xp, a, b), a.count + b.count)


def _best(xp: Namespace, a: Part, b: Part) -> Array:
    """The class of the larger maximum; of equals, or of two NaN, the first one."""
    lost_a, lost_b = xp.isnan(a.own.max), xp.isnan(b.own.max)
    equal = (a.own.max == b.own.max) | (lost_a & lost_b)
    later = (b.own.max > a.own.max) | (lost_b & ~lost_a)
    return xp.where(later | (equal & (b.best < a.best)), b.best, a.best)


def scores(xp: Namespace, arrays: tuple[Leaves, Part], rule: RowLoss) -> tuple[Array, ...]:
    """What `RowScore` tells, of rows of which all classes have been seen."""
    leaves, part = arrays
    labels, own = _labels(xp, rule, leaves), part.own
    kept, lost = xp.astype(labels.kept, rule.dtype), labels.kept & (own.mass == 0)
    lse = _stats.logsumexp(xp, own, temperature=rule.temperature)
    believed = own._replace(gap=times(xp, kept, own.gap), mass=kept)
    nothing = xp.zeros_like(own.max) + float("nan")
    values = (
        xp.where(lost, nothing, _losses(xp, rule, leaves, part, labels)),
        xp.where(lost, nothing, -_stats.finish(xp, believed)),
        times(xp, kept, lse),
        times(xp, kept, _stats.entropy(xp, own.max, own.rest, part.moment)),
        part.best,
        labels.kept & (part.best == labels.index),
    )
    return tuple(xp.squeeze(value, axis=rule.axis) for value in values)


def _losses(xp: Namespace, rule: RowLoss, leaves: Leaves, part: Part, labels: Labels) -> Array:
    own, weights = part.own, leaves.sample_weights
    if weights is not None:
        weights = xp.expand_dims(xp.astype(weights, rule.dtype), axis=rule.axis)
    targets = Targets(labels, None, weights, None, None, rule.label_smoothing, own.max, rule.axis)
    scale = _targets.row_scale(xp, targets)
    on = scale * (1 - rule.label_smoothing)
    if leaves.class_weights is not None:
        index = xp.where(labels.index < 0, xp.zeros_like(labels.index), labels.index)
        on = on * _targets.lookup(xp, xp.astype(leaves.class_weights, rule.dtype), index)
    count = xp.where(part.count == 0, xp.ones_like(part.count), part.count)
    spread = scale * (rule.label_smoothing / count)
    gap = times(xp, on, own.gap) + times(xp, spread, part.others.gap)
    whole = own._replace(gap=gap, mass=on + spread * part.others.mass)
    left = Left(own.max, own.rest, whole.mass, None)
    return rule.with_z(xp, targets, left, _stats.finish(xp, whole))
