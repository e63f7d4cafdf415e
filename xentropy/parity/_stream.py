"""What a column's process tells: a line for each case as it goes, and a file with all of them at
the end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any


class Stream:
    """Collects cells, names each on standard output before it is computed, and writes them all when
    it closes.
    """

    def __init__(self, out: str, **about: object) -> None:
        self.out, self.about = Path(out), about
        self.cells: dict[str, dict[str, Any]] = {}

    def cell(self, name: str, compute: Callable[[], dict[str, object]]) -> None:
        """Compute a cell and keep it with the time it took."""
        print(name, flush=True)
        start = time.perf_counter()
        self.cells[name] = compute() | {"seconds": round(time.perf_counter() - start, 4)}

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the file, but not after an error: half a column is none."""
        if kind is None:
            self.out.write_text(json.dumps({**self.about, "cells": self.cells}))
