"""PyTorch in two processes that hold some classes each: gloo, and slices that are not even.

The column's process has no part in it: it names a case to both, and puts together what they say.
"""

from __future__ import annotations

import atexit
import json
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any

from xentropy.parity._case import Case
from xentropy.parity.columns import _slices

#: Processes, and seconds after which one that does not answer is taken for hanging.
RANKS, PATIENCE = 2, 120

Cell = dict[str, Any]


def bounds(classes: int) -> list[_slices.Bounds]:
    """The classes of each process: the first one has about a third."""
    own = max(1, classes // 3)
    return [(0, own), (own, classes)]


class Ranks:
    """The processes of a group, which compute case after case."""

    autograd = True

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[str]] = []
        atexit.register(self.end)

    def start(self) -> None:
        """They wait for their first case, unless they do already."""
        if self.started:
            return
        folder = tempfile.mkdtemp()
        command = [sys.executable, "-P", "-m", __name__, str(Path(folder) / "store")]
        self.started = [
            subprocess.Popen(  # noqa: S603 - this interpreter, on this module
                [*command, str(rank)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for rank in range(RANKS)
        ]

    def end(self) -> None:
        """Let nothing of them be left."""
        for process in self.started:
            process.kill()
            process.wait()
        self.started = []

    def context(self, case: Case) -> AbstractContextManager[Any]:
        """Nothing special."""
        return nullcontext()

    def lacks(self, case: Case) -> str | None:
        """Whether there are slices of its classes."""
        return _slices.lacking(case)

    def cell(self, case: Case) -> Cell:
        """What the processes make of a case together."""
        self.start()
        for process in self.started:
            print(pickle.dumps(case).hex(), file=process.stdin, flush=True)
        timer = threading.Timer(PATIENCE, self._kill)
        timer.start()
        lines = [_of(process.stdout).readline() for process in self.started]
        timer.cancel()
        if not all(lines):
            self.end()
            return {"error": {"classes": ["Hanging"], "message": "a process died or hung"}}
        return _slices.joined(case, [json.loads(line) for line in lines])

    def _kill(self) -> None:
        for process in self.started:
            process.kill()


def make() -> Ranks:
    """The adapter."""
    return Ranks()


def _of(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the process was started without a pipe")
    return pipe


# In each process.


def serve(store: str, rank: int, lines: Iterable[str]) -> None:
    """Compute the cases that come, one a line, and say what came out."""
    import torch
    from torch import distributed

    from xentropy.parity._column import computed
    from xentropy.parity.columns._torch import make as make_alone

    torch.set_num_threads(1)
    meeting = Path(store).as_uri()
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=RANKS)
    framework = make_alone(compiled=False)
    for line in lines:
        case = pickle.loads(bytes.fromhex(line))  # noqa: S301 - from the column's process
        here = bounds(_slices.classes(case))[rank]
        local = _slices.part(case, here, distributed.group.WORLD)
        print(json.dumps(computed(framework, local)), flush=True)
    distributed.destroy_process_group()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), sys.stdin)
