"""Several processes that work together: ``run(function, 2)`` calls a function once in each.

A rank is a Python process of its own, so that a framework may be configured in it as a user would
and a crash ends no test run. None outlives its test: one that fails or is late ends the others.
"""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import importlib.util
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

R = TypeVar("R")
Once = Callable[[str, Callable[[], Any]], Any]

CALL, RESULT, LOG = "call.pickle", "result-{}.pickle", "log-{}.txt"
# Between a rank's own end of a late run, which shows where it hung, and the end made from outside.
GRACE = 5.0


@dataclass(frozen=True)
class Rank:
    """One process among several, and a folder that all of them see, for a file to meet at."""

    number: int
    count: int
    folder: Path


class RankError(RuntimeError):
    """A rank has failed or was late; the message has what it wrote."""


def run(
    function: Callable[..., R],
    ranks: int,
    *arguments: Any,
    timeout: float = 120.0,
    environment: Mapping[str, str] | None = None,
) -> list[R]:
    """What ``function(rank, *arguments)`` returns in each of some processes, in their order.

    The function is one of a module's own names; arguments and results can be pickled.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        place = (function.__code__.co_filename, function.__module__, function.__name__)
        # What the arguments are made of is found on the path, and in the module.
        call = (sys.path, *place, pickle.dumps(arguments))
        (folder / CALL).write_bytes(pickle.dumps(call))
        with started(folder, ranks, timeout, os.environ | (environment or {})) as processes:
            wait(processes, folder, time.monotonic() + timeout + GRACE)
        return [pickle.loads((folder / RESULT.format(i)).read_bytes()) for i in range(ranks)]  # noqa: S301 - our own


@contextlib.contextmanager
def started(
    folder: Path, ranks: int, timeout: float, environment: Mapping[str, str]
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The processes, which are ended on the way out together with what they started."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for i in range(ranks):
            command = [sys.executable, __file__, str(folder), str(i), str(ranks), str(timeout)]
            # A file takes any amount of output; a pipe that nobody empties would stop its writer.
            with (folder / LOG.format(i)).open("wb") as log:
                processes.append(
                    subprocess.Popen(
                        command, stdout=log, stderr=log, env=environment, start_new_session=True
                    )
                )
        yield processes
    finally:
        for process in processes:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a rank and its children; it leads a group of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # gone, or about to be
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait(processes: Sequence[subprocess.Popen[bytes]], folder: Path, deadline: float) -> None:
    """Return when all have succeeded; raise as soon as one has not, or at the deadline."""
    while True:
        states = [process.poll() for process in processes]
        if any(states) or time.monotonic() > deadline:
            raise RankError(told(states, folder))
        if None not in states:
            return
        time.sleep(0.02)


def told(states: Sequence[int | None], folder: Path) -> str:
    """How every rank that has not succeeded fared, those that failed first."""
    failed = {i: f"ended with status {state}" for i, state in enumerate(states) if state}
    late = {i: "was still running" for i, state in enumerate(states) if state is None}
    parts = [
        f"rank {i} {how}:\n{(folder / LOG.format(i)).read_text(errors='replace')}"
        for i, how in (failed | late).items()
    ]
    return "\n".join(parts)


def once(folder: Path, name: str, make: Callable[[], R]) -> R:
    """What ``make`` gives: who asks first calls it, and its error is that of all who ask.

    A folder that all workers of pytest see makes it one call of all of them.
    """
    result = folder / f"{name}.pickle"
    with (folder / f"{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not result.exists():
            result.write_bytes(pickle.dumps(attempted(make)))
    told = pickle.loads(result.read_bytes())  # noqa: S301 - our own
    if isinstance(told, RuntimeError):
        raise told
    return told  # type: ignore[no-any-return]


def attempted(make: Callable[[], R]) -> R | RuntimeError:
    """What a call gives, or why ranks failed: who asks next need not wait for it again."""
    try:
        return make()
    except RuntimeError as error:
        return error


def serve(folder: Path, number: int, count: int, timeout: float) -> None:
    """Be a rank: call the function and leave its result in the folder."""
    # Without this thread, which needs no interpreter, a rank whose parent is gone could wait on.
    faulthandler.dump_traceback_later(timeout, exit=True)
    sys.path[:], file, module, name, held = pickle.loads((folder / CALL).read_bytes())  # noqa: S301 - our own
    function = getattr(load(file, module), name)
    result = function(Rank(number, count, folder), *pickle.loads(held))  # noqa: S301
    (folder / RESULT.format(number)).write_bytes(pickle.dumps(result))
    sys.stdout.flush()
    # Without the interpreter's own end, in which a framework's threads that still let go of
    # tensors abort the process (pytorch/pytorch#179291).
    os._exit(0)


def load(file: str, name: str) -> Any:
    """A module by the name that it has elsewhere, from its file: its folder may be on no path."""
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no module")
    module = importlib.util.module_from_spec(spec)
    parent, _, _ = name.rpartition(".")
    if parent:  # whoever imports the module by its name imports its parent first
        sys.modules.setdefault(parent, ModuleType(parent))
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    import processes  # by its name, so that a Rank is of one class wherever it is seen

    processes.serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
