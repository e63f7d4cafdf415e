"""Groups of processes: each of them starts fresh, and none outlives its group."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.peak import ENVIRONMENT

#: Seconds after which a group that has not finished is ended.
LIMIT = 900.0
#: Characters kept of what a process that failed had to say.
TAIL = 400

Process = subprocess.Popen[bytes]


class GroupError(RuntimeError):
    """A process of a group has failed, or was late."""


def run(request: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """What each of ``count`` processes found."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "request.json").write_text(json.dumps(request), "utf-8")
        memory = {} if request["rounds"] else ENVIRONMENT
        with started(folder, count, os.environ | memory) as processes:
            wait(processes, folder, time.monotonic() + LIMIT)
        return [json.loads((folder / f"{i}.json").read_text("utf-8")) for i in range(count)]


@contextmanager
def started(folder: Path, count: int, environment: dict[str, str]) -> Iterator[list[Process]]:
    """The processes, which are ended on the way out."""
    paths = os.pathsep.join(path for path in sys.path if path)
    module = [sys.executable, "-m", "benchmarks.sharded.rank", str(folder)]
    processes: list[Process] = []
    try:
        for i in range(count):
            command = [*module, str(i), str(count)]
            with (folder / f"{i}.log").open("wb") as log:
                made = subprocess.Popen(  # noqa: S603 - this interpreter, on a module of ours
                    command, stdout=log, stderr=log, env=environment | {"PYTHONPATH": paths}
                )
            processes.append(made)
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def wait(processes: Sequence[Process], folder: Path, deadline: float) -> None:
    """Return when all have succeeded; raise as soon as one has not, or at the deadline."""
    while True:
        states = [process.poll() for process in processes]
        failed = [i for i, state in enumerate(states) if state]
        if failed:
            raise GroupError(f"process {failed[0]}: {_last(folder / f'{failed[0]}.log')}")
        if None not in states:
            return
        if time.monotonic() > deadline:
            raise GroupError(f"{states.count(None)} of {len(states)} processes were late")
        time.sleep(0.05)


def _last(log: Path) -> str:
    """The last line of what a process said: its error."""
    lines = log.read_text("utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no word")[:TAIL]
