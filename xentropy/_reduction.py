"""Rows become a number: mean, sum or none, and what a mean divides by."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from xentropy._stats import times
from xentropy._typing import Array, Namespace, Normalizer, Reduction


class Reducer(NamedTuple):
    """How the losses of rows are reduced; ``divisor`` is what a mean divides by, None elsewhere.

    ``divides_by_mass`` says that it is the sum of the rows' masses and so depends on the
    coefficients; ``empty`` is what a mean over nothing is. It has no gradient.
    """

    reduction: Reduction
    divisor: Array = None
    divides_by_mass: bool = False
    empty: float = 0.0


def reducer(
    xp: Namespace,
    reduction: Reduction,
    normalizer: Normalizer | None,
    masses: Array,
    kept: Array | None,
    number: Array | None,
    empty: float = 0.0,
) -> Reducer:
    """The reducer for rows with these masses; ``number`` is a normalizer given as a value."""
    if reduction != "mean":
        return Reducer(reduction)
    if number is not None:
        return Reducer(reduction, xp.astype(number, masses.dtype), empty=empty)
    if normalizer == "weights":
        return Reducer(reduction, xp.sum(masses), divides_by_mass=True, empty=empty)
    if normalizer == "valid" and kept is not None:
        return Reducer(reduction, kept, empty=empty)
    return Reducer(reduction, xp.sum(xp.ones_like(masses)), empty=empty)


def reduce(xp: Namespace, rows: Array, how: Reducer) -> Array:
    """The reduced loss."""
    if how.reduction == "none":
        return rows
    total = xp.sum(rows)
    if how.divisor is None:
        return total
    nothing = xp.zeros_like(total) + how.empty
    return xp.where(how.divisor == 0, nothing, total / _nonzero(xp, how.divisor))


def spread(xp: Namespace, how: Reducer, bar: Array) -> Array:
    """The gradient by every row's loss, given the gradient ``bar`` by the reduced loss."""
    if how.divisor is None:
        return bar
    return xp.where(how.divisor == 0, xp.zeros_like(bar), bar / _nonzero(xp, how.divisor))


def pull_count(xp: Namespace, rows: Array, how: Reducer, bar: Array) -> Array:
    """The gradient by the count of a mean: -mean / count."""
    return -spread(xp, how, spread(xp, how, bar) * xp.sum(rows))


def counting(xp: Namespace, how: Reducer, loss: Array) -> Array:
    """Losses as gradients know them: a mean over nothing has none, however large they are."""
    if how.divisor is None:
        return loss
    return xp.where(how.divisor == 0, xp.zeros_like(loss), loss)


def _nonzero(xp: Namespace, count: Array) -> Array:
    return xp.where(count == 0, xp.ones_like(count), count)


def weigher(
    xp: Namespace, how: Reducer, rows: Array, loss: Array, by_count: Array | None
) -> Callable[[Array], Array]:
    """What a factor of coefficients receives: the loss that it weighs, and its part in a count.

    ``rows`` is the gradient by every row's loss, ``by_count`` that by the count of a mean.
    """
    through = by_count if how.divides_by_mass else None
    loss = counting(xp, how, loss)

    def weigh(factor: Array) -> Array:
        direct = rows * times(xp, factor, loss)
        return direct if through is None else direct + through * factor

    return weigh
