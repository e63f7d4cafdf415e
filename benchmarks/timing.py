"""Contenders timed in turns, so that whatever else the machine does reaches them all alike."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

Clock = Callable[[], float]
Call = Callable[[], object]

#: A sample lasts at least this long: calls of microseconds are repeated within it.
SAMPLE = 2e-3
#: A call that takes longer is not made again before the rounds.
SETTLED = 0.05
#: Rounds in a cell, whatever it costs and however quick it is.
LEAST, MOST = 5, 41


def interleave(
    calls: Mapping[str, Call],
    seconds: float,
    clock: Clock = time.perf_counter,
    rest: Call | None = None,
) -> dict[str, list[float]]:
    """Seconds a call of each contender, a number for every round.

    The calls are warm: each has been made once. Each is made again to see how long it takes. The
    rounds then fill `seconds`, each with every contender once, another one first each time. Before
    each sample comes `rest`, which does not count.
    """
    costs = {name: _cost(call, clock) for name, call in calls.items()}
    loops = {name: max(1, math.ceil(SAMPLE / max(cost, 1e-9))) for name, cost in costs.items()}
    total = sum(costs[name] * loops[name] for name in calls)
    samples: dict[str, list[float]] = {name: [] for name in calls}
    with without_collector():
        for order in _turns(list(calls), rounds(total, seconds)):
            for name in order:
                if rest is not None:
                    rest()
                samples[name].append(_sample(calls[name], loops[name], clock))
    return samples


def rounds(total: float, seconds: float) -> int:
    """How many rounds of `total` seconds fit."""
    return min(MOST, max(LEAST, int(seconds / max(total, 1e-9))))


def _cost(call: Call, clock: Clock) -> float:
    """Seconds of a call; of a short one the shortest of three, since it may still settle."""
    first = _sample(call, 1, clock)
    return first if first > SETTLED else min(first, *(_sample(call, 1, clock) for _ in range(2)))


def _turns(names: list[str], count: int) -> Iterator[list[str]]:
    """The order of each round: all of them, the first one last the next time."""
    for turn in range(count):
        start = turn % len(names) if names else 0
        yield names[start:] + names[:start]


def _sample(call: Call, loops: int, clock: Clock) -> float:
    """Seconds a call; what a call returns is given back within its time."""
    start = clock()
    for _ in range(loops):
        call()
    return (clock() - start) / loops


@contextmanager
def without_collector() -> Iterator[None]:
    """Collect now, and not while the clock runs."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
