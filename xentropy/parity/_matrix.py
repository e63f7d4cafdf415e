"""What the joined matrix is made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any

from xentropy.parity._case import Case


@dataclass(frozen=True)
class Finding:
    """One compared number.

    Parameters
    ----------
    what : str
        The quantity and the place in it.
    expected, got : str
        Both, as text.
    error, budget : float
        In units in the last place.
    theirs : str
        What the framework's own function gives in this place, if there is one.
    their_error : float or None
        Its error in the same units, never judged.
    """

    what: str
    expected: str
    got: str
    error: float = 0.0
    budget: float = 0.0
    theirs: str = ""
    their_error: float | None = None

    @property
    def ratio(self) -> float:
        """The error over its budget: at most 1 is good."""
        if not self.error:
            return 0.0
        return self.error / self.budget if self.budget else math.inf


@dataclass(frozen=True)
class Cell:
    """A case on a column.

    Parameters
    ----------
    case, column : str
        Which cell it is.
    state : {"good", "bad", "skipped"}
        The verdict.
    findings : tuple of Finding
        The numbers nearest to their budgets, or beyond them, the worst first.
    note : str
        Why it is bad or skipped, or the error that was promised and came.
    native, native_note : str
        The name of the framework's own function, and the error it ended in.
    without : str
        What the column cannot have of the case, and why.
    """

    case: str
    column: str
    state: str
    findings: tuple[Finding, ...] = ()
    note: str = ""
    native: str = ""
    native_note: str = ""
    without: str = ""

    @property
    def worst(self) -> Finding | None:
        """The finding nearest to its budget, or beyond it."""
        return self.findings[0] if self.findings else None

    @property
    def ratio(self) -> float:
        """The worst ratio of error and budget; infinite for one that is bad otherwise."""
        ratio = self.findings[0].ratio if self.findings else 0.0
        return math.inf if self.state == "bad" and ratio <= 1 else ratio


@dataclass(frozen=True)
class Column:
    """What a process left: its cells, or the reason why there are none.

    Parameters
    ----------
    name : str
        Backend and mode, "oracle" for the oracle's.
    cells : mapping of str to dict
        By the identity of the case.
    death : str
        How the process died, empty if it did not.
    seconds : float
        How long it took.
    """

    name: str
    cells: Mapping[str, Any] = field(default_factory=dict)
    death: str = ""
    seconds: float = 0.0

    @property
    def backend(self) -> str:
        """The first word of its name."""
        return self.name.partition(" ")[0]

    @property
    def mode(self) -> str:
        """The rest of its name."""
        return self.name.partition(" ")[2]


@dataclass(frozen=True)
class Spread:
    """How far the columns lie apart at most in a quantity of a case, in units in the last place."""

    case: str
    what: str
    units: float


@dataclass(frozen=True)
class Matrix:
    """The joined matrix."""

    cases: tuple[Case, ...]
    columns: tuple[Column, ...]
    cells: tuple[Cell, ...]
    spreads: tuple[Spread, ...] = ()

    @cached_property
    def bad(self) -> list[Cell]:
        """Cells outside their budget."""
        return [c for c in self.cells if c.state == "bad"]

    @cached_property
    def worst(self) -> Cell | None:
        """The cell with the largest ratio of error and budget."""
        judged = [c for c in self.cells if c.state != "skipped"]
        return max(judged, key=lambda c: c.ratio, default=None)

    @cached_property
    def widest(self) -> Spread | None:
        """The largest distance between two columns."""
        return max(self.spreads, key=lambda s: s.units, default=None)

    @property
    def modes(self) -> list[tuple[str, list[Column]]]:
        """The columns side by side that are in the same mode, a group each."""
        grouped = groupby(self.columns, key=lambda column: column.mode)
        return [(mode, list(columns)) for mode, columns in grouped]

    @property
    def green(self) -> bool:
        """Whether every cell is within its budget, and there is one."""
        return not self.bad and any(c.state == "good" for c in self.cells)
