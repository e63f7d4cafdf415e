"""The blocks of a Markdown page, and what they print when they are run one after another."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCKS = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block, and the text block right after it."""

    language: str
    code: str
    said: str


def pages() -> list[Path]:
    """Every page of the documentation, and the README."""
    found = (p for p in sorted(DOCS.rglob("*.md")) if "_build" not in p.parts)
    return [ROOT / "README.md", *found]


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page but those of text; what Sphinx runs itself is in braces."""
    found = BLOCKS.findall(text)
    pairs = zip(found, [*found[1:], ("", "")], strict=False)
    return [
        Block(language, code, said if following == "text" else "")
        for (language, code), (following, said) in pairs
        if language != "text"
    ]


def imported(text: str) -> set[str]:
    """The roots of the modules that a page's Python blocks import."""
    code = "".join(block.code for block in blocks(text) if block.language == "python")
    names: list[str] = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(str(node.module))
    return {name.partition(".")[0] for name in names}


def run(text: str, name: str) -> Iterator[tuple[str, str]]:
    """What each Python block, and each command that a console block shows, prints and should."""
    known: dict[str, Any] = {}
    for block in blocks(text):
        if block.language == "python":
            yield printed(block.code, name, known), block.said
        elif block.language == "console" and block.code.startswith("$ python "):
            command, _, said = block.code.partition("\n")
            yield ran(command), said


def printed(code: str, name: str, known: dict[str, Any]) -> str:
    """What a program prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, name, "exec"), known)  # noqa: S102 - the page's own code
    return out.getvalue()


def ran(command: str) -> str:
    """What a command prints."""
    words = shlex.split(command.removeprefix("$ python "))
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=True, timeout=120
    ).stdout
