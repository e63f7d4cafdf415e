"""Write the table of README.md from a run, the same call in every library, and docs/support.md.

    python tools/readme_table.py            run everything, write the tables into their pages
    python tools/readme_table.py --check    the same, but only compare: exit 1 when they are stale
    python tools/readme_table.py --check --quick    and without the C++ compiler of torch.compile

The tables are written only if xentropy's answer is the same, and right, on all of its backends.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import blocks
import exact
import numpy as np
import support
from columns import IGNORED, Ask, Column, Keras, Optax, PyTorch, SciPy, TensorFlow, Xentropy
from kits import JaxKit, NotOfferedError, NumPyKit, TensorFlowKit, TorchKit

ROOT = Path(__file__).parents[1]
README, SUPPORT = ROOT / "README.md", ROOT / "docs" / "support.md"
NUMBER = re.compile(r"-?\b\d+(?:\.\d+)?(?:e[-+]\d+)?\b")
RAISES = "raises"
TOLERANCE = 1e-3
INF, NAN = math.inf, math.nan

# Multiples of 1/16 below 4, so that they are the same numbers in bfloat16.
BFLOAT16_LOGITS = np.clip(np.random.default_rng(0).normal(size=(256, 1000)), -3.9, 3.9)
BFLOAT16_LOGITS = (BFLOAT16_LOGITS * 16).round() / 16
BFLOAT16_LABELS = np.random.default_rng(1).integers(1000, size=256)
ROWS = [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]

Answer = float | str


@dataclass(frozen=True)
class Line:
    """A line of the table: one or two questions, and the answer where the definition has none."""

    call: str
    asks: tuple[Ask, ...]
    policy: Answer | None = None

    def expected(self) -> list[Answer]:
        """Return what is right: the policy's answer, or else the true value of each question."""
        return [exact.answer(ask) if self.policy is None else self.policy for ask in self.asks]


LINES = (
    Line("`[30, 0, 0]`, label 0, float32", (Ask("rows", [[30.0, 0, 0]], [0]),)),
    Line("… gradient of the true class", (Ask("rows", [[30.0, 0, 0]], [0], gradient=True),)),
    Line("`[15, 0]`, label 0, float32", (Ask("rows", [[15.0, 0]], [0]),)),
    Line("`[1, 2, 3] + 1e6`, label 0", (Ask("rows", [[1e6 + 1, 1e6 + 2, 1e6 + 3]], [0]),)),
    Line("logsumexp of `[0, -20]`, float32", (Ask("logsumexp", [[0.0, -20.0]]),)),
    Line(
        "zeros, 100 000 classes, float16",
        (Ask("rows", np.zeros((1, 100_000)), [0], dtype="float16"),),
    ),
    Line(
        "mean of 256 × 1000, bfloat16",
        (Ask("mean", BFLOAT16_LOGITS, BFLOAT16_LABELS, dtype="bfloat16"),),
    ),
    Line("`[1, 2, -inf]`, one-hot of 0", (Ask("rows", [[1.0, 2, -INF]], [[1.0, 0, 0]]),)),
    Line("`[1, inf, 2]`, label 1", (Ask("rows", [[1.0, INF, 2]], [1]),), policy=0.0),
    Line("binary, logit inf, target 1", (Ask("binary", [INF], [1.0]),), policy=0.0),
    Line("mean, every row ignored", (Ask("kept_mean", ROWS, [IGNORED] * 2),), policy=0.0),
    Line(
        "gradient of an ignored row of NaN",
        (Ask("kept_rows", [[NAN] * 3, [1.0, 2, 3]], [IGNORED, 0], gradient=True),),
        policy=0.0,
    ),
    Line(
        "∂/∂x₀, `[1, 2, 3]`, target `[.5, .5, .5]`",
        (Ask("rows", ROWS[:1], [[0.5, 0.5, 0.5]], gradient=True),),
    ),
    Line(
        "class weights, labels / one-hot",
        (
            Ask("weighted_mean", ROWS, [0, 1], [1.0, 2, 3]),
            Ask("weighted_mean", ROWS, [[1.0, 0, 0], [0, 1.0, 0]], [1.0, 2, 3]),
        ),
    ),
    Line("label -1", (Ask("rows", ROWS[:1], [-1]),), policy=RAISES),
    Line(
        "label 3 of 3, compiled: loss / gradient",
        (
            Ask("rows", ROWS[:1], [3], compiled=True),
            Ask("rows", ROWS[:1], [3], compiled=True, gradient=True),
        ),
        policy=NAN,
    ),
    Line("labels of int32", (Ask("rows", ROWS[:1], [0], labels="int32"),)),
)
LIBRARIES: Sequence[Callable[[], Column]] = (PyTorch, TensorFlow, Keras, Optax, SciPy)
# By the module: TensorFlow's distribution has several names.
MODULES = {
    "PyTorch": "torch",
    "TensorFlow": "tensorflow",
    "Keras": "keras",
    "JAX": "jax",
    "optax": "optax",
    "SciPy": "scipy",
}


def answers(column: Column, line: Line) -> list[Answer] | None:
    """Ask a library; None when it does not offer what the line asks for."""
    found: list[Answer] = []
    for ask in line.asks:
        try:
            found.append(column.answer(ask))
        except NotOfferedError:
            return None
        except Exception:  # noqa: BLE001  # whichever error a library chooses, it is its answer
            found.append(RAISES)
    return found


def is_right(found: Answer, expected: Answer) -> bool:
    """Compare to 0.1 %; where no number is right, an error is as good as NaN."""
    if isinstance(expected, str) or isinstance(found, str):
        return found == RAISES and (isinstance(expected, str) or math.isnan(expected))
    if math.isnan(expected):
        return math.isnan(found)
    return math.isclose(found, expected, rel_tol=TOLERANCE)


def show(found: Sequence[Answer]) -> str:
    """Write the answers of a cell, once where they are all the same."""
    texts = [each if isinstance(each, str) else f"{each + 0.0:.5g}" for each in found]
    return " / ".join(texts if len(set(texts)) > 1 else texts[:1])


def cell(found: Sequence[Answer] | None, expected: Sequence[Answer]) -> str:
    """Write a cell of a peer: bold when it is wrong."""
    if found is None:
        return "–"
    right = all(map(is_right, found, expected))
    return show(found) if right else f"**{show(found)}**"


def our_cell(columns: Sequence[Column], line: Line, expected: Sequence[Answer]) -> str:
    """Write our cell, after making sure that every backend gives it and that it is right."""
    cells = {column.title: answers(column, line) for column in columns}
    given = {title: found for title, found in cells.items() if found is not None}
    shown = {show(found) for found in given.values()}
    right = all(all(map(is_right, found, expected)) for found in given.values())
    if len(shown) != 1 or not right:
        raise SystemExit(f"{line.call}: expected {show(expected)}, got {given}")
    return shown.pop()


def release(module: str) -> str:
    """Return the version of a module without the build, which says for which device it is."""
    found: str = import_module(module).__version__
    return found.partition("+")[0]


def table() -> str:
    """Run every line in every library and lay the answers out in Markdown."""
    peers = [library() for library in LIBRARIES]
    ours = [Xentropy(kit()) for kit in (NumPyKit, TorchKit, TensorFlowKit, JaxKit)]
    heads = ["", "should be", *(peer.title for peer in peers), "xentropy"]
    lines = [heads, ["---"] + ["--:"] * (len(heads) - 1)]
    for line in LINES:
        expected = line.expected()
        middle = [cell(answers(peer, line), expected) for peer in peers]
        lines.append([line.call, show(expected), *middle, our_cell(ours, line, expected)])
    versions = ", ".join(f"{name} {release(at)}" for name, at in MODULES.items())
    body = "\n".join(map(blocks.line, lines))
    return f"{body}\n\n<sub>{versions}.</sub>\n"


def is_same(before: str, after: str) -> bool:
    """Compare pages; the numbers in their tables may differ by 1 %, as processors round halves."""
    lines, others = before.splitlines(), after.splitlines()
    return len(lines) == len(others) and all(map(is_same_line, lines, others))


def is_same_line(line: str, other: str) -> bool:
    """Compare two lines, cell by cell where they are lines of a table."""
    if not line.startswith("|"):
        return line == other
    return NUMBER.sub("#", line) == NUMBER.sub("#", other) and np.allclose(
        [float(each) for each in NUMBER.findall(line)],
        [float(each) for each in NUMBER.findall(other)],
        rtol=1e-2,
        atol=0,
    )


def is_up_to_date(page: Path, name: str, made: str, check: bool) -> bool:
    """Write a block into its page, or compare it with what is there."""
    before = page.read_text(encoding="utf-8")
    after = blocks.replace(before, name, Path(__file__).name, made)
    if not check:
        page.write_text(after, encoding="utf-8")
    print(made)
    fresh = after == before or (check and is_same(before, after))
    state = "up to date" if fresh else "stale" if check else "written"
    print(f"{page.relative_to(ROOT)} is {state}")
    return fresh or not check


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables into their pages, or compare them with what is there."""
    parser = argparse.ArgumentParser(description="Generate two tables from a run.")
    parser.add_argument("--check", action="store_true", help="exit 1 when a page is stale")
    parser.add_argument("--quick", action="store_true", help="torch.compile with aot_eager")
    options = parser.parse_args(arguments)
    if options.quick:
        TorchKit.compiler = "aot_eager"
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # infinities and half precision are the point
        pages = [(README, "comparison", table()), (SUPPORT, "support", support.table())]
    states = [is_up_to_date(*page, options.check) for page in pages]
    return int(not all(states))


if __name__ == "__main__":
    sys.exit(main())
