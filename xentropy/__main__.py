"""``python -m xentropy``: the commands of the package."""

from __future__ import annotations

import argparse
import sys

from xentropy import _score_cli
from xentropy.parity import _cli

DESCRIPTION = "One cross-entropy for NumPy, PyTorch, TensorFlow and JAX."


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status; without one, print the help."""
    parser = argparse.ArgumentParser(prog="python -m xentropy", description=DESCRIPTION)
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _cli.add_parser(commands)
    _score_cli.add_parser(commands)
    given = parser.parse_args(arguments)
    if given.run is None:
        parser.print_help()
        return 0
    status: int = given.run(given)
    return status


if __name__ == "__main__":
    sys.exit(main())
