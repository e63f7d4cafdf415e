"""Runs each backend's processes one after the other: side by side they would slow each other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.cases import Request
from benchmarks.peak import ENVIRONMENT

#: Seconds after which a process that has not finished is ended.
LIMIT = 3600
#: Lines kept of what a process that died had to say.
TAIL = 12
#: Called with a job's name and a line of its output: ``total N``, or a cell that begins.
Watch = Callable[[str, str], None]


@dataclass(frozen=True)
class Job:
    """A process: what it measures, ``timed`` or ``measured``, and the backend."""

    module: str
    backend: str

    @property
    def name(self) -> str:
        """What the progress bar calls it."""
        return f"{self.backend} {'time' if self.module == 'timed' else 'memory'}"

    def environment(self) -> dict[str, str]:
        """This process' own, with the same import path; GPUs are not taken whole."""
        return (
            os.environ
            | {
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "TF_FORCE_GPU_ALLOW_GROWTH": "true",
                "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            }
            | (ENVIRONMENT if self.module == "measured" else {})
        )


def run(jobs: Iterable[Job], request: Request, watch: Watch) -> dict[Job, Mapping[str, Any]]:
    """What every job left."""
    with tempfile.TemporaryDirectory() as folder:
        return {job: run_one(job, request, Path(folder), watch) for job in jobs}


def run_one(job: Job, request: Request, folder: Path, watch: Watch) -> Mapping[str, Any]:
    """Run one job to its end; of a process that dies, what it died of."""
    out = folder / f"{job.name}.json"
    module = f"benchmarks.{job.module}"
    command = [sys.executable, "-m", module, job.backend, json.dumps(asdict(request)), str(out)]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        status, last = _follow(job, command, errors, watch)
        if status or not out.exists():
            errors.seek(0)
            return {"death": _obituary(status, last, errors)}
    left: Mapping[str, Any] = json.loads(out.read_text("utf-8"))
    return left


def _follow(job: Job, command: list[str], errors: IO[str], watch: Watch) -> tuple[int, str]:
    """The exit status of a process, and the last line of its output."""
    with subprocess.Popen(  # noqa: S603 - this interpreter, on modules of ours
        command, stdout=subprocess.PIPE, stderr=errors, text=True, env=job.environment()
    ) as process:
        timer = threading.Timer(LIMIT, process.kill)
        timer.start()
        last = ""
        for line in process.stdout or ():
            last = line.rstrip()
            watch(job.name, last)
        timer.cancel()
    return process.returncode, last


def _obituary(status: int, last: str, errors: IO[str]) -> str:
    """What a process died of: the last it said, without the paths of this machine."""
    said = deque((line.strip() for line in errors if "File " not in line), TAIL)
    return " ".join([f"exit status {status} after {last or 'its start'!r}.", *said]).rstrip()
