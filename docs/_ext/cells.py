"""The cells of a page that is written once, with NumPy, and read in the words of any framework."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Dialect:
    """How the users of a framework write what a cell writes with NumPy."""

    title: str
    imports: str
    prefix: str
    names: Mapping[str, str] = field(default_factory=dict)

    def name(self, found: re.Match[str]) -> str:
        """A name of NumPy's namespace."""
        return self.prefix + self.names.get(found[1], found[1])


NUMPY = Dialect("NumPy", "import numpy as np", "np.")
# By the names of the backends, in the order of the tabs.
DIALECTS = {
    "numpy": NUMPY,
    "torch": Dialect("PyTorch", "import torch", "torch.", {"array": "tensor"}),
    "tensorflow": Dialect(
        "TensorFlow",
        "import tensorflow as tf",
        "tf.",
        {"array": "constant", "clip": "clip_by_value", "log": "math.log"},
    ),
    "jax": Dialect(
        "JAX",
        'import jax\nimport jax.numpy as jnp\n\njax.config.update("jax_enable_x64", True)',
        "jnp.",
    ),
}


def translated(cell: str, framework: str) -> str:
    """A cell in the words of a framework: the imports and the names of the namespace."""
    dialect = DIALECTS[framework]
    return re.sub(
        rf"^{NUMPY.imports}$|\bnp\.(\w+)",
        lambda found: dialect.name(found) if found[1] else dialect.imports,
        cell,
        flags=re.MULTILINE,
    )


# A tab's beginning, or a fenced block.
_PIECE = re.compile(
    r"^:+\{tab-item\} (?P<title>[^\n]+)$|^```(?P<kind>\S+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def program(page: str, framework: str) -> Iterator[tuple[str, str]]:
    """The cells of a page for one framework, each with what it prints.

    A cell is a block called ``{everywhere}``, or a Python block in the framework's own tab; what a
    tab or cell prints is in the text block after it.
    """
    title, cell = "", ""
    for piece in _PIECE.finditer(page):
        kind, text = piece["kind"], piece["text"]
        if piece["title"]:
            title = piece["title"]
        elif kind == "{everywhere}":
            cell += translated(text, framework)
        elif kind == "python" and title == DIALECTS[framework].title:
            cell += text
        elif kind == "text":
            yield cell, text
            cell = ""
    if cell:
        yield cell, ""
