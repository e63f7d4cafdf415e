"""Blocks of a page that a tool writes, between two comments that carry their name."""

from __future__ import annotations


def replace(text: str, name: str, tool: str, made: str) -> str:
    """Put a block between the two comments that carry its name."""
    start, end = f"<!-- {name}: tools/{tool} -->\n", f"<!-- end of {name} -->\n"
    head, found, rest = text.partition(start)
    _, closed, tail = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"there is no block between {start.strip()} and {end.strip()}")
    return head + start + made + end + tail
