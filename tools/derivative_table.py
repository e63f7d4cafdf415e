"""The table of docs/derivatives.md: every function in every way to differentiate it.

    python tools/derivative_table.py            write the table
    python tools/derivative_table.py --check    fail if the file holds another one

It imports no framework: the rows and columns are those that tests/test_derivatives.py tries.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from blocks import DOCS, arguments, line, settle  # noqa: E402 - after the folder without a package
from derivatives import SAMPLES, TRANSFORMS, tried  # noqa: E402

PAGE = DOCS / "derivatives.md"
TITLES = {"numpy": "NumPy", "torch": "PyTorch", "tensorflow": "TensorFlow", "jax": "JAX"}


def by(name: str) -> str:
    """The arguments of a sample that are differentiated by."""
    return ", ".join(f"`{leaf}`" for leaf in SAMPLES[name].leaves)


def titled(name: str) -> str:
    """A sample's name with the function as code."""
    function = SAMPLES[name].function
    return f"`{function}`{name.removeprefix(function)}"


def section(backend: str) -> str:
    """The table of one backend: a row for each function, a column for each way."""
    ways = TRANSFORMS[backend]
    rows = [[titled(n), *("✓" if tried(way, n) else "" for way in ways)] for n in SAMPLES]
    head = [line(["", *ways]), line(["---", *[":-:"] * len(ways)])]
    return "\n".join([f"## {TITLES[backend]}", "", *head, *map(line, rows)])


def table() -> str:
    """Everything between the marks."""
    arguments = [line(["function", "differentiated by"]), line(["---", "---"])]
    arguments += [line([titled(name), by(name)]) for name in SAMPLES]
    return "\n\n".join(["\n".join(arguments), *map(section, TRANSFORMS)]) + "\n"


if __name__ == "__main__":
    given = arguments(__doc__)
    settle(PAGE, Path(__file__).name, {"table": table()}, check=given.check)
