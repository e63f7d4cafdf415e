"""Runs the oracle and the columns, each in a process of its own, and collects what they leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from xentropy.parity._matrix import Column
from xentropy.parity.columns import compiles, sharded

#: Called with a column's name and the case that it begins.
Watch = Callable[[str, str], None]

#: Seconds after which a process that has not finished is ended.
LIMIT = 1800
#: Lines kept of what a process that died had to say.
TAIL = 12


@dataclass(frozen=True)
class Job:
    """A process: its column's name, the module that it runs, and that module's arguments."""

    name: str
    module: str
    arguments: tuple[str, ...]

    def command(self, out: Path, pattern: str) -> list[str]:
        """The command line."""
        return [sys.executable, "-P", "-m", self.module, *self.arguments, str(out), pattern]


ORACLE = Job("oracle", "xentropy.parity._oracle", ())


def column_job(backend: str, mode: str, every: int = 1) -> Job:
    """The job of a column, which makes one in some of the programs that are compiled."""
    return Job(f"{backend} {mode}", "xentropy.parity._column", (backend, mode, str(every)))


def run(jobs: Sequence[Job], folder: Path, pattern: str, watch: Watch) -> dict[str, Column]:
    """Run all jobs, as many at a time as there are cores, those that take longest first."""
    ordered = sorted(jobs, key=_haste)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        columns = pool.map(lambda job: run_one(job, folder, pattern, watch), ordered)
        return {column.name: column for column in columns}


def _haste(job: Job) -> int:
    """Those that compile and those that talk first, then the oracle, then the eager ones."""
    slow = compiles(job.name) or sharded(job.name)
    return 0 if slow else 1 if job is ORACLE else 2


def run_one(job: Job, folder: Path, pattern: str, watch: Watch) -> Column:
    """Run one job to its end; a process that dies gives a column without cells."""
    out, errors = folder / f"{job.name}.json", folder / f"{job.name}.err"
    start = time.perf_counter()
    with errors.open("w+", encoding="utf-8") as stderr:
        status, last = _follow(job, job.command(out, pattern), stderr, watch)
    seconds = round(time.perf_counter() - start, 1)
    if status or not out.exists():
        return Column(job.name, death=_obituary(status, last, errors), seconds=seconds)
    return Column(job.name, json.loads(out.read_text("utf-8"))["cells"], seconds=seconds)


def _follow(job: Job, command: list[str], stderr: IO[str], watch: Watch) -> tuple[int, str]:
    """The exit status of a process, and the case that it began last."""
    with subprocess.Popen(  # noqa: S603 - this interpreter, on modules of ours
        command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=_environment()
    ) as process:
        timer = threading.Timer(LIMIT, process.kill)
        timer.start()
        last = ""
        for line in process.stdout or ():
            last = line.rstrip()
            watch(job.name, last)
        timer.cancel()
    return process.returncode, last


def _environment() -> dict[str, str]:
    """This process' own, with the same import path, one thread a process, on the host."""
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "OMP_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
        "JAX_PLATFORMS": "cpu",
    }


def _obituary(status: int, last: str, errors: Path) -> str:
    tail = "\n".join(errors.read_text("utf-8", errors="replace").splitlines()[-TAIL:])
    return f"exit status {status} after the case {last or '(none)'!r}\n{tail}".rstrip()
