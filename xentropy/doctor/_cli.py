"""``python -m xentropy doctor``: from the command line to the exit status."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.util import find_spec

from xentropy.doctor._health import examine
from xentropy.doctor._show import as_json, is_fine, show
from xentropy.doctor.frameworks import FRAMEWORKS

#: Seconds that a backend may take: a cold compiler takes most of a minute.
LIMIT = 180

DESCRIPTION = """\
Look at the installed backends: their versions, their devices and whether their
compiler works. Each makes one small call, in a process of its own, and the loss
and the gradient are compared with the exact numbers, in units in the last place."""

EPILOG = """\
examples:
  %(prog)s
  %(prog)s --backend numpy
  %(prog)s --eager --json

exit status: 0 if all is fine, 1 if a backend is broken, gives other numbers, or
was asked for and is not there, or if there is none at all, 2 if an option is not
what it should be, 130 if interrupted. That a compiler is not available is said,
and is no fault."""


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage]
) -> None:
    """Add the command to a parser's commands."""
    parser = commands.add_parser(
        "doctor",
        help="look at the installed backends, and whether they agree",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--backend",
        action="extend",
        nargs="+",
        choices=tuple(FRAMEWORKS),
        metavar="NAME",
        help=f"backends that must be there, of {', '.join(FRAMEWORKS)} (default: those that are)",
    )
    add("--eager", action="store_true", help="compile nothing, which takes most of the time")
    add(
        "--timeout",
        type=float,
        default=LIMIT,
        metavar="SECONDS",
        help=f"how long a backend may take (default: {LIMIT})",
    )
    add("--json", action="store_true", help="print one line of JSON")
    parser.set_defaults(run=lambda given: main(parser, given))


def main(parser: argparse.ArgumentParser, given: argparse.Namespace) -> int:
    """Look at the backends as the arguments say."""
    if not 0 < given.timeout < math.inf:
        parser.error(f"--timeout must be a finite number above 0, got {given.timeout}")
    names = [n for n in FRAMEWORKS if n in (given.backend or FRAMEWORKS)]
    with _status() as watch:
        found = examine(names, given.timeout, given.eager, watch)
    asked = given.backend is not None
    if given.json:
        print(as_json(found, asked))
    else:
        show(found, asked)
    return 0 if is_fine(found, asked) else 1


@contextmanager
def _status() -> Generator[Callable[[str], None]]:
    """A line on the terminal while it takes time; what it yields is told what begins."""
    if not sys.stderr.isatty():
        yield lambda _: None
    elif find_spec("rich") is None:
        yield lambda name: print(f"Looking at {name} ...", file=sys.stderr)
    else:
        from rich.console import Console

        begun: list[str] = []
        with Console(stderr=True).status("Looking at the backends ...") as status:

            def told(name: str) -> None:
                begun.append(name)
                status.update(f"Looking at the backends: {', '.join(begun)} ...")

            yield told
