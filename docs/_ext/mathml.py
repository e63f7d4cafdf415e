"""Formulas as MathML, which browsers draw themselves: the site asks no other one for a script."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.utils.math import MathError, unichar2tex
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)


def drawn(node: nodes.Element, *, block: bool) -> str:
    """The formula of a node."""
    tex = " ".join(node.astext().translate(unichar2tex.uni2tex_table).split())
    try:
        return tex2mathml(tex, as_block=block)
    except MathError as error:
        logger.warning("formula %r: %s", tex, error, location=node)
        return ""


def inline(writer: Any, node: nodes.Element) -> None:
    """Draw a formula in a line."""
    writer.body.append(drawn(node, block=False))
    raise nodes.SkipNode


def display(writer: Any, node: nodes.Element) -> None:
    """Draw one on lines of its own."""
    writer.body.append(f'<div class="math">{drawn(node, block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
