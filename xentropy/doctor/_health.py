"""Sends out the probes, and makes of what each one told a verdict on its backend."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xentropy.doctor._bounds import older
from xentropy.doctor._exact import Exact, gradients, losses
from xentropy.doctor.frameworks import FRAMEWORKS

Process = subprocess.Popen[bytes]

MODES = ("eager", "compiled")
#: Lines kept of what a process that died had to say.
TAIL = 8
#: Processes at a time: each holds a framework.
TOGETHER = 4

STEPS = {
    "": "before it began",
    "import": "when it was imported",
    "devices": "when it looked for devices",
    "eager": "in the call",
    "compiled": "in the compiled call",
}


@dataclass(frozen=True)
class Agreement:
    """How far a mode is from the exact value: the worst errors in units in the last place.

    `gradient` is None where there are no gradients. `fine` says that every number is within the
    bound that the package promises.
    """

    value: float
    gradient: float | None
    fine: bool


@dataclass(frozen=True)
class Health:
    """A backend as it was found.

    Parameters
    ----------
    name : str
        Its name, which is that of its extra.
    installed : bool
        Whether its package can be found.
    versions : mapping of str to str
        Of the framework, under its name, and of what it computes with.
    devices : sequence of str
        Where it can compute.
    compiler : str
        What compiles, if anything.
    modes : mapping of str to Agreement
        What came out of the call, by mode.
    wrong, notes : tuple of str
        What is wrong with it, and what is merely not there.
    """

    name: str
    installed: bool = True
    versions: Mapping[str, str] = field(default_factory=dict)
    devices: Sequence[str] = ()
    compiler: str = ""
    modes: Mapping[str, Agreement] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Told:
    """What a probe told: its facts, the step that it began last, and how it ended if not well."""

    facts: Mapping[str, Any]
    step: str
    death: str = ""


def examine(
    names: Iterable[str], limit: float, eager: bool, watch: Callable[[str], None]
) -> list[Health]:
    """Look at backends, some at a time; `watch` is told the name of each that begins."""
    started: list[Process] = []

    def one(name: str) -> Health:
        if not FRAMEWORKS[name].installed:
            return Health(name, installed=False)
        watch(name)
        return judged(name, probe(name, limit, eager, started))

    with ThreadPoolExecutor(min(TOGETHER, os.cpu_count() or 1)) as pool:
        try:
            return list(pool.map(one, names))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in started:
                _end(process)
            raise


# The processes.


def probe(name: str, limit: float, eager: bool, started: list[Process]) -> Told:
    """Run a backend's process to its end, or until it has taken too long."""
    with tempfile.TemporaryDirectory() as folder:
        out, errors = Path(folder) / "told", Path(folder) / "errors"
        command = [sys.executable, "-P", "-m", "xentropy.doctor._probe", name, str(out)]
        # Into a file: what the process started in turn may outlive it, and would hold a pipe open.
        with errors.open("wb") as chatter:
            death = _run([*command, *["--eager"] * eager], chatter.fileno(), limit, started)
        facts, step = _read(out)
        return Told(facts, step, death and f"{death}\n{_tail(errors)}".rstrip())


def _run(command: Sequence[str], chatter: int, limit: float, started: list[Process]) -> str:
    """Run a command in a session of its own; how it ended, if not well."""
    with subprocess.Popen(  # noqa: S603 - this interpreter, on a module of ours
        command,
        stdin=subprocess.DEVNULL,
        stdout=chatter,
        stderr=chatter,
        env=_environment(),
        start_new_session=True,
    ) as process:
        started.append(process)
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            return f"no answer within {limit:g} s"
        finally:
            _end(process)
    return _ended(status) if status else ""


def _end(process: Process) -> None:
    """Let nothing be left of a process and of what it started."""
    if hasattr(os, "killpg"):
        with suppress(OSError):  # there is nothing left
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _ended(status: int) -> str:
    if status > 0:
        return f"died with exit status {status}"
    try:
        return f"died of {signal.Signals(-status).name}"
    except ValueError:
        return f"died of signal {-status}"


def _environment() -> dict[str, str]:
    """This process' own, with the same import path; no framework takes all of a device's memory."""
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }


def _read(out: Path) -> tuple[dict[str, Any], str]:
    """The facts of the lines that are whole, and the last step."""
    facts: dict[str, Any] = {}
    text = out.read_text("utf-8") if out.exists() else ""
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            facts |= json.loads(line)
    return facts, str(facts.pop("step", ""))


def _tail(errors: Path) -> str:
    return "\n".join(errors.read_text("utf-8", errors="replace").splitlines()[-TAIL:])


# The verdict.


def judged(name: str, told: Told) -> Health:
    """The verdict on what a probe told."""
    versions, devices, *answers = (
        told.facts.get(fact, {}) for fact in ("versions", "devices", *MODES)
    )
    found = dict(zip(MODES, answers, strict=True))
    modes = {m: agreement(*a["result"]) for m, a in found.items() if "result" in a}
    compiler = FRAMEWORKS[name].compiler
    compiles = found["compiled"].get("error")
    return Health(
        name,
        versions=versions.get("result", {}),
        devices=devices.get("result", ()),
        compiler=compiler,
        modes=modes,
        wrong=(*_old(name, versions.get("result", {})), *_wrong(told, modes)),
        notes=(f"{compiler} is not available: {compiles.splitlines()[0]}",) if compiles else (),
    )


def _old(name: str, versions: Mapping[str, str]) -> Iterable[str]:
    """A framework that is older than the package is made for."""
    for framework, version in versions.items():
        bound = older(framework, version)
        if framework == name and bound:
            yield f"version {version} is older than {bound}, which the package needs"


def _wrong(told: Told, modes: Mapping[str, Agreement]) -> Iterable[str]:
    """What is wrong. A compiler that refuses is not: eager calls do without."""
    if told.death:
        yield f"{STEPS[told.step]}: {told.death}"
    if "error" in told.facts:
        yield f"{STEPS['import']}: {told.facts['error']}"
    for fact in ("versions", "devices", "eager"):
        if "error" in told.facts.get(fact, {}):
            yield f"{STEPS.get(fact, STEPS['devices'])}: {told.facts[fact]['error']}"
    for mode, found in modes.items():
        if not found.fine:
            yield f"{STEPS[mode]}: the numbers are farther from the exact ones than the bound"


def agreement(values: Sequence[float], gradient: Sequence[float] | None) -> Agreement:
    """How far the numbers of a call are from the exact ones."""
    value, value_fine = _worst(losses(), values)
    if gradient is None:
        return Agreement(value, None, value_fine)
    slope, slope_fine = _worst(gradients(), gradient)
    return Agreement(value, slope, value_fine and slope_fine)


def _worst(exact: Exact, got: Sequence[float]) -> tuple[float, bool]:
    """The largest error, and whether all are within their budgets; numbers may be missing."""
    if len(got) != len(exact.numbers):
        return math.inf, False
    errors = [math.inf if math.isnan(e) else e for e in exact.errors(got)]
    pairs = zip(errors, exact.budgets, strict=True)
    return max(errors), all(error <= budget for error, budget in pairs)
