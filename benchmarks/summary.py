"""Medians and quartiles, of samples and of the ratios of two contenders round by round."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import quantiles
from typing import NamedTuple

#: Digits that are kept: more than a timing has.
DIGITS = 4
#: From this share of the median on, the middle half of the rounds is called wide.
WIDE = 0.3


class Spread(NamedTuple):
    """A median between its quartiles."""

    median: float
    low: float
    high: float

    @property
    def wide(self) -> bool:
        """Whether the middle half of the rounds is far apart."""
        return self.high - self.low > WIDE * self.median


def spread(samples: Sequence[float]) -> Spread:
    """Median and quartiles, interpolated linearly.

    Raises
    ------
    ValueError
        If there are no samples.
    """
    if not samples:
        raise ValueError("there must be at least one sample, got none")
    if len(samples) == 1:
        return Spread(*(_rounded(samples[0]),) * 3)
    low, median, high = quantiles(samples, n=4, method="inclusive")
    return Spread(_rounded(median), _rounded(low), _rounded(high))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """The spread of the ratios of each round: what slows a round down slows both."""
    return spread([a / b for a, b in zip(ours, theirs, strict=True)])


def apart(ours: Spread, theirs: Spread) -> Spread:
    """A ratio of two that were not timed in the same rounds; its quartiles are the widest."""
    ends = (ours.median / theirs.median, ours.low / theirs.high, ours.high / theirs.low)
    return Spread(*map(_rounded, ends))


def _rounded(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")
