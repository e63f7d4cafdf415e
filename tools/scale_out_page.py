"""Write the tables and the plot of docs/scale-out.md from docs/scale-out.json, the report of a run.

    python tools/scale_out_page.py            write them
    python tools/scale_out_page.py --check    fail if the page holds other tables or another plot

`python -m benchmarks.sharded` leaves such a report in bench-report/sharded.json. No framework is
imported, and matplotlib only to draw.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from blocks import DOCS, arguments, replace

# The benchmark is part of the checkout, not of what is installed; what is installed goes first.
sys.path.append(str(Path(__file__).parents[1]))

from benchmarks.sharded import page
from benchmarks.sharded.report import read

PAGE, RUN, PLOT = DOCS / "scale-out.md", DOCS / "scale-out.json", DOCS / "img" / "scale-out.png"


def written(text: str) -> str:
    """Put the tables into the page's text."""
    blocks = {"measured": page.measured(read(RUN)), "model": page.model_table()}
    for name, lines in blocks.items():
        text = replace(text, name, Path(__file__).name, "\n".join(lines) + "\n")
    return text


def mark() -> str:
    """Name the run that a plot shows; the plot's file keeps it."""
    return hashlib.sha256(RUN.read_bytes()).hexdigest()


def check(text: str) -> None:
    """Fail where the page is not that of the run."""
    stale = [PAGE] if written(text) != text else []
    stale += [PLOT] if mark().encode() not in PLOT.read_bytes() else []
    if stale:
        names = ", ".join(path.name for path in stale)
        raise SystemExit(f"{names} out of date: run tools/{Path(__file__).name}")


def main() -> None:
    given = arguments(__doc__)
    text = PAGE.read_text(encoding="utf-8")
    if given.check:
        check(text)
        return
    from benchmarks.sharded import plot

    PAGE.write_text(written(text), encoding="utf-8")
    plot.draw(read(RUN), PLOT, mark())


if __name__ == "__main__":
    main()
