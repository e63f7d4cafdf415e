"""``python -m xentropy``, or ``xentropy``: the commands of the package."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

from xentropy import __version__, _score_cli
from xentropy.doctor import _cli as doctor
from xentropy.parity import _cli as parity

DESCRIPTION = "One cross-entropy for NumPy, PyTorch, TensorFlow and JAX."

EPILOG = """\
examples:
  %(prog)s doctor
  %(prog)s parity --backend numpy --case policy
  %(prog)s score LOGITS.npy TARGETS.npy
  %(prog)s score --help

exit status: 0 if all is fine, 1 if something was found wrong, 2 if a command
line or a file is not what it should be, 130 if interrupted."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status; without one, print the help."""
    parser = argparse.ArgumentParser(
        prog=_called(sys.argv[0]),
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"xentropy {__version__}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for command in (doctor, parity, _score_cli):
        command.add_parser(commands)
    given = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an old code page has no tick
    if given.run is None:
        parser.print_help()
        return 0
    try:
        status: int = given.run(given)
    except KeyboardInterrupt:
        print(f"{parser.prog} {given.command}: interrupted", file=sys.stderr)
        return 130
    return status


def _called(program: str) -> str:
    """What the user typed: the script, or the module, whose name would be that of its file."""
    return "xentropy" if Path(program).stem == "xentropy" else "python -m xentropy"


if __name__ == "__main__":
    sys.exit(main())
