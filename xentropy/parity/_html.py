"""The matrix as one self-contained page: a heat map, the worst cell on top, every cell's numbers
behind it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from itertools import accumulate, groupby

from xentropy.parity._cases import identity
from xentropy.parity._describe import call_text
from xentropy.parity._matrix import Cell, Finding, Matrix
from xentropy.parity._report import finite
from xentropy.parity._words import headline, omissions, sentence, spread_sentence, units

Held = Mapping[tuple[str, str], Cell]


def as_html(matrix: Matrix) -> str:
    """The page; every text in it is escaped, and it asks for nothing from elsewhere."""
    held = {(c.case, c.column): c for c in matrix.cells}
    parts = {
        **_headlines(matrix),
        "dead": "".join(_dead(matrix)),
        "groups": "".join(_options(matrix)),
        "omissions": "".join(_omissions(matrix)),
        "groupings": "".join(_groupings(matrix)),
        "modes": "".join(_modes(matrix)),
        "head": "".join(_head(matrix)),
        "body": "".join(_body(matrix, held)),
        "data": _data(matrix, held),
        **_script(),
    }
    template = _file("report.html")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def _file(name: str) -> str:
    return files("xentropy.parity").joinpath(name).read_text("utf-8")


def _script() -> dict[str, str]:
    """The page's own script, and the hash by which a browser knows it: it runs no other."""
    script = _file("report.js")
    digest = hashlib.sha256(script.encode()).digest()
    return {"script": script, "script_hash": base64.b64encode(digest).decode()}


def _headlines(matrix: Matrix) -> dict[str, str]:
    worst = matrix.worst
    names = [identity(c) for c in matrix.cases], [c.name for c in matrix.columns]
    places = (
        [part.index(name) for part, name in zip(names, (worst.case, worst.column), strict=True)]
        if worst
        else [0, 0]
    )
    return {
        "state": "" if matrix.green else "bad",
        "verdict": escape(headline(matrix)),
        "worst_where": escape(f"{worst.case}, {worst.column}" if worst else "none"),
        "worst_what": escape(sentence(worst) if worst else "Nothing was compared."),
        "worst_row": str(places[0]),
        "worst_column": str(places[1]),
        "spread": escape(spread_sentence(matrix)),
    }


def _dead(matrix: Matrix) -> Iterator[str]:
    for column in matrix.columns:
        if column.death:
            name, death = escape(column.name), escape(column.death)
            yield f'<section class="dead"><strong>{name} died.</strong><pre>{death}</pre></section>'


def _omissions(matrix: Matrix) -> Iterator[str]:
    for omission in omissions(matrix):
        yield f"<span>left out, {escape(omission)}</span>"


def _options(matrix: Matrix) -> Iterator[str]:
    for group in dict.fromkeys(c.group for c in matrix.cases):
        yield f"<option>{escape(group)}</option>"


def _groupings(matrix: Matrix) -> Iterator[str]:
    """What tells a browser which columns belong together."""
    for _, columns in matrix.modes:
        yield f'<colgroup span="{len(columns)}"></colgroup>'


def _modes(matrix: Matrix) -> Iterator[str]:
    """The upper row of the head: a mode over its columns."""
    for place, (mode, columns) in enumerate(matrix.modes):
        edge = _edge(place > 0)
        yield f'<th scope="colgroup" colspan="{len(columns)}"{edge}>{escape(mode)}</th>'


def _head(matrix: Matrix) -> Iterator[str]:
    edges = _edges(matrix)
    for place, column in enumerate(matrix.columns):
        press = f'<button type="button" class="sort" data-sort="{place}">'
        name = f"{press}{escape(column.backend)}</button>"
        yield f'<th scope="col"{_edge(place in edges)}>{name}</th>'


def _edges(matrix: Matrix) -> set[int]:
    """The columns that begin a group, but for the first."""
    sizes = [len(columns) for _, columns in matrix.modes]
    return set(list(accumulate(sizes))[:-1])


def _edge(here: bool) -> str:
    return ' class="edge"' * here


def _body(matrix: Matrix, held: Held) -> Iterator[str]:
    """Two bodies a group: its name, and its rows."""
    width = len(matrix.columns) + 1
    numbered = enumerate(matrix.cases)
    for place, (group, cases) in enumerate(groupby(numbered, key=lambda pair: pair[1].group)):
        title = f'<th scope="rowgroup" colspan="{width}">{escape(group)}</th>'
        rows = "".join(
            _row(row, identity(c), c.name, group, place, matrix, held) for row, c in cases
        )
        yield f'<tbody class="name"><tr>{title}</tr></tbody>'
        yield f'<tbody id="group-{place}">{rows}</tbody>'


def _row(row: int, case: str, name: str, group: str, body: int, matrix: Matrix, held: Held) -> str:
    cells = [held[case, column.name] for column in matrix.columns]
    ratio = max(c.ratio for c in cells)
    data = {
        "row": row,
        "body": body,
        "group": group,
        "text": case.lower(),
        "ratio": min(ratio, 1e300),
        "marks": " ".join(sorted({mark for c in cells for mark in _marks(c)})),
    }
    attributes = " ".join(f'data-{k}="{escape(str(v))}"' for k, v in data.items())
    within = f'<span class="within">{escape(group)} · </span>'
    first = f'<th scope="row">{within}{escape(name)}</th>'
    edges = _edges(matrix)
    drawn = (_cell(c, row == place == 0, place in edges) for place, c in enumerate(cells))
    return f'<tr id="row-{row}" {attributes}>{first}{"".join(drawn)}</tr>'


def _marks(cell: Cell) -> Iterator[str]:
    """What the filters ask for."""
    if cell.state == "bad":
        yield "bad"
    if cell.ratio >= 0.5:
        yield "near"
    if any((f.their_error or 0.0) > f.budget for f in cell.findings) or cell.native_note:
        yield "theirs"


def _cell(cell: Cell, first: bool, edge: bool) -> str:
    heat = min(cell.ratio, 1.0)
    label = escape(f"{cell.case}, {cell.column}: {_label(cell)}")
    return (
        f'<td{_edge(edge)}><button type="button" class="{cell.state}" style="--r:{heat:.2f}" '
        f'tabindex="{-1 + first}" aria-label="{label}">{escape(_text(cell))}</button></td>'
    )


def _text(cell: Cell) -> str:
    """What fits into a cell."""
    if cell.state == "skipped":
        return "–"
    if cell.worst is None:
        return "✗" if cell.state == "bad" else "raises"
    return f"{'✗ ' * (cell.state == 'bad')}{units(cell.worst.error)}"


def _label(cell: Cell) -> str:
    """A cell for whoever does not see it."""
    if cell.worst is None:
        return f"{cell.state}, {_text(cell)}"
    return f"{cell.state}, error {units(cell.worst.error)} of {units(cell.worst.budget)}"


def _data(matrix: Matrix, held: Held) -> str:
    """The numbers behind the cells; nothing in them can end the script element."""
    data = {
        "columns": [c.name for c in matrix.columns],
        "cases": [[identity(c), call_text(c), c.policy] for c in matrix.cases],
        "cells": [
            [_numbers(held[identity(c), column.name]) for column in matrix.columns]
            for c in matrix.cases
        ],
    }
    text = json.dumps(finite(data), separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _numbers(cell: Cell) -> dict[str, object]:
    return {
        "state": cell.state,
        "note": cell.note,
        "native": cell.native,
        "native_note": cell.native_note,
        "without": cell.without,
        "findings": [_fields(f) for f in cell.findings],
    }


def _fields(f: Finding) -> list[object]:
    errors = [_short(e) for e in (f.error, f.budget, f.their_error)]
    return [f.what, f.expected, f.got, *errors[:2], f.theirs, errors[2]]


def _short(x: float | None) -> float | None:
    return None if x is None else float(f"{x:.4g}")
