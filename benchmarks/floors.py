"""What is promised of each case, declared once: the report marks what is met."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.cases import DENSE, HEAD, ITSELF, MAIN, Cell
from benchmarks.peak import RESOLUTION
from benchmarks.report import Comparison, Report, Taken

FORWARD, BOTH = ("forward",), ("forward+backward",)

#: The sizes that floors speak of.
SIZES: dict[str, Callable[[Cell], bool]] = {
    "vocabularies": lambda cell: len(cell.shape) == 2 and cell.classes >= 32_000,
    "large": lambda cell: cell.elements >= 1_000_000,
    "small": lambda cell: cell.shape == (32, 10),
    "vocabulary heads": lambda cell: cell.elements >= 2048 * 32_000,
}


@dataclass(frozen=True)
class Floor:
    """The largest ratio of ours to another's time in some cells of a backend's modes."""

    most: float
    backend: str
    modes: tuple[str, ...]
    directions: tuple[str, ...]
    size: str
    dtype: str = "float32"
    against: str = "native"
    loss: str = DENSE

    def covers(self, found: Comparison) -> bool:
        """Whether it says something about a comparison."""
        cell = found.cell
        return (
            (self.backend, self.against, self.loss) == (found.backend, found.kind, cell.loss)
            and found.mode in self.modes
            and cell.direction in self.directions
            and cell.kind == (self.dtype, "hard", "normal")
            and SIZES[self.size](cell)
        )


FLOORS = (
    Floor(0.35, "numpy", ("eager",), BOTH, "vocabularies"),
    Floor(2.5, "numpy", ("eager",), BOTH, "vocabularies", against="copy"),
    Floor(0.5, "numpy", ("eager",), FORWARD, "large"),
    Floor(0.5, "torch", ("eager", ITSELF), BOTH, "vocabularies"),
    Floor(1.0, "torch", ("eager", ITSELF), BOTH, "large"),
    Floor(1.0, "torch", ("eager",), FORWARD, "large"),
    Floor(0.5, "tensorflow", ("eager", ITSELF), BOTH, "vocabularies"),
    Floor(1.0, "tensorflow", ("eager", ITSELF), BOTH, "large"),
    Floor(0.5, "tensorflow", ("eager",), FORWARD, "large"),
    Floor(1.1, "jax", ("plain", ITSELF, "jit"), BOTH, "large"),
    Floor(1.5, "jax", ("plain", "jit"), FORWARD, "large"),
    # bfloat16: no slower than the framework's own.
    *(
        Floor(1.0, backend, modes, FORWARD + BOTH, "large", "bfloat16")
        for backend, modes in (
            ("numpy", ("eager",)),
            ("torch", ("eager", ITSELF)),
            ("tensorflow", ("eager", ITSELF)),
            ("jax", ("plain", ITSELF, "jit")),
        )
    ),
    # A call on a small input costs at most so many of PyTorch's own, on every backend. What
    # TensorFlow's tapes and JAX's tracing take by themselves is more than that.
    *(
        Floor(4.0, backend, modes, BOTH, "small", against="PyTorch")
        for backend, modes in (
            ("numpy", ("eager",)),
            ("torch", ("eager", ITSELF)),
            ("tensorflow", (ITSELF,)),
            ("jax", (ITSELF,)),
        )
    ),
    # A head without its logits is no slower than with them, nor than in PyTorch's chunks.
    *(
        Floor(most, backend, modes, BOTH, "vocabulary heads", loss=HEAD)
        for backend, modes, most in (
            ("numpy", ("eager",), 1.0),
            ("torch", ("eager", "compiled"), 1.0),
            ("tensorflow", ("eager", "tf.function"), 1.0),
            ("jax", ("plain", "jit"), 1.15),
        )
    ),
    Floor(1.0, "torch", ("eager",), BOTH, "vocabulary heads", against="chunked", loss=HEAD),
)
#: Nanoseconds in which the backend of a known type is found.
DISPATCH = 2000.0
#: The peak beyond the inputs, as a multiple of the framework's own.
MEMORY = 1.0
#: The peak of a head beyond inputs and gradients, in bytes: whatever its rows and classes.
ROOM = {"numpy": 64e6, "torch": 64e6, "tensorflow": 128e6, "jax": 128e6}


def floor_of(found: Comparison) -> float | None:
    """The tightest floor of a comparison; none for most of the cells."""
    return min((floor.most for floor in FLOORS if floor.covers(found)), default=None)


def met(found: Comparison) -> bool | None:
    """Whether a comparison meets its floor; None where it has none, or was not on the host."""
    most = floor_of(found) if found.on_host else None
    return None if most is None else found.ratio.median <= most


def spared(found: Taken) -> bool:
    """Whether ours took no more memory than the framework's own, as far as can be told.

    It is promised of logits; a small head takes a tile, which may be more than all its logits.
    """
    return found.ours <= found.theirs * MEMORY + RESOLUTION


def room_of(found: Taken) -> float | None:
    """The most that a call may take beyond inputs and gradients; None where nothing is said."""
    cell = found.cell
    covered = cell.loss == HEAD and cell.kind == MAIN and SIZES["vocabulary heads"](cell)
    return ROOM[found.backend] if covered else None


def fits(found: Taken) -> bool | None:
    """Whether ours takes no more than that; None where nothing is said."""
    most = room_of(found)
    return None if most is None else found.extra[0] <= most


def verdicts(report: Report) -> Iterator[tuple[bool, str]]:
    """Every floor that a report says something about: whether it is met, and what was found."""
    for one in report.comparisons:
        good = met(one)
        if good is not None:
            most = floor_of(one)
            yield good, f"{one.name}: {one.ratio.median} of {one.theirs.name}; {most} is the floor"
    for taken in report.memory:
        if taken.kind == "native":
            yield from _memory(taken)
    for backend, found in report.dispatch.items():
        yield found <= DISPATCH, f"{backend}: {found} ns to dispatch; {DISPATCH:.0f} is the floor"


def _memory(taken: Taken) -> Iterator[tuple[bool, str]]:
    """What is said about the peak of a call."""
    if taken.cell.loss == DENSE:
        ours, theirs = (f"{each / 1e6:.1f} MB" for each in (taken.ours, taken.theirs))
        yield spared(taken), f"{taken.name}: {ours} at the peak; {theirs} is the framework's own"
    good, most = fits(taken), room_of(taken)
    if good is not None and most is not None:
        extra = f"{taken.extra[0] / 1e6:.1f} MB beyond inputs and gradients"
        yield good, f"{taken.name}: {extra}; {most / 1e6:.0f} MB is the floor"


def missed(report: Report) -> list[str]:
    """Every floor that is not met, in words."""
    return [found for good, found in verdicts(report) if not good]
