"""Rows at the limits of what a loss is of, and what they come to: declared once, by hand."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sharded_cases import IGNORED

INF, NAN = float("inf"), float("nan")
Row = tuple[float, ...]


class Limit(NamedTuple):
    """A row and its label, with the loss, and all that a score tells of it."""

    row: Row
    label: int
    loss: float
    lse: float
    entropy: float
    prediction: int


def row(base: float, **entries: float) -> Row:
    """Eight equal logits but for some, by their numbers: ``c3=7.0``."""
    return tuple(entries.get(f"c{j}", base) for j in range(8))


HALF = (-INF,) * 4 + (0.0,) * 4
ONE = row(-INF, c7=2.0)
NOTHING = row(-INF)
ENDLESS = row(0.0, c3=INF)
BOTH = row(0.0, c1=INF, c6=INF)
LOST = row(0.0, c5=NAN)
TIE = row(0.0, c2=5.0, c5=5.0)
_TIED = 5.0 + np.log(2 + 6 * np.exp(-5.0))
_TIED_ENTROPY = _TIED - 10.0 / (2 + 6 * np.exp(-5.0))

LIMITS = {
    "a slice of -inf": Limit(HALF, 5, np.log(4), np.log(4), np.log(4), 4),
    "the label among -inf": Limit(HALF, 1, INF, np.log(4), np.log(4), 4),
    "one finite logit": Limit(ONE, 7, 0.0, 2.0, 0.0, 7),
    "-inf alone": Limit(NOTHING, 0, NAN, -INF, NAN, 0),
    "+inf at the label": Limit(ENDLESS, 3, 0.0, INF, 0.0, 3),
    "+inf elsewhere": Limit(ENDLESS, 6, INF, INF, 0.0, 3),
    "two +inf": Limit(BOTH, 1, NAN, INF, NAN, 1),
    "NaN": Limit(LOST, 0, NAN, NAN, NAN, 5),
    "NaN at the label": Limit(LOST, 5, NAN, NAN, NAN, 5),
    "two NaN": Limit(row(9.0, c2=NAN, c6=NAN), 0, NAN, NAN, NAN, 2),
    "NaN beside +inf": Limit(row(0.0, c1=INF, c6=NAN), 0, NAN, NAN, NAN, 6),
    "a huge label": Limit(row(0.0, c4=1e30), 4, 0.0, 1e30, 0.0, 4),
    "huge elsewhere": Limit(row(0.0, c4=1e30), 0, 1e30, 1e30, 0.0, 4),
    "two huge ones": Limit(row(0.0, c1=1e30, c6=1e30), 6, np.log(2), 1e30, np.log(2), 1),
    "all low": Limit(row(-1e30), 7, np.log(8), -1e30, np.log(8), 0),
    "all equal": Limit(row(3.0), 7, np.log(8), 3 + np.log(8), np.log(8), 0),
    "a tie": Limit(TIE, 5, _TIED - 5.0, _TIED, _TIED_ENTROPY, 2),
    "a tie, the first": Limit(TIE, 2, _TIED - 5.0, _TIED, _TIED_ENTROPY, 2),
    "ignored": Limit(TIE, IGNORED, 0.0, 0.0, 0.0, 2),
    "ignored NaN": Limit(LOST, IGNORED, 0.0, 0.0, 0.0, 5),
    "ignored +inf": Limit(BOTH, IGNORED, 0.0, 0.0, 0.0, 1),
    "ignored -inf": Limit(NOTHING, IGNORED, 0.0, 0.0, 0.0, 0),
}
#: The same without rows that are not finite: blocks of these are visited in place.
PLAIN = {
    name: limit for name, limit in LIMITS.items() if np.isfinite(limit.row).all() and limit.loss < 1
}

#: Rows that are sure, rightly or not: the label has a margin over the rest, or another class has.
MARGINS = (0.0, 1.0, 8.0, 17.0, 30.0, 60.0, 85.0)
SURE = [
    (row(0.0, **{f"c{best}": margin, f"c{second}": -1.0}), label)
    for margin in MARGINS
    for best, second, label in ((0, 7, 0), (7, 0, 7), (3, 4, 3), (5, 2, 2), (2, 6, 0), (0, 1, 4))
] + [(row(0.0, c1=margin, c6=margin), 6) for margin in MARGINS]
