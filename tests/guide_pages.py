"""The programs of a page, and the tables of calls that it says are equal."""

from __future__ import annotations

import contextlib
import io
import re
from typing import Any

BLOCKS = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CALLS = re.compile(r"^<!-- calls -->\n(.*?)^<!-- end of calls -->$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`]+)`")


def programs(text: str) -> list[tuple[str, str]]:
    """Every Python block, with the text block right after it: what it prints."""
    blocks = BLOCKS.findall(text)
    pairs = zip(blocks, [*blocks[1:], ("", "")], strict=True)
    return [
        (code, output if following == "text" else "")
        for (language, code), (following, output) in pairs
        if language == "python"
    ]


def printed(code: str, page: str, names: dict[str, Any]) -> str:
    """Run a program among names that it may add to; return what it prints."""
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        exec(compile(code, page, "exec"), names)  # noqa: S102 - the page's own code
    return stream.getvalue()


def calls(text: str) -> list[tuple[str, list[str]]]:
    """The rows of the tables of calls: the old one, and those that give the same."""
    lines = [line for table in CALLS.findall(text) for line in table.splitlines()[2:]]
    rows = [[CODE.findall(cell) for cell in line.strip("| ").split(" | ")] for line in lines]
    return [(old, new) for (old,), new in rows]
