"""The commands of the benchmark that the pages show are ones that it takes; none is run."""

from __future__ import annotations

import re
import shlex
from importlib import import_module

import pytest
from pages import BLOCKS, ROOT, blocks, pages

from benchmarks import cli, limits

pytestmark = pytest.mark.backends("numpy")

SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
COMMAND = re.compile(r"(python -m benchmarks\S*|nox -s bench(?= |$)(?: --(?= |$))?)(.*)$")
PARSERS = {
    "benchmarks": cli.parser,
    "benchmarks.limits": limits.parser,
    "benchmarks.sharded": import_module("benchmarks.sharded.__main__").parser,
}


def commands(text):
    """The module that each command of a page runs, and its arguments."""
    consoles = (block.code for block in blocks(text) if block.language == "console")
    shown = "".join(consoles).replace("\\\n", "").splitlines()
    spans = [span.replace("\n", " ") for span in SPAN.findall(BLOCKS.sub("", text))]
    for found in filter(None, map(COMMAND.search, shown + spans)):
        start, arguments = found.groups()
        module = "benchmarks" if start.startswith("nox") else start.removeprefix("python -m ")
        yield module, shlex.split(arguments, comments=True)


def here():
    found = {}
    for page in (*pages(), ROOT / "CONTRIBUTING.md"):
        for module, arguments in commands(page.read_text(encoding="utf-8")):
            found.setdefault((page.name, module, *arguments), (module, arguments))
    return [pytest.param(*value, id=" ".join(key)) for key, value in found.items()]


@pytest.mark.parametrize(("module", "arguments"), here())
def test_a_command_is_understood(module, arguments):
    if arguments == ["--help"]:
        with pytest.raises(SystemExit, match=r"^0$"):
            PARSERS[module]().parse_args(arguments)
        return
    given = PARSERS[module]().parse_args(arguments)
    if module == "benchmarks":
        assert not cli._unfit(given)
        assert list(cli.request(given).cells())


def test_every_page_with_commands_is_looked_at():
    names = [one.id.partition(" ")[0] for one in here()]
    assert {"performance.md", "scale-out.md", "CONTRIBUTING.md"} <= {*names}
    assert names.count("performance.md") >= 9
    assert re.search(r"^def bench\(session", (ROOT / "noxfile.py").read_text("utf-8"), re.MULTILINE)
