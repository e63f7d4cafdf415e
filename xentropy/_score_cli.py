"""``python -m xentropy score``: the scores of logits in a file that need not fit in memory."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from xentropy._row_stream import RowStream, Totals

if TYPE_CHECKING:
    import numpy as np

#: How many bytes of logits are scored at a time, in units of 1 MiB.
BLOCK = 4

DESCRIPTION = """\
Loss, perplexity, accuracy and mean entropy of logits in a file of NumPy, read
block by block: the file may be larger than the memory."""

EPILOG = """\
examples:
  %(prog)s LOGITS.npy TARGETS.npy
  %(prog)s LOGITS.npy TARGETS.npy --ignore-index -100 --label-smoothing 0.1
  %(prog)s LOGITS.npy TARGETS.npy --json --quiet --block-size 16

exit status: 0 if the file was scored, 2 if a file or an option is not what it
should be, 130 if interrupted."""

Watch = Callable[[int], None]


class Files(NamedTuple):
    """The arrays of the files, mapped and not read, with all rows along one axis."""

    logits: np.ndarray
    targets: np.ndarray


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage]
) -> None:
    """Add the command to a parser's commands."""
    parser = commands.add_parser(
        "score",
        help="loss, perplexity, accuracy and entropy of logits in a file",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("logits", type=Path, metavar="LOGITS.npy", help="logits of any shape (..., K)")
    add(
        "targets",
        type=Path,
        metavar="TARGETS.npy",
        help="integer labels of shape (...), or probabilities of shape (..., K)",
    )
    add("--ignore-index", type=int, metavar="N", help="the label of rows to leave out")
    for name, metavar, text in (
        ("label-smoothing", "E", "how much of the targets is spread over all classes"),
        ("temperature", "T", "what the logits are divided by"),
        ("softcap", "C", "logits become C tanh(logits / C)"),
        ("z-loss", "Z", "adds Z logsumexp^2 to every row's loss"),
    ):
        add(f"--{name}", type=float, metavar=metavar, help=text)
    add(
        "--block-size",
        type=float,
        default=BLOCK,
        metavar="MIB",
        help=f"how many MiB of logits are scored at a time (default: {BLOCK})",
    )
    add("--json", action="store_true", help="print one line of JSON")
    add("--quiet", action="store_true", help="no progress bar, which needs rich")
    parser.set_defaults(run=lambda given: main(parser, given))


def main(parser: argparse.ArgumentParser, given: argparse.Namespace) -> int:
    """Score the files as the arguments say."""
    if find_spec("numpy") is None:
        parser.error('scoring files needs numpy: python -m pip install "xentropy-losses[score]"')
    if not 0 < given.block_size < math.inf:
        parser.error(f"--block-size must be a finite number above 0, got {given.block_size}")
    try:
        files = _opened(given.logits, given.targets)
        totals = _scored(files, given)
    except (OSError, TypeError, ValueError, IndexError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(_as_json(totals, files) if given.json else _as_text(totals, files))
    return 0


# The files.


def _opened(logits: Path, targets: Path) -> Files:
    x, t = _mapped(logits), _mapped(targets)
    if x.dtype.kind != "f":
        hint = ": save bfloat16 as float32" if x.dtype.kind == "V" else ""
        raise TypeError(f"{logits}: logits must be floating, got dtype {x.dtype}{hint}")
    if x.ndim == 0 or t.shape not in (x.shape[:-1], x.shape):
        raise ValueError(
            f"{targets}: targets have shape {t.shape}, which does not fit logits of shape "
            f"{x.shape}: labels have its shape without the last axis, probabilities the same"
        )
    soft = t.shape == x.shape
    return Files(_rows(logits, x), _rows(targets, t) if soft else t.reshape(-1))


def _mapped(path: Path) -> np.ndarray:
    """The array in a file, mapped; the file's name is in every error."""
    import numpy as np

    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise OSError(f"{path}: {error.strerror or error}") from None
    except (EOFError, ValueError) as error:
        raise ValueError(f"{path}: no array that can be read: {error}") from None
    if not isinstance(found, np.ndarray):
        found.close()
        raise TypeError(f"{path}: an archive of several arrays: save one with numpy.save")
    return found


def _rows(path: Path, x: np.ndarray) -> np.ndarray:
    """All rows along one axis, without a copy."""
    if x.ndim == 2:
        return x
    if not x.flags.c_contiguous:
        raise ValueError(
            f"{path}: {x.ndim} dimensions in Fortran order: save numpy.ascontiguousarray of it"
        )
    return x.reshape(-1, x.shape[-1])


# The scores.


def _scored(files: Files, given: argparse.Namespace) -> Totals:
    names = ("ignore_index", "label_smoothing", "temperature", "softcap", "z_loss")
    options = {n: getattr(given, n) for n in names if getattr(given, n) is not None}
    stream, rows = RowStream(**options), _block(files.logits, given.block_size)
    count = len(files.logits)
    quiet = given.quiet or find_spec("rich") is None
    with nullcontext(_unwatched) if quiet else _bar(count) as watch:
        for start in range(0, count, rows):
            stop = min(start + rows, count)
            try:
                stream.update(files.logits[start:stop], files.targets[start:stop])
            except IndexError as error:
                raise IndexError(f"{given.targets}, rows {start} to {stop - 1}: {error}") from None
            watch(stop)
    return stream.result()


def _block(logits: np.ndarray, size: float) -> int:
    """How many rows have about so many MiB."""
    row: int = logits.shape[1] * logits.itemsize
    return max(1, int(size * 2**20) // max(1, row))


def _unwatched(_: int) -> None:
    """Nobody looks."""


@contextmanager
def _bar(rows: int) -> Generator[Watch]:
    """A bar on the terminal; what it yields is told how many rows are done."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns: tuple[Any, ...] = (
        TextColumn("rows"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=rows)
        yield lambda done: bar.update(task, completed=done)


# What is printed.


def _as_text(totals: Totals, files: Files) -> str:
    lines = [f"{name:<12}{value:.8g}" for name, value in totals._asdict().items() if name != "rows"]
    ignored = len(files.logits) - totals.rows
    return "\n".join([*lines, f"{'rows':<12}{totals.rows} scored, {ignored} ignored"])


def _as_json(totals: Totals, files: Files) -> str:
    """One object; what is not finite has no number in JSON."""
    found: dict[str, float | int | None] = dict(totals._asdict())
    found["ignored"] = len(files.logits) - totals.rows
    return json.dumps({k: v if v is None or math.isfinite(v) else None for k, v in found.items()})
