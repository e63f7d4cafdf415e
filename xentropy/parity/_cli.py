"""``python -m xentropy parity``: from the command line to the exit status."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from xentropy.parity._matrix import Matrix
from xentropy.parity.columns import BACKENDS, MODES

#: What the oracle and the terminal need.
NEEDED = ("mpmath", "rich")

DESCRIPTION = """\
Compute every case of the parity matrix on the installed backends, each column
in a process of its own; compare it with a high-precision oracle; write a report."""

EPILOG = """\
examples:
  %(prog)s
  %(prog)s --backend numpy torch --mode eager --case 'accuracy'
  %(prog)s --backend numpy --case '*margin*' --out report --json

exit status: 0 if every cell is within its budget, 1 if one is not, 2 if nothing
could be run, 130 if interrupted."""


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage]
) -> None:
    """Add the command to a parser's commands."""
    parser = commands.add_parser(
        "parity",
        help="compare the backends with a high-precision oracle",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--backend",
        action="extend",
        nargs="+",
        choices=tuple(BACKENDS),
        metavar="NAME",
        help=f"backends to run, of {', '.join(BACKENDS)} (default: those that are installed)",
    )
    parser.add_argument(
        "--mode",
        choices=(*MODES, "all"),
        default="all",
        help="eager; compiled by the framework's own compiler; sharded, the classes held by "
        "several processes or devices; the drop-ins beside the framework's own functions; or all "
        "(the default)",
    )
    parser.add_argument(
        "--case",
        default="*",
        metavar="GLOB",
        help="cases whose name or group matches, for example 'policy' or '*margin*'",
    )
    parser.add_argument(
        "--every",
        type=int,
        default=1,
        metavar="N",
        help="of the programs that are compiled, which take most of the time, compute the first of "
        "every N; the cells of the others are skipped (default: 1, all of them)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("parity-report"),
        metavar="DIR",
        help="where the JSON, Markdown and HTML reports go (default: ./parity-report)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the JSON report, on one line, in place of tables"
    )
    parser.set_defaults(run=lambda given: main(parser, given))


def main(parser: argparse.ArgumentParser, given: argparse.Namespace) -> int:
    """Run the matrix as the arguments say."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        parser.error(
            f"the parity matrix needs {' and '.join(missing)}: "
            'python -m pip install "xentropy-losses[parity]"'
        )
    from xentropy.parity._cases import select

    if given.every < 1:
        parser.error(f"--every must be at least 1, got {given.every}")
    if not select(given.case):
        parser.error(f"no case matches {given.case!r}")
    columns = _columns(parser, given.backend, given.mode)
    try:  # before the minutes that the matrix takes
        given.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out must be a folder to write into, got {given.out}: {error.strerror}")
    return _matrix(columns, given)


def _columns(
    parser: argparse.ArgumentParser, backends: Sequence[str] | None, mode: str
) -> list[tuple[str, str]]:
    """The columns to run, those of one mode together; a backend that was asked for must be
    there.
    """
    absent = [name for name in backends or () if not BACKENDS[name].installed]
    if absent:
        parser.error(f"{', '.join(absent)} cannot be imported here")
    names = [n for n in BACKENDS if n in backends] if backends else _installed()
    wanted = MODES if mode == "all" else (mode,)
    columns = [(n, m) for m in wanted for n in names if m in BACKENDS[n].modes]
    if not columns:
        parser.error(f"no column is left: {', '.join(names) or 'no backend'} in mode {mode}")
    return columns


def _installed() -> list[str]:
    """The installed backends; the others are named."""
    absent = [name for name, backend in BACKENDS.items() if not backend.installed]
    if absent:
        print(f"Skipped, not installed: {', '.join(absent)}", file=sys.stderr)
    return [name for name in BACKENDS if name not in absent]


def _matrix(columns: Sequence[tuple[str, str]], given: argparse.Namespace) -> int:
    """Run, join, report; standard output is JSON and nothing else for a machine."""
    from rich.console import Console

    from xentropy.parity._cases import select
    from xentropy.parity._join import join
    from xentropy.parity._progress import progress
    from xentropy.parity._report import as_data
    from xentropy.parity._run import ORACLE, column_job, run
    from xentropy.parity._terminal import print_report

    console, cases = Console(stderr=given.json), select(given.case)
    jobs = [ORACLE, *(column_job(*column, given.every) for column in columns)]
    bars = progress(console, [job.name for job in jobs], len(cases))
    with tempfile.TemporaryDirectory() as folder, bars as watch:
        held = run(jobs, Path(folder), given.case, watch)
    matrix = join(cases, held["oracle"], [held[job.name] for job in jobs[1:]])
    _write(matrix, given.out)
    if given.json:
        print(json.dumps(as_data(matrix)))
        return 0 if matrix.green else 1
    print_report(console, matrix)
    console.print(f"Reports: {given.out / 'report.html'}, report.md, report.json", highlight=False)
    return 0 if matrix.green else 1


def _write(matrix: Matrix, out: Path) -> None:
    from xentropy.parity._html import as_html
    from xentropy.parity._report import as_data, as_markdown

    files = {
        "report.json": json.dumps(as_data(matrix)),
        "report.md": as_markdown(matrix),
        "report.html": as_html(matrix),
    }
    for name, text in files.items():
        (out / name).write_text(text, encoding="utf-8")
