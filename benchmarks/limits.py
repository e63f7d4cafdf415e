"""What limits a call: ``python -m benchmarks.limits``, tables of evidence in Markdown.

For each backend, in a process of its own: what the steps of a loss cost alone; for each
contender the time, the page faults, the time in the kernel and the cores in use; and a profile
of ours and of the framework's own.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import inputs
from benchmarks.cases import Cell, shape_of, size
from benchmarks.contenders import BACKENDS, frameworks
from benchmarks.contenders._contender import Contender, Framework
from benchmarks.markdown import lines_table
from benchmarks.primitives import primitives

ROUNDS = 7
#: Seconds for which a contender is repeated.
LONG = 10.0
#: Lines of a profile.
TOP = 8
STEP_HEADS = ("ns an element", "GB/s read", "page faults")
CALL_HEADS = ("ms", "page faults", "ms in the kernel", "cores in use")


class Cost(NamedTuple):
    """What a call cost: seconds, page faults, seconds in the kernel, and of all processors."""

    seconds: float
    faults: float
    kernel: float
    processor: float


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    made.add_argument("--backends", nargs="+", choices=tuple(BACKENDS), metavar="BACKEND")
    made.add_argument("--shape", type=shape_of, default=(1024, 32000), metavar="SHAPE")
    made.add_argument(
        "--repeat",
        metavar="NAME",
        help=f"only call one contender for {LONG:.0f} seconds: for a system's profiler",
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables of every backend, each from a process of its own."""
    given = parser().parse_args(arguments)
    names = given.backends or [n for n, backend in BACKENDS.items() if backend.installed]
    if len(names) == 1:
        warnings.simplefilter("ignore")
        if given.repeat is not None:
            return repeat(names[0], Cell(given.shape), given.repeat)
        print("\n".join(page(names[0], Cell(given.shape))))
        return 0
    module = [sys.executable, "-m", "benchmarks.limits", "--shape", size(given.shape)]
    commands = ([*module, "--backends", name] for name in names)
    return max(subprocess.run(each, check=False).returncode for each in commands)  # noqa: S603


def page(backend: str, cell: Cell) -> Iterator[str]:
    """The tables of a backend."""
    framework = frameworks(backend)[0]
    yield from (f"### {backend}, {size(cell.shape)}, float32", "")
    yield from lines_table(STEP_HEADS, steps(backend, cell))
    operands = framework.operands(inputs.make(cell))
    contenders = _contenders(framework, cell)
    yield from ("", *lines_table(CALL_HEADS, calls(framework, contenders.values(), operands)))
    profile = _PROFILES.get(backend, _functions)
    for one in list(contenders.values())[:2]:
        yield from ("", f"{one.name}:", "", "```text")
        yield from profile(partial(_done, framework, one, operands))
        yield "```"
    yield ""


def repeat(backend: str, cell: Cell, name: str) -> int:
    """Call a contender again and again; 2 where none has that name."""
    framework = frameworks(backend)[0]
    contenders = _contenders(framework, cell)
    if name not in contenders:
        print(f"{name!r} is none of {', '.join(map(repr, contenders))}", file=sys.stderr)
        return 2
    operands = framework.operands(inputs.make(cell))
    end = time.perf_counter() + LONG
    while time.perf_counter() < end:
        _done(framework, contenders[name], operands)
    return 0


def _contenders(framework: Framework, cell: Cell) -> dict[str, Contender]:
    pairs = framework.pairs(cell)
    return {one.name: one for pair in pairs for one in (pair.ours, pair.theirs)}


def steps(backend: str, cell: Cell) -> Iterator[tuple[str, list[str]]]:
    """What the steps of a loss cost alone."""
    for step in primitives(backend, inputs.make(cell).leaves[0]):
        found = cost(step.call)
        each = found.seconds / step.elements
        yield step.name, [f"{1e9 * each:.3f}", f"{4e-9 / each:.1f}", f"{found.faults:.0f}"]


def calls(
    framework: Framework, contenders: Iterable[Contender], operands: Any
) -> Iterator[tuple[str, list[str]]]:
    """What the contenders of a cell cost."""
    for one in contenders:
        found = cost(partial(_done, framework, one, operands))
        numbers = (1e3 * found.seconds, found.faults, 1e3 * found.kernel)
        yield one.name, [*(f"{n:.4g}" for n in numbers), f"{found.processor / found.seconds:.2f}"]


def cost(call: Callable[[], object], rounds: int = ROUNDS) -> Cost:
    """Medians of a few warm calls."""
    call()
    call()
    found = [_once(call) for _ in range(rounds)]
    return Cost(*(statistics.median(column) for column in zip(*found, strict=True)))


def _once(call: Callable[[], object]) -> Cost:
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    call()
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    kernel = after.ru_stime - before.ru_stime
    processor = kernel + after.ru_utime - before.ru_utime
    return Cost(seconds, float(after.ru_minflt - before.ru_minflt), kernel, processor)


def _done(framework: Framework, one: Contender, operands: Any) -> None:
    framework.wait(one.call(operands))


def _functions(call: Callable[[], object]) -> Iterator[str]:
    """Where the interpreter spends the time of a call, by the functions' own time."""
    profile = cProfile.Profile()
    profile.runcall(call)
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    ranked = sorted(stats.items(), key=lambda item: -item[1][2])[:TOP]
    for (file, _, name), (_, count, own, _, _) in ranked:
        where = f"{Path(file).stem}.{name}" if file != "~" else name
        yield f"{1e3 * own:9.2f} ms {count:6} x  {where}"


def _operators(call: Callable[[], object]) -> Iterator[str]:
    """Where PyTorch spends the time of a call, by the operators' own time."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as found:
        call()
    ranked = sorted(found.key_averages(), key=lambda each: -each.self_cpu_time_total)[:TOP]
    for each in ranked:
        yield f"{each.self_cpu_time_total / 1e3:9.2f} ms {each.count:6} x  {each.key}"


_PROFILES = {"torch": _operators}

if __name__ == "__main__":
    sys.exit(main())
