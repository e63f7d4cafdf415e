"""The tables of docs/drop-ins: in what each drop-in differs, and why.

    python tools/drop_in_pages.py            write the tables
    python tools/drop_in_pages.py --check    fail if a page holds another one

It imports no framework: what the tables say is what tests/test_drop_ins.py tries.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from blocks import DOCS, arguments, line, settle

from xentropy.parity.differences import LIBRARIES, Difference, differences

FOLDER = DOCS / "drop-ins"
TITLES = {"torch": "PyTorch", "tensorflow": "TensorFlow", "keras": "Keras", "jax": "JAX and optax"}
#: Every kind of difference, what its table is called, and what its middle columns are.
KINDS = {
    "defect": ("{0}: wrong or lost, here right", ("{0}", "here")),
    "extension": ("Refused by {0}, taken here", ("{0}", "here")),
    "limit": ("Taken by {0}, refused here", ("{0}", "here")),
    "convention": ("As {0} has it, and not as xentropy's own functions", ("both",)),
}


def row(one: Difference) -> str:
    """A difference: its title over the code that shows it, the answers, the reason."""
    answers = [one.ours] if one.kind == "convention" else [one.native, one.ours]
    code = one.code.replace("|", "\\|")
    shown = [f"`{answer}`" for answer in answers]
    return line([f"{one.title}<br>`{code}`", *shown, one.reason])


def table(library: str, kind: str) -> Iterator[str]:
    """The differences of one kind, under a heading, where there are any."""
    found = [one for one in differences(library) if one.kind == kind]
    title, middle = KINDS[kind]
    if found:
        heads = ["", *(name.format(TITLES[library]) for name in middle), "why"]
        yield f"### {title.format(TITLES[library])}\n"
        yield line(heads)
        yield line(["---"] * len(heads))
        yield from map(row, found)
        yield ""


def block(library: str) -> str:
    """Everything between the marks of a page."""
    return "\n".join(text for kind in KINDS for text in table(library, kind)) + "\n"


if __name__ == "__main__":
    given = arguments(__doc__)
    for library in LIBRARIES:
        made = {"differences": block(library)}
        settle(FOLDER / f"{library}.md", Path(__file__).name, made, check=given.check)
