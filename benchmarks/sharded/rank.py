"""One process of a group: ``python -m benchmarks.sharded.rank FOLDER NUMBER COUNT``.

It reads ``request.json`` in the folder, where the processes meet, and leaves ``NUMBER.json``.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from benchmarks import peak
from benchmarks.sharded.model import Case, Message
from benchmarks.sharded.traffic import messages
from benchmarks.sharded.ways import WAYS, Inputs, Way, made, mesh_of
from benchmarks.timing import without_collector

#: Seconds that a process waits for the others.
PATIENCE = 120
#: Rows of the call that a process is warmed up with before its memory is measured.
FEW = 8


def main(folder: Path, number: int, count: int) -> None:
    """Meet the others, measure and leave what was found."""
    warnings.simplefilter("ignore")
    asked = json.loads((folder / "request.json").read_text("utf-8"))
    torch.set_num_threads(asked["threads"])
    dist.init_process_group(
        "gloo", (folder / "store").as_uri(), timedelta(seconds=PATIENCE), count, number
    )
    case, ways = Case(**asked["case"]), {name: WAYS[name] for name in asked["ways"]}
    find = partial(timed, rounds=asked["rounds"]) if asked["rounds"] else measured
    (folder / f"{number}.json").write_text(json.dumps(find(case, ways)), "utf-8")
    dist.barrier()
    dist.destroy_process_group()


def timed(case: Case, ways: Mapping[str, Way], rounds: int) -> dict[str, Any]:
    """Seconds of every way, called in turns; what each sends; how far they are apart."""
    inputs = made(case, mesh_of(case.processes))
    calls = {name: partial(way.run, inputs) for name, way in ways.items()}
    found, failed = counted(calls)
    calls = {name: calls[name] for name in found}
    return {
        "samples": in_turns(calls, rounds),
        "messages": found,
        "failed": failed,
        **compared(calls, inputs),
    }


def counted(
    calls: Mapping[str, Callable[[], object]],
) -> tuple[dict[str, list[Message]], dict[str, str]]:
    """What each call sends, and why the others cannot be made; those that can are warm then."""
    found: dict[str, list[Message]] = {}
    failed: dict[str, str] = {}
    for name, call in calls.items():
        try:
            found[name] = messages(call)
        except Exception as error:  # noqa: BLE001 - whatever it is, the report says it
            failed[name] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return found, failed


def in_turns(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each call, another one first every round; all processes begin together."""
    samples: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    with without_collector():
        for turn in range(rounds):
            start = turn % len(names)
            for name in names[start:] + names[:start]:
                dist.barrier()
                began = time.perf_counter()
                calls[name]()
                samples[name].append(time.perf_counter() - began)
    return samples


def compared(calls: Mapping[str, Callable[[], torch.Tensor]], inputs: Inputs) -> dict[str, Any]:
    """The losses, and how far gradients are from those of the first way, by their largest entry."""
    losses: dict[str, float] = {}
    apart: dict[str, float] = {}
    wanted: Sequence[torch.Tensor] = ()
    for name, call in calls.items():
        losses[name] = float(call())
        found = [leaf.grad for leaf in inputs.leaves if leaf.grad is not None]
        wanted = wanted or [by.clone() for by in found]
        pairs = zip(found, wanted, strict=True)
        apart[name] = max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)
    return {"losses": losses, "apart": apart}


def measured(case: Case, ways: Mapping[str, Way]) -> dict[str, dict[str, int]]:
    """The bytes at the peak of every way beyond its inputs, in processes that do nothing else."""
    mesh = mesh_of(case.processes)
    few = made(replace(case, rows=FEW), mesh)
    for way in ways.values():
        way.run(few)
    few.clear()
    inputs = made(case, mesh)
    return {"peaks": {name: _peak(way, inputs) for name, way in ways.items()}}


def _peak(way: Way, inputs: Inputs) -> int:
    """The bytes at the peak of a way, beside which no gradient of an earlier one lies."""
    inputs.clear()
    dist.barrier()
    return peak.beyond(partial(way.run, inputs))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.flush()
    # Without the interpreter's own end, in which gloo's threads now and then abort the process.
    os._exit(0)
