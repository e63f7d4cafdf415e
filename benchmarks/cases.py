"""What is timed: a table of cells, declared once for every backend."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

Dims = tuple[int, ...]

DTYPES = {"float32": 4, "bfloat16": 2, "float16": 2}
TARGETS = ("hard", "soft")
#: Logits of an untrained model; and of a trained one, whose true class is far ahead.
ROWS = ("normal", "confident")
DIRECTIONS = ("forward", "forward+backward")
#: The mode in which loss and gradient come of one call, without the framework's autograd.
ITSELF = "value_and_grad"
#: A dtype, a kind of targets and a kind of rows.
Kind = tuple[str, str, str]
MAIN: Kind = ("float32", "hard", "normal")

#: Elements of the input that something eager is warmed up with before its memory is measured.
WARM = 1 << 16


@dataclass(frozen=True)
class Loss:
    """What is timed of a loss.

    Parameters
    ----------
    given : str
        What its shapes are the shapes of.
    shapes, quick : tuple of tuples of int
        The shapes, and those of a quick run.
    usual : collection
        The kinds of cells that are timed unless everything is asked for.
    first : collection
        Those that are timed for the first shape alone.
    rows : tuple of str
        The kinds of rows that it is given at all.
    """

    given: str
    shapes: tuple[Dims, ...]
    quick: tuple[Dims, ...]
    usual: frozenset[Kind]
    first: frozenset[Kind] = frozenset()
    rows: tuple[str, ...] = ROWS

    def wanted(self, kind: Kind, first: bool, thorough: bool) -> bool:
        """Whether a kind of cells is timed."""
        asked = thorough or kind in self.usual or (first and kind in self.first)
        return asked and kind[2] in self.rows


DENSE, HEAD = "cross_entropy", "linear_cross_entropy"
#: Confident rows are compared for labels in float32 alone.
_DENSE_KINDS = {*product(DTYPES, TARGETS, ("normal",)), ("float32", "hard", "confident")}
LOSSES = {
    # Classification, vocabularies, many short rows, a long vocabulary, a toy, images.
    DENSE: Loss(
        given="logits",
        shapes=(
            (32, 10),
            (65536, 10),
            (8, 12, 256, 256),
            (8192, 1000),
            (1024, 32000),
            (256, 128256),
        ),
        quick=((32, 10), (1024, 32000)),
        usual=frozenset(_DENSE_KINDS),
    ),
    # Rows, features and classes: a vocabulary, twice the rows and twice the classes, which must
    # take no more memory; a long vocabulary, a toy.
    HEAD: Loss(
        given="head",
        shapes=(
            (2048, 1024, 32000),
            (4096, 1024, 32000),
            (2048, 1024, 64000),
            (1024, 1024, 128256),
            (64, 32, 100),
        ),
        quick=((64, 32, 100), (512, 256, 8000)),
        usual=frozenset({MAIN}),
        first=frozenset({("bfloat16", "hard", "normal")}),
        rows=("normal",),
    ),
}


@dataclass(frozen=True)
class Cell:
    """A loss of logits or of a head, their shape and dtype, the targets and what is computed.

    The shape is that of the logits; of a head its rows, features and classes.
    """

    shape: Dims
    dtype: str = "float32"
    targets: str = "hard"
    rows: str = "normal"
    direction: str = "forward+backward"
    loss: str = DENSE

    @property
    def kind(self) -> Kind:
        """Its dtype, and the kinds of its targets and rows."""
        return self.dtype, self.targets, self.rows

    @property
    def logits(self) -> Dims:
        """The shape of the logits, which a head makes."""
        return self.shape if self.loss == DENSE else (self.shape[0], self.shape[2])

    @property
    def leaves(self) -> tuple[Dims, ...]:
        """The shapes of what the gradients are by: the logits, or hidden and weight."""
        if self.loss == DENSE:
            return (self.shape,)
        rows, features, classes = self.shape
        return (rows, features), (classes, features)

    @property
    def axis(self) -> int:
        """The class axis: the last one of a matrix, otherwise the one after the batch."""
        return -1 if len(self.logits) == 2 else 1

    @property
    def classes(self) -> int:
        """The number of classes."""
        return self.logits[1]

    @property
    def elements(self) -> int:
        """The number of logits."""
        return math.prod(self.logits)

    @property
    def nbytes(self) -> int:
        """The bytes of the logits."""
        return self.elements * DTYPES[self.dtype]

    @property
    def given(self) -> int:
        """The bytes of the leaves."""
        return sum(map(math.prod, self.leaves)) * DTYPES[self.dtype]

    @property
    def gradients(self) -> int:
        """The bytes of the gradients."""
        return 0 if self.direction == "forward" else self.given

    @property
    def moved(self) -> int:
        """The bytes that no implementation can avoid: the leaves, and their gradients."""
        soft = self.nbytes if self.targets == "soft" else 0
        return self.given + self.gradients + soft

    @property
    def name(self) -> str:
        """The cell in words."""
        words = [size(self.shape), *self.kind, self.direction]
        return " ".join(words if self.loss == DENSE else [self.loss, *words])

    def small(self) -> Cell:
        """The same with fewer rows."""
        batch = max(1, WARM // math.prod(self.logits[1:]))
        return replace(self, shape=(min(batch, self.shape[0]), *self.shape[1:]))

    def json(self) -> dict[str, Any]:
        """The fields as JSON holds them."""
        return asdict(self) | {"shape": list(self.shape)}


def cell_of(held: dict[str, Any]) -> Cell:
    """A cell from its JSON."""
    fields = {n: held[n] for n in ("dtype", "targets", "rows", "direction")}
    return Cell(tuple(held["shape"]), **fields, loss=held.get("loss", DENSE))


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
    """What to time, and for how long; the shapes are each loss's own where there are none."""

    shapes: Sequence[Dims] = ()
    dtypes: Sequence[str] = tuple(DTYPES)
    targets: Sequence[str] = TARGETS
    rows: Sequence[str] = ROWS
    directions: Sequence[str] = DIRECTIONS
    modes: Sequence[str] = ()
    seconds: float = 0.5
    thorough: bool = False
    quick: bool = False
    losses: Sequence[str] = tuple(LOSSES)

    def cells(self) -> Iterator[Cell]:
        """The cells, those that share their tensors or programs after one another."""
        return (cell for loss in self.losses for cell in self._cells(loss))

    def shapes_of(self, loss: str) -> Sequence[Dims]:
        """The shapes of a loss."""
        own = LOSSES[loss]
        return self.shapes or (own.quick if self.quick else own.shapes)

    def _cells(self, loss: str) -> Iterator[Cell]:
        shapes, wanted = self.shapes_of(loss), LOSSES[loss].wanted
        kinds = product(shapes, self.dtypes, self.targets, self.rows, self.directions)
        cells = (Cell(*kind, loss) for kind in kinds)
        return (c for c in cells if wanted(c.kind, c.shape == shapes[0], self.thorough))

    def mode(self, mode: str, cell: Cell, spared: bool) -> bool:
        """Whether a mode takes part in a cell; one that is spared, in the main cells alone."""
        main = cell.dtype == "float32" or (cell.dtype == "bfloat16" and cell.targets == "hard")
        return (not self.modes or mode in self.modes) and (main or self.thorough or not spared)


QUICK = Request((), ("float32",), ("hard",), ("normal",), DIRECTIONS, (), 0.3, quick=True)


def request_of(held: dict[str, Any]) -> Request:
    """A request from its JSON."""
    fields = {name: tuple(v) if isinstance(v, list) else v for name, v in held.items()}
    return Request(**fields | {"shapes": tuple(map(tuple, held["shapes"]))})
