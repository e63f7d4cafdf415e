"""The true value of a question of the README's table, from the definition, at 50 digits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from columns import Ask
from mpmath import mp

mp.dps = 50
Row = Sequence[Any]


def answer(ask: Ask) -> float:
    """Return the first entry of the true value or gradient."""
    rows = [[mp.mpf(value) for value in row] for row in np.asarray(ask.x).tolist()]
    if ask.function == "logsumexp":
        return float(logsumexp(rows[0]))
    coefficients = [weighted(row, ask) for row in targets(ask)]
    if ask.gradient:
        return float(slope(rows[0], coefficients[0]))
    losses = [loss(row, given) for row, given in zip(rows, coefficients, strict=True)]
    if ask.function == "rows":
        return float(losses[0])
    return float(mp.fsum(losses) / mp.fsum(chain.from_iterable(coefficients)))


def targets(ask: Ask) -> list[list[float]]:
    """Return one row of coefficients per row of logits, whichever way the targets were given."""
    given = np.asarray(ask.targets)
    if given.ndim < np.ndim(ask.x):
        given = given[:, None] == np.arange(np.shape(ask.x)[1])
    rows: list[list[float]] = given.astype("float64").tolist()
    return rows


def weighted(row: Sequence[float], ask: Ask) -> list[float]:
    """Multiply a row of coefficients by the class weights, if there are any."""
    weights = ask.weights or [1] * len(row)
    return [value * weight for value, weight in zip(row, weights, strict=True)]


def logsumexp(row: Row) -> Any:
    """The logarithm of the sum of the exponentials."""
    return mp.log(mp.fsum(mp.exp(value) for value in row))


def loss(row: Row, coefficients: Sequence[float]) -> Any:
    """Sum t_j * (lse - x_j) over the classes with t_j > 0."""
    lse = logsumexp(row)
    return mp.fsum(t * (lse - value) for t, value in zip(coefficients, row, strict=True) if t)


def slope(row: Row, coefficients: Sequence[float]) -> Any:
    """The derivative of the loss with respect to the first logit."""
    return mp.fsum(coefficients) * mp.exp(row[0] - logsumexp(row)) - coefficients[0]
