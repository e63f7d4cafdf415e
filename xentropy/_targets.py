"""Targets become coefficients: labels, probabilities, smoothing, weights, ignored rows, masks.

The coefficient of class j in row i is

    t_ij = s_i c_j v_ij,    v_ij = (1 - e) B_ij + e mass_i / K_i,    mass_i = sum_j B_ij,

with B the one-hot of the label or the probabilities as given, e the label smoothing, s the sample
weights (0 where the row is ignored), c the class weights and K_i the unmasked classes of the row,
over which alone the smoothing is spread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, cast

from xentropy._stats import (
    Coefficients,
    along,
    class_count,
    class_numbers,
    counted,
    shape_of,
    times,
)
from xentropy._typing import Array, DType, Namespace

Weigh: TypeAlias = Callable[[Array], Array]


class Labels(NamedTuple):
    """Labels made safe to index with, which rows are kept, and which labels name a class.

    ``kept`` is None where all rows are known to be, and ``valid`` where all labels that count are
    known to name one. ``here`` is where they name one of these classes, if these are not all; None
    if they are.
    """

    index: Array
    kept: Array
    valid: Array
    here: Array = None


class Whole(NamedTuple):
    """What only all classes of a row tell, where an array holds some of them.

    ``share`` is e / K_i, None without smoothing; ``own`` the class weight of the label, None
    where it can be looked up or there are none; ``total`` is mass_i, None for labels: it is 1.
    """

    share: Array = None
    own: Array = None
    total: Array = None


class Targets(NamedTuple):
    """What makes the coefficients: every array in the compute dtype, with all the dimensions.

    ``labels`` or ``given`` is there, never both; ``scale`` is s_i, ``weights`` c_j, ``mask`` is
    True at the classes that take part, ``like`` has the shape of the logits. ``whole`` is there
    where these are some of the classes.
    """

    labels: Labels | None
    given: Array
    scale: Array
    weights: Array
    mask: Array
    smoothing: float
    like: Array
    axis: int
    whole: Whole | None = None


def read_labels(
    xp: Namespace, labels: Array, count: int | Array, ignore_index: int | None, index_dtype: DType
) -> Labels:
    """Labels of any integer dtype as indices; nothing wraps and nothing is cast to a float."""
    info = xp.iinfo(labels.dtype)
    lowest, largest = int(info.min), int(info.max)
    everywhere = labels == labels  # noqa: PLR0124 - an array of True, of the labels' shape
    kept = everywhere
    if ignore_index is not None and lowest <= ignore_index <= largest:
        kept = labels != ignore_index
    valid = _below(xp, labels, count, index_dtype)
    valid = valid if lowest == 0 else valid & (labels >= 0)
    index = xp.where(valid & kept, labels, xp.zeros_like(labels))
    return Labels(xp.astype(index, index_dtype), kept, valid)


def judged_labels(xp: Namespace, labels: Array, kept: Array | None, index_dtype: DType) -> Labels:
    """The same of labels of which those that count are known to name classes."""
    index = labels if kept is None else xp.where(kept, labels, xp.zeros_like(labels))
    return Labels(xp.astype(index, index_dtype), kept, None)


def _below(xp: Namespace, labels: Array, count: int | Array, index_dtype: DType) -> Array:
    """Where a label is below ``count``, which its own dtype need not be able to hold."""
    largest = int(xp.iinfo(labels.dtype).max)
    if isinstance(count, int):
        return labels == labels if count > largest else labels < count  # noqa: PLR0124
    # Unknown while tracing, an array or a framework's symbol: compare where neither side can wrap.
    wide = index_dtype if largest <= int(xp.iinfo(index_dtype).max) else labels.dtype
    count = xp.astype(count, wide) if hasattr(count, "dtype") else count
    return xp.astype(labels, wide) < count


def _ones(xp: Namespace, targets: Targets) -> Array:
    """Ones of the rows' shape, or 1 where labels are all that is known."""
    if targets.labels is not None:
        return 1.0
    if targets.whole is not None:
        return xp.ones_like(targets.whole.total)
    return xp.ones_like(xp.sum(targets.like, axis=targets.axis, keepdims=True))


def scaled(xp: Namespace, scale: Array | None, kept: Array | None, dtype: DType) -> Array | None:
    """The weights of rows, 0 where a row is not kept; None where all are 1, and kept."""
    if kept is None:
        return scale
    if scale is None:
        return xp.astype(kept, dtype)
    return xp.where(kept, scale, xp.zeros_like(scale))


def row_scale(xp: Namespace, targets: Targets) -> Array:
    """s_i: the sample weight of every row, 0 where the row is ignored.

    It is the number 1 where nothing weighs labels, all of which are kept.
    """
    kept = None if targets.labels is None else targets.labels.kept
    scale = scaled(xp, targets.scale, kept, targets.like.dtype)
    return _ones(xp, targets) if scale is None else scale


def kept_rows(xp: Namespace, targets: Targets) -> Array:
    """How many rows are neither ignored nor weighted 0."""
    scale = row_scale(xp, targets)
    return counted(xp, scale, scale)


def _factors(xp: Namespace, targets: Targets) -> Array:
    """c_j, and 0 at a masked class: what takes part in the smoothing."""
    if targets.weights is None:
        numbers = class_numbers(xp, targets.like, targets.axis, xp.int32)
        weights = xp.astype(numbers >= 0, targets.like.dtype)
    else:
        weights = targets.weights
    if targets.mask is None:
        return weights
    return xp.where(targets.mask, weights, xp.zeros_like(weights))


def _share(xp: Namespace, targets: Targets) -> Array:
    """e / K_i of every row."""
    if targets.whole is not None:
        return targets.whole.share
    known = class_count(xp, targets.like, targets.axis) if targets.mask is None else None
    if isinstance(known, int):
        return targets.smoothing / max(known, 1)
    ones = _factors(xp, targets._replace(weights=None))
    count = xp.sum(ones, axis=targets.axis, keepdims=True)
    return targets.smoothing / xp.where(count == 0, xp.ones_like(count), count)


def coefficients(xp: Namespace, targets: Targets, known: Array | None = None) -> Coefficients:
    """The coefficients t, labels kept as labels and the smoothing as a row times a column.

    ``known`` is what `row_scale` gives, where that was asked before.
    """
    scale: Array = row_scale(xp, targets) if known is None else known
    if targets.labels is None:
        return _soft(xp, targets, scale)
    on: Array = scale if targets.smoothing == 0 else scale * (1 - targets.smoothing)
    if targets.weights is not None:
        on = on * _own_weight(xp, targets)
    if targets.labels.here is not None:
        on = xp.where(targets.labels.here, on, xp.zeros_like(on))
    if targets.labels.valid is not None:
        missing = targets.labels.kept & ~targets.labels.valid
        on = xp.where(missing, xp.zeros_like(on) + float("nan"), on)
    if targets.smoothing == 0:
        return Coefficients(label=targets.labels.index, on=on)
    spread = scale * _share(xp, targets)
    return Coefficients(targets.labels.index, on, spread, _factors(xp, targets))


def _own_weight(xp: Namespace, targets: Targets) -> Array:
    """The class weight of every label."""
    if targets.whole is not None and targets.whole.own is not None:
        return targets.whole.own
    labels = cast("Labels", targets.labels)
    return lookup(xp, targets.weights, labels.index)


def _mass(xp: Namespace, targets: Targets) -> Array:
    """mass_i of probabilities."""
    if targets.whole is not None:
        return targets.whole.total
    return xp.sum(targets.given, axis=targets.axis, keepdims=True)


def _soft(xp: Namespace, targets: Targets, scale: Array) -> Coefficients:
    dense = targets.given
    if targets.smoothing == 0 and targets.weights is None and targets.scale is None:
        return Coefficients(dense=dense)
    # A row of weight 0 adds nothing, whatever its targets are.
    dense = times(xp, scale * (1 - targets.smoothing), dense)
    dense = dense if targets.weights is None else dense * targets.weights
    if targets.smoothing == 0:
        return Coefficients(dense=dense)
    spread = times(xp, scale * _share(xp, targets), _mass(xp, targets))
    return Coefficients(dense=dense, spread=spread, weights=_factors(xp, targets))


def balanced(xp: Namespace, t: Coefficients, alpha: Array, ndim: int, axis: int) -> Coefficients:
    """The coefficients times ``alpha``: one number, or one for every class."""
    if alpha.ndim == 0:
        wide = own = alpha
    else:
        wide = along(xp, alpha, ndim, axis)
        own = None if t.on is None else lookup(xp, alpha, t.label)
    return t._replace(
        on=None if t.on is None else t.on * own,
        weights=None if t.weights is None else t.weights * wide,
        dense=None if t.dense is None else t.dense * wide,
    )


def _cut(x: Array, start: Any, count: Any) -> Array:
    return x[:, start : start + count]


def part(
    xp: Namespace,
    whole: Targets,
    start: Any,
    like: Array,
    cut: Callable[[Array, Any, Any], Array] = _cut,
) -> Targets:
    """What makes the coefficients of some classes, from ``start`` on, as many as ``like`` has.

    ``whole`` has labels, and weights and mask of one row: no array of rows and classes. ``cut``
    takes the classes where ``start`` is an array.
    """
    if whole.labels is None:
        raise TypeError("probabilities are not cut by classes: they are held whole")
    count = shape_of(xp, like)[whole.axis]
    index = whole.labels.index - start
    here = (index >= 0) & (index < count)
    labels = whole.labels._replace(index=xp.where(here, index, xp.zeros_like(index)), here=here)
    weights, mask = (
        None if x is None else cut(x, start, count) for x in (whole.weights, whole.mask)
    )
    share = None if whole.smoothing == 0 else _share(xp, whole)
    known = Whole(share)
    return Targets(labels, None, whole.scale, weights, mask, whole.smoothing, like, 1, known)


def is_part(targets: Targets) -> bool:
    """Whether these are some of the classes."""
    return targets.whole is not None


def belief(xp: Namespace, targets: Targets) -> Coefficients:
    """B: the one-hot of the label, or the probabilities as given; 0 in an ignored row."""
    return coefficients(xp, targets._replace(scale=None, weights=None, smoothing=0.0))


def lookup(xp: Namespace, weights: Array, index: Array) -> Array:
    """The class weight of every label."""
    flat = xp.take(xp.reshape(weights, (-1,)), xp.reshape(index, (-1,)), axis=0)
    return xp.reshape(flat, shape_of(xp, index))


def _pattern(xp: Namespace, targets: Targets) -> Array:
    """v_ij, dense: for the gradients by weights, which need every class anyway."""
    if targets.labels is None:
        base = targets.given
        total = _mass(xp, targets)
    else:
        index = targets.labels.index
        here = class_numbers(xp, targets.like, targets.axis, index.dtype) == index
        if targets.labels.here is not None:
            here = here & targets.labels.here
        base = xp.astype(here & targets.labels.kept, targets.like.dtype)
        total = xp.astype(targets.labels.kept, targets.like.dtype)
    if targets.smoothing == 0:
        return base
    unmasked = _factors(xp, targets._replace(weights=None))
    return (1 - targets.smoothing) * base + _share(xp, targets) * total * unmasked


# The gradients: ``weigh`` gives, for a factor of every t_ij, the gradient through that factor.


def pull_scale(xp: Namespace, targets: Targets, weigh: Weigh) -> Array:
    """The gradient by s_i."""
    pattern = _pattern(xp, targets)
    pattern = pattern if targets.weights is None else pattern * targets.weights
    return xp.sum(weigh(pattern), axis=targets.axis, keepdims=True)


def pull_weights(xp: Namespace, targets: Targets, weigh: Weigh) -> Array:
    """The gradient by c_j, before the sum over rows."""
    return weigh(row_scale(xp, targets) * _pattern(xp, targets))


def pull_given(xp: Namespace, targets: Targets, weigh: Weigh) -> Array:
    """The gradient by the probabilities: their own share, and that of the mass they smooth with."""
    scale = row_scale(xp, targets)
    factor = scale * (1 - targets.smoothing)
    factor = factor if targets.weights is None else factor * targets.weights
    direct = weigh(factor + xp.zeros_like(targets.like))
    if targets.smoothing == 0:
        return direct
    smoothed = weigh(scale * _share(xp, targets) * _factors(xp, targets))
    return direct + xp.sum(smoothed, axis=targets.axis, keepdims=True)
