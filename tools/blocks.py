"""Blocks of a page that a tool writes, between two comments that carry their name."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def line(entries: Iterable[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(entries)} |"


def heads(entries: Iterable[str]) -> list[str]:
    """The first lines of a table: names, of which all but the first are above numbers."""
    names = list(entries)
    return [line(names), line(["---", *["--:"] * (len(names) - 1)])]


def replace(text: str, name: str, tool: str, made: str) -> str:
    """Put a block between the two comments that carry its name."""
    start, end = f"<!-- {name}: tools/{tool} -->\n", f"<!-- end of {name} -->\n"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"there is no block between {start.strip()} and {end.strip()}")
    return before + start + made + end + after


def arguments(doc: str, *, stored: bool = False) -> argparse.Namespace:
    """What a tool is called with; ``stored`` where it can do without a run."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if a page is out of date")
    if stored:
        parser.add_argument("--stored", action="store_true", help="run nothing, read the last run")
    return parser.parse_args()


def settle(page: Path, tool: str, made: dict[str, str], *, check: bool) -> None:
    """Write a page's blocks by their names, or fail if it holds others."""
    wanted = text = page.read_text(encoding="utf-8")
    for name, block in made.items():
        wanted = replace(wanted, name, tool, block)
    if check and wanted != text:
        raise SystemExit(f"{page.relative_to(ROOT)} is out of date: run {tool}")
    if not check:
        page.write_text(wanted, encoding="utf-8")


def write_run(
    tool: str,
    doc: str,
    run: Callable[[], Any],
    tables: Callable[[Any], str],
    draw: Callable[[Any], None] | None = None,
) -> None:
    """NAME_page.py: docs/NAME.json from a run, and from it the block of docs/NAME.md and plots."""
    name, given = tool.removesuffix("_page.py"), arguments(doc, stored=True)
    held = DOCS / f"{name}.json"
    if not (given.stored or given.check):
        held.write_text(json.dumps(run(), indent=1) + "\n", encoding="utf-8")
    report = json.loads(held.read_text("utf-8"))
    settle(DOCS / f"{name}.md", tool, {name: tables(report)}, check=given.check)
    if draw is not None and not given.check:
        draw(report)
