"""A backend's clock: ``python -m benchmarks.timed BACKEND REQUEST OUT``, a process of its own.

Every cell's contenders are timed in turns; the samples are written, and each cell is named on
standard output as it begins.
"""

from __future__ import annotations

import json
import math
import sys
import time
import timeit
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks import inputs
from benchmarks.cases import Cell, Request, request_of
from benchmarks.contenders import BACKENDS, frameworks
from benchmarks.contenders._contender import Contender, Framework, Pair
from benchmarks.timing import interleave

Record = dict[str, Any]


def main(backend: str, request: str, out: str) -> None:
    """Time every cell of a request and write the samples."""
    warnings.simplefilter("ignore")
    asked = request_of(json.loads(request))
    found = frameworks(backend)
    print(f"total {len(list(asked.cells())) * len(found)}", flush=True)
    cells = [record for each in found for record in timed(each, backend, asked)]
    held = {"cells": cells, "dispatch": dispatch(found[0])}
    Path(out).write_text(json.dumps(held), "utf-8")


def timed(framework: Framework, backend: str, asked: Request) -> Iterator[Record]:
    """The records of every cell on one device."""
    for cells in programs(asked.cells()):
        framework.start()
        pairs = {c.direction: wanted(framework.pairs(c), backend, c, asked) for c in cells}
        for _, alike in groupby(cells, key=lambda cell: cell.rows):
            yield from _alike(framework, list(alike), pairs, asked.seconds)


def programs(cells: Iterable[Cell]) -> Iterator[list[Cell]]:
    """The cells, those that are compiled alike together."""
    for _, group in groupby(cells, key=lambda c: (c.loss, c.shape, c.dtype, c.targets)):
        yield list(group)


def wanted(pairs: Iterable[Pair], backend: str, cell: Cell, asked: Request) -> list[Pair]:
    """The pairs of the modes that take part in a cell."""
    spared = BACKENDS[backend].spared
    return [pair for pair in pairs if asked.mode(pair.mode, cell, pair.mode in spared)]


def _alike(
    framework: Framework, cells: Sequence[Cell], pairs: dict[str, list[Pair]], seconds: float
) -> Iterator[Record]:
    """The records of the cells that have the same tensors."""
    operands = framework.operands(inputs.make(cells[0]))
    for cell in cells:
        print(cell.name, flush=True)
        yield record(framework, cell, pairs[cell.direction], operands, seconds)


def record(
    framework: Framework, cell: Cell, pairs: Sequence[Pair], operands: Any, seconds: float
) -> Record:
    """Samples and losses of a cell's contenders, and who is compared with whom."""
    contenders = {one.name: one for pair in pairs for one in (pair.ours, pair.theirs)}
    losses, failed = ready(framework, contenders.values(), operands)
    calls = {name: partial(_done, framework, contenders[name], operands) for name in losses}
    rest = partial(_rest, framework.rest) if framework.rest else None
    samples = interleave(calls, seconds, rest=rest)
    return {
        "cell": cell.json(),
        "device": framework.device,
        "pairs": [[pair.mode, pair.kind, pair.ours.name, pair.theirs.name] for pair in pairs],
        "samples": samples,
        "losses": {name: loss for name, loss in losses.items() if not contenders[name].bare},
        "failed": failed,
    }


def ready(
    framework: Framework, contenders: Iterable[Contender], operands: Any
) -> tuple[dict[str, float], dict[str, str]]:
    """The losses of the contenders that work, and why the others do not: not every function takes
    every dtype.
    """
    losses: dict[str, float] = {}
    failed: dict[str, str] = {}
    for one in contenders:
        try:
            result = one.call(operands)
            losses[one.name] = math.nan if one.bare else framework.read(result).loss
        except Exception as error:  # noqa: BLE001 - whatever it is, the report says it
            lines = str(error).splitlines() or [""]
            failed[one.name] = f"{type(error).__name__}: {lines[0]}"[:200]
    return losses, failed


def _done(framework: Framework, one: Contender, operands: Any) -> None:
    framework.wait(one.call(operands))


def _rest(seconds: float) -> None:
    """Do nothing, but keep the core: threads may all wake up on one where the others sleep."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def dispatch(framework: Framework, count: int = 100_000) -> float:
    """Nanoseconds in which the backend of a known type is found; the best of five."""
    from xentropy._dispatch import backend_of

    tensor = framework.logits(framework.operands(inputs.make(Cell((2, 3)))))
    backend_of(tensor, "logits")
    find = partial(backend_of, tensor, "logits")
    return min(timeit.repeat(find, number=count, repeat=5)) / count * 1e9


if __name__ == "__main__":
    main(*sys.argv[1:])
