"""The directive ``{everywhere}``: a cell written with NumPy, in a tab for every framework."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cells import DIALECTS, translated
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective


class Everywhere(SphinxDirective):
    """Tabs that are switched together all over the page."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The tabs, parsed as if the page had them."""
        self.assert_has_content()
        lines = StringList(list(tabs("\n".join(self.content))), self.get_source_info()[0])
        parent = nodes.Element()
        self.state.nested_parse(lines, self.content_offset, parent)
        return parent.children


def tabs(cell: str) -> Iterator[str]:
    """The Markdown of the tabs of a cell."""
    yield from (":::::{tab-set}", ":sync-group: framework")
    for name, dialect in DIALECTS.items():
        yield from (f"::::{{tab-item}} {dialect.title}", f":sync: {name}", "```python")
        yield from translated(cell, name).splitlines()
        yield from ("```", "::::")
    yield ":::::"


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_directive("everywhere", Everywhere)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
