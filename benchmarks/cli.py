"""``python -m benchmarks``: from the command line to the exit status."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import cases
from benchmarks.cases import Request
from benchmarks.contenders import BACKENDS, MODES
from benchmarks.join import join
from benchmarks.machine import machine
from benchmarks.report import Report
from benchmarks.run import Job, run

#: What the report needs, beside what the backends need.
NEEDED = ("matplotlib", "ml_dtypes", "numpy", "rich")
WIDTH = 100
KINDS = tuple(cases.LOSSES.items())
SHAPES = "shapes of the logits, the classes second; of a head rows x features x classes (default: "

DESCRIPTION = """\
Time ours against each framework's own function, in turns, and measure the peak
memory of both; write a report with tables and plots."""

EPILOG = """\
exit status: 0, whatever was found: speed is no test. With --check 1 if a floor is
not met. 2 if nothing could be run."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add(made, "backends", tuple(BACKENDS), "backends to run (default: those that are installed)")
    _add(made, "modes", MODES, "modes to run (default: all)")
    _add(
        made,
        "losses",
        tuple(cases.LOSSES),
        "losses (default: all; cross_entropy if shapes are given)",
    )
    made.add_argument(
        "--shapes",
        nargs="+",
        type=_shape,
        metavar="SHAPE",
        help=SHAPES + "; ".join(f"{name}: {_sizes(loss.shapes)}" for name, loss in KINDS) + ")",
    )
    _add(made, "dtypes", tuple(cases.DTYPES), "dtypes of what is given (default: all)")
    _add(made, "targets", cases.TARGETS, "labels, or probabilities (default: both)")
    _add(made, "rows", cases.ROWS, "an untrained or a trained model's logits (default: both)")
    _add(made, "directions", cases.DIRECTIONS, "what is computed (default: both)")
    made.add_argument("--quick", action="store_true", help="two shapes a loss, float32, labels")
    made.add_argument(
        "--thorough",
        action="store_true",
        help="confident rows, heads and what compiles, in every dtype and kind of targets",
    )
    made.add_argument("--seconds", type=_positive, help="for the rounds of a cell (default: 0.5)")
    made.add_argument("--no-time", action="store_true", help="leave the clocks out")
    made.add_argument("--no-memory", action="store_true", help="leave the memory out")
    made.add_argument("--check", action="store_true", help="exit with 1 if a floor is not met")
    made.add_argument(
        "--out",
        type=Path,
        default=Path("bench-report"),
        metavar="DIR",
        help="where JSON, Markdown and plots go (default: ./bench-report)",
    )
    return made


def _add(made: argparse.ArgumentParser, name: str, choices: Sequence[str], what: str) -> None:
    """An option that takes some of a few words."""
    made.add_argument(
        f"--{name}",
        nargs="+",
        choices=choices,
        metavar=name.removesuffix("s").upper(),
        help=f"{what}; of {', '.join(choices)}",
    )


def _sizes(shapes: Sequence[cases.Dims]) -> str:
    return " ".join(map(cases.size, shapes))


def _shape(text: str) -> cases.Dims:
    try:
        return cases.shape_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _positive(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"it must be a positive number, got {text}")
    return seconds


def request(given: argparse.Namespace) -> Request:
    """What the arguments ask for."""
    base = cases.QUICK if given.quick else Request()
    names = ("shapes", "dtypes", "targets", "rows", "directions", "modes", "seconds", "losses")
    chosen = {n: getattr(given, n) for n in names if getattr(given, n) is not None}
    if given.shapes:
        chosen.setdefault("losses", (cases.DENSE,))
    return replace(base, thorough=given.thorough, **chosen)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for, report it, and return the exit status."""
    made = parser()
    given = made.parse_args(arguments)
    absent = [name for name in NEEDED if find_spec(name) is None]
    if absent:
        made.error(f"the report needs {', '.join(absent)}: install the dependency group `bench`")
    wrong = _unfit(given)
    if wrong:
        made.error(wrong)
    return _report(_jobs(_names(made, given), given), request(given), given)


def _unfit(given: argparse.Namespace) -> str:
    """Why the shapes are none of the losses that are asked for; empty where they are."""
    if cases.HEAD not in (given.losses or ()) or not given.shapes:
        return ""
    if len(given.losses) > 1:
        return f"--shapes are those of one loss, got --losses {' '.join(given.losses)}"
    odd = [cases.size(shape) for shape in given.shapes if len(shape) != 3]
    return f"a head is rows x features x classes, got --shapes {' '.join(odd)}" if odd else ""


def _names(made: argparse.ArgumentParser, given: argparse.Namespace) -> list[str]:
    """The backends to run; one that was asked for must be there."""
    missing = [name for name in given.backends or () if not BACKENDS[name].installed]
    if missing:
        made.error(f"the packages of {', '.join(missing)} cannot be imported here")
    names = given.backends or [n for n, backend in BACKENDS.items() if backend.installed]
    if not names:
        made.error("no backend is installed")
    return list(dict.fromkeys(names))


def _jobs(names: Sequence[str], given: argparse.Namespace) -> list[Job]:
    """The processes, the clocks first."""
    modules = [m for m, out in (("timed", given.no_time), ("measured", given.no_memory)) if not out]
    return [Job(module, name) for module in modules for name in names]


def _report(jobs: Sequence[Job], asked: Request, given: argparse.Namespace) -> int:
    """Run, print and write."""
    from rich.console import Console

    from benchmarks import floors, markdown, plots
    from benchmarks.progress import progress
    from benchmarks.terminal import print_report

    # Errors and pipes get no bars; a table is a hundred columns wide wherever it goes.
    console, bars = Console(width=WIDTH), Console(stderr=True)
    host = machine()
    with progress(bars, [job.name for job in jobs]) as watch:
        report = _joined(host, run(jobs, asked, watch), asked)
    print_report(console, report)
    given.out.mkdir(parents=True, exist_ok=True)
    report.write(given.out / "report.json")
    (given.out / "report.md").write_text(markdown.page(report), "utf-8")
    plots.draw(report, given.out)
    console.print(f"The report is in {given.out}.", highlight=False)
    died = not report.comparisons and not report.memory
    return 2 if died else int(given.check and bool(floors.missed(report)))


def _joined(
    host: Mapping[str, Any], left: Mapping[Job, Mapping[str, Any]], asked: Request
) -> Report:
    timed = {job.backend: held for job, held in left.items() if job.module == "timed"}
    measured = {job.backend: held for job, held in left.items() if job.module == "measured"}
    shapes = {loss: [*map(cases.size, asked.shapes_of(loss))] for loss in asked.losses}
    settings = asdict(asked) | {"shapes": shapes}
    return join(host, settings, timed, measured)
