"""A backend's memory: ``python -m benchmarks.measured BACKEND REQUEST OUT``, beside no clock.

Ours and the framework's own are called one after the other, each after a warm-up, and the most
memory that each held beyond its inputs is written.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import inputs
from benchmarks.cases import Cell, Request, request_of
from benchmarks.contenders import frameworks
from benchmarks.contenders._contender import Contender, Framework
from benchmarks.timed import Record, programs, wanted

#: Below this many logits what is measured is the bookkeeping of the allocator.
LEAST = 500_000


def main(backend: str, request: str, out: str) -> None:
    """Measure every large cell of a request and write what it took."""
    warnings.simplefilter("ignore")
    asked = request_of(json.loads(request))
    asked = replace(asked, rows=("normal",))
    found = frameworks(backend)
    print(f"total {len(list(_large(asked))) * len(found)}", flush=True)
    cells = [record for each in found for record in measured(each, backend, asked)]
    Path(out).write_text(json.dumps({"cells": cells}), "utf-8")


def _large(asked: Request) -> Iterator[Cell]:
    return (cell for cell in asked.cells() if cell.elements >= LEAST)


def measured(framework: Framework, backend: str, asked: Request) -> Iterator[Record]:
    """The records of every cell on one device."""
    for cells in programs(_large(asked)):
        framework.start()
        operands = framework.operands(inputs.make(cells[0]))
        for cell in cells:
            print(cell.name, flush=True)
            yield record(framework, backend, cell, operands, asked)
        del operands  # before there are others, which would lie behind them


def record(framework: Framework, backend: str, cell: Cell, operands: Any, asked: Request) -> Record:
    """What each contender of a cell took, and who is compared with whom.

    What a library of matrix products keeps for itself is no contender's: it is there before.
    """
    every = wanted(framework.pairs(cell), backend, cell, asked)
    pairs = [pair for pair in every if not pair.theirs.bare]
    for pair in every:
        if pair.kind == "products":
            _run(framework, pair.theirs, operands)
    contenders = {one.name: one for pair in pairs for one in (pair.ours, pair.theirs)}
    found = {name: taken(framework, one, cell, operands) for name, one in contenders.items()}
    return {
        "cell": cell.json(),
        "device": framework.device,
        "pairs": [[pair.mode, pair.kind, pair.ours.name, pair.theirs.name] for pair in pairs],
        "bytes": {name: each for name, each in found.items() if not isinstance(each, str)},
        "failed": {name: each for name, each in found.items() if isinstance(each, str)},
    }


def taken(framework: Framework, contender: Contender, cell: Cell, operands: Any) -> int | str:
    """Bytes at the peak, or why they are not known.

    The warm-up is on few rows, so that imports do not count but what a call keeps for the next
    one does; where a shape has to be compiled, it is on the same input.
    """
    small = operands if contender.compiled else framework.operands(inputs.make(cell.small()))
    try:
        _run(framework, contender, small)
        del small
        return framework.peak(partial(_run, framework, contender, operands))
    except Exception as error:  # noqa: BLE001 - whatever it is, the report says it
        return f"{type(error).__name__}: {error}"[:200]


def _run(framework: Framework, contender: Contender, operands: Any) -> Any:
    result = contender.call(operands)
    framework.wait(result)
    return result


if __name__ == "__main__":
    main(*sys.argv[1:])
