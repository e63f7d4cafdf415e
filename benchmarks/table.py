"""The tables of a report, as rows of text: the terminal and Markdown lay them out alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from benchmarks.cases import DENSE, ITSELF, Cell, Dims, size
from benchmarks.contenders import columns
from benchmarks.floors import fits, met, verdicts
from benchmarks.report import Comparison, Report, Taken

#: How a column is headed, on two lines.
HEADS = {
    ("numpy", "eager"): ("NumPy", ""),
    ("torch", "eager"): ("PyTorch", ""),
    ("torch", ITSELF): ("PyTorch", ITSELF),
    ("torch", "compiled"): ("PyTorch", "compile"),
    ("tensorflow", "eager"): ("TF", "eager"),
    ("tensorflow", ITSELF): ("TF", ITSELF),
    ("tensorflow", "tf.function"): ("TF", "function"),
    ("tensorflow", "XLA"): ("TF", "XLA"),
    ("jax", "plain"): ("JAX", "plain"),
    ("jax", ITSELF): ("JAX", ITSELF),
    ("jax", "jit"): ("JAX", "in jit"),
}
#: Beside its ratio to PyTorch, NumPy's to a copy; beside that to a held head, that to chunks.
BESIDE = {("numpy", "copy"): ("NumPy", "/ copy"), ("torch", "chunked"): ("PyTorch", "/ chunked")}
HEADS |= BESIDE
NONE = "–"
#: From this load on a machine is busy: one process beside the benchmark stalls PyTorch's threads.
BUSY = 0.5
#: Headings of the tables that are no matrix.
SMALL = ("µs", "PyTorch's own", "ratio", "dispatch, ns")
RATES = ("ours", "theirs", "copy", "of the copy")
#: What the entries mean.
LEGEND = "ours over the framework's own; ✓ ✗: a floor is met or not; ~: the rounds are far apart"
MEMORY_LEGEND = "ours / the framework's own, in multiples of the logits; a gradient is 1.0"
ROOM_LEGEND = "ours / the framework's own, in MB beyond inputs and gradients; ✓ ✗: the floor"
PRODUCTS_LEGEND = "ours over the bare matrix products, which no exact method can do without"


class Key(NamedTuple):
    """A column on a device."""

    backend: str
    mode: str
    device: str

    @property
    def head(self) -> tuple[str, str]:
        """Its heading, with the device where that is not the host."""
        name, mode = HEADS[self.backend, self.mode]
        return (name, mode) if self.device in ("cpu", "CPU") else (name, f"{mode} GPU".strip())


class Section(NamedTuple):
    """The rows of one dtype, kind of targets and kind of rows."""

    title: str
    rows: list[tuple[str, list[str]]]


class Entry(NamedTuple):
    """A table's place: by column, then by cell."""

    key: Key
    cell: Cell
    text: str


#: Columns and sections.
Laid = tuple[list[Key], list[Section]]
T = TypeVar("T", Comparison, Taken)


def ratios(report: Report, direction: str, wordy: bool = False, loss: str = DENSE) -> Laid:
    """Ours over theirs; `wordy` with the quartiles."""
    chosen = _chosen(report.comparisons, direction, loss)
    return _table(Entry(_key(one), one.cell, entry(one, wordy)) for one in chosen if _shown(one))


def products(report: Report, direction: str, wordy: bool = False) -> Laid:
    """Ours over the bare matrix products of a head."""
    chosen = [one for one in report.comparisons if one.kind == "products"]
    native = [replace(one, kind="native") for one in chosen if one.cell.direction == direction]
    return _table(Entry(_key(one), one.cell, plain(one, wordy)) for one in native)


def times(report: Report, direction: str, loss: str = DENSE) -> Laid:
    """Microseconds, ours and theirs."""
    native = [o for o in _chosen(report.comparisons, direction, loss) if o.kind == "native"]
    return _table(Entry(_key(one), one.cell, _microseconds(one)) for one in native)


def memory(report: Report, direction: str, loss: str = DENSE) -> Laid:
    """Peaks, ours and theirs: in multiples of the logits; of a head without the gradients."""
    text = multiples if loss == DENSE else megabytes
    chosen = _chosen(report.memory, direction, loss)
    return _table(Entry(_key(one), one.cell, text(one)) for one in chosen)


def legend(loss: str) -> str:
    """What the entries of the memory mean."""
    return MEMORY_LEGEND if loss == DENSE else ROOM_LEGEND


def title(what: str, direction: str, loss: str) -> str:
    """The heading of a table."""
    return (
        f"{what}, {direction}"
        if loss == DENSE
        else f"{loss}: {what[0].lower()}{what[1:]}, {direction}"
    )


def _chosen(found: Sequence[T], direction: str, loss: str) -> list[T]:
    return [o for o in found if (o.cell.direction, o.cell.loss) == (direction, loss)]


def small(report: Report) -> Iterator[tuple[str, list[str]]]:
    """What a call on the smallest input costs beside PyTorch's own, and the dispatch."""
    for one in report.comparisons:
        if one.kind == "PyTorch":
            ours, theirs = (1e6 * t.seconds.median for t in (one.ours, one.theirs))
            numbers = [f"{ours:.0f}", f"{theirs:.0f}", f"{one.ratio.median:.2f}{mark(one)}"]
            dispatch = report.dispatch.get(one.backend)
            head = " ".join(HEADS[one.backend, one.mode]).strip()
            yield head, [*numbers, NONE if dispatch is None else f"{dispatch:.0f}"]


def rates(report: Report) -> Iterator[tuple[str, list[str]]]:
    """Bytes a second on an accelerator: ours, theirs and a copy's."""
    copies = {_place(one): one for one in report.comparisons if one.kind == "copy"}
    for one in report.comparisons:
        roof = copies.get(_place(one))
        if not one.on_host and one.kind == "native" and roof is not None:
            ours, theirs, copy = one.rate(one.ours), one.rate(one.theirs), roof.rate(roof.theirs)
            found = [f"{each / 1e9:.0f}" for each in (ours, theirs, copy)]
            yield one.name, [*found, f"{ours / copy:.0%}"]


def _place(one: Comparison) -> tuple[str, str, Cell]:
    return one.backend, one.device, one.cell


def entry(one: Comparison, wordy: bool = False) -> str:
    """A ratio with its mark; ``~`` where the middle half of the rounds is far apart."""
    return f"{plain(one, wordy)}{mark(one)}"


def plain(one: Comparison, wordy: bool = False) -> str:
    """A ratio, no floor being spoken of."""
    ratio = one.ratio
    spread = f" ({number(ratio.low)}–{number(ratio.high)})" if wordy else "~" * ratio.wide
    return f"{number(ratio.median)}{spread}"


#: Whether a floor is met, where there is one.
MARKS = {None: "", True: " ✓", False: " ✗"}


def mark(one: Comparison) -> str:
    """Whether the floor is met, where there is one."""
    return MARKS[met(one)]


def number(value: float) -> str:
    """Three figures at most."""
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def multiples(one: Taken) -> str:
    """Ours and theirs in multiples of the logits."""
    ours, theirs = one.ours / one.cell.nbytes, one.theirs / one.cell.nbytes
    return f"{ours:.1f}/{theirs:.1f}"


def megabytes(one: Taken) -> str:
    """Ours and theirs without the gradients, and whether ours is within its floor."""
    ours, theirs = (f"{each / 1e6:.0f}" for each in one.extra)
    return f"{ours}/{theirs}{MARKS[fits(one) if one.kind == 'native' else None]}"


def warning(report: Report) -> str:
    """What to think of a run beside which something else ran; empty where nothing did."""
    load = report.machine.get("load")
    if not isinstance(load, float) or load <= BUSY:
        return ""
    return (
        f"The machine was busy, with a load of {load} before the run: run it again when it is not"
    )


def floors_line(report: Report) -> str:
    """How many floors were met."""
    found = [good for good, _ in verdicts(report)]
    return f"{sum(found)} of {len(found)} floors are met"


def _shown(one: Comparison) -> bool:
    return one.kind == "native" or (one.backend, one.kind) in BESIDE


def _key(one: Comparison | Taken) -> Key:
    beside = (one.backend, one.kind) in BESIDE
    return Key(one.backend, one.kind if beside else one.mode, one.device)


def _microseconds(one: Comparison) -> str:
    return " / ".join(f"{1e6 * t.seconds.median:.4g}" for t in (one.ours, one.theirs))


def _table(entries: Iterable[Entry]) -> tuple[list[Key], list[Section]]:
    """Entries laid out: columns in their order, a section for every kind of cell."""
    held = {(entry.key, entry.cell): entry.text for entry in entries}
    keys = _ordered({key for key, _ in held})
    kinds: dict[str, dict[Dims, Cell]] = {}
    for _, cell in held:
        kinds.setdefault(kind(cell), {})[cell.shape] = cell
    return keys, [
        Section(title, [(size(s), [held.get((k, c), NONE) for k in keys]) for s, c in of.items()])
        for title, of in kinds.items()
    ]


def kind(cell: Cell) -> str:
    """The kind of a cell in words."""
    rows = "" if cell.rows == "normal" else f" {cell.rows}"
    return f"{cell.dtype} {cell.targets}{rows}"


def _ordered(keys: set[Key]) -> list[Key]:
    order: list[tuple[str, str]] = []
    for column in columns():
        order.extend([column, *(beside for beside in BESIDE if beside[0] == column[0])])
    host = ("cpu", "CPU")
    return sorted(keys, key=lambda k: (k.device not in host, order.index((k.backend, k.mode))))
