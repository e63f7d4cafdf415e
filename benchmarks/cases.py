"""What is timed: a table of cells, declared once for every backend."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

Dims = tuple[int, ...]

#: Classification, vocabularies, many short rows, a long vocabulary, a toy, images.
SHAPES: tuple[Dims, ...] = (
    (32, 10),
    (65536, 10),
    (8, 12, 256, 256),
    (8192, 1000),
    (1024, 32000),
    (256, 128256),
)
DTYPES = {"float32": 4, "bfloat16": 2, "float16": 2}
TARGETS = ("hard", "soft")
#: Logits of an untrained model; and of a trained one, whose true class is far ahead.
ROWS = ("normal", "confident")
DIRECTIONS = ("forward", "forward+backward")

#: Elements of the input that something eager is warmed up with before its memory is measured.
WARM = 1 << 16


@dataclass(frozen=True)
class Cell:
    """Logits of a shape and dtype, the kind of targets and rows, and what is computed."""

    shape: Dims
    dtype: str = "float32"
    targets: str = "hard"
    rows: str = "normal"
    direction: str = "forward+backward"

    @property
    def axis(self) -> int:
        """The class axis: the last one of a matrix, otherwise the one after the batch."""
        return -1 if len(self.shape) == 2 else 1

    @property
    def classes(self) -> int:
        """The number of classes."""
        return self.shape[1]

    @property
    def elements(self) -> int:
        """The number of logits."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of the logits."""
        return self.elements * DTYPES[self.dtype]

    @property
    def moved(self) -> int:
        """The bytes that no implementation can avoid: the logits, and their gradient."""
        passes = 1 if self.direction == "forward" else 2
        soft = self.nbytes if self.targets == "soft" else 0
        return passes * self.nbytes + soft

    @property
    def name(self) -> str:
        """The cell in words."""
        return f"{size(self.shape)} {self.dtype} {self.targets} {self.rows} {self.direction}"

    def small(self) -> Cell:
        """The same with fewer rows."""
        batch = max(1, WARM // math.prod(self.shape[1:]))
        return replace(self, shape=(min(batch, self.shape[0]), *self.shape[1:]))

    def json(self) -> dict[str, Any]:
        """The fields as JSON holds them."""
        return asdict(self) | {"shape": list(self.shape)}


def cell_of(held: dict[str, Any]) -> Cell:
    """A cell from its JSON."""
    fields = {n: held[n] for n in ("dtype", "targets", "rows", "direction")}
    return Cell(tuple(held["shape"]), **fields)


def size(shape: Dims) -> str:
    """A shape as the command line writes it."""
    return "x".join(map(str, shape))


def shape_of(text: str) -> Dims:
    """A shape from the command line.

    Raises
    ------
    ValueError
        If it is not at least two positive integers.
    """
    parts = text.split("x")
    if len(parts) < 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise ValueError(f"a shape is two or more positive integers such as 32x10, got {text!r}")
    return tuple(map(int, parts))


@dataclass(frozen=True)
class Request:
    """What to time, and for how long."""

    shapes: Sequence[Dims] = SHAPES
    dtypes: Sequence[str] = tuple(DTYPES)
    targets: Sequence[str] = TARGETS
    rows: Sequence[str] = ROWS
    directions: Sequence[str] = DIRECTIONS
    modes: Sequence[str] = ()
    seconds: float = 0.5
    thorough: bool = False

    def cells(self) -> Iterator[Cell]:
        """The cells, those that share their tensors or programs after one another."""
        kinds = product(self.shapes, self.dtypes, self.targets, self.rows, self.directions)
        return (cell for cell in (Cell(*kind) for kind in kinds) if self._wanted(cell))

    def _wanted(self, cell: Cell) -> bool:
        """Confident rows are compared for labels in float32 alone, unless they alone are asked."""
        usual = cell.dtype == "float32" and cell.targets == "hard"
        return cell.rows == "normal" or usual or self.thorough

    def mode(self, mode: str, cell: Cell, spared: bool) -> bool:
        """Whether a mode takes part in a cell; one that is spared, in the main cells alone."""
        main = cell.dtype == "float32" or (cell.dtype == "bfloat16" and cell.targets == "hard")
        return (not self.modes or mode in self.modes) and (main or self.thorough or not spared)


QUICK = Request(
    ((32, 10), (1024, 32000)), ("float32",), ("hard",), ("normal",), DIRECTIONS, (), 0.3
)


def request_of(held: dict[str, Any]) -> Request:
    """A request from its JSON."""
    fields = {name: tuple(v) if isinstance(v, list) else v for name, v in held.items()}
    return Request(**fields | {"shapes": tuple(map(tuple, held["shapes"]))})
