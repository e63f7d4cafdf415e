"""What a reader gets: JSON, Markdown, the page, the terminal; hostile text stays text."""

import base64
import hashlib
import io
import json
import math
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from xentropy.parity._declare import Group
from xentropy.parity._html import as_html
from xentropy.parity._matrix import Cell, Column, Finding, Matrix, Spread
from xentropy.parity._report import as_data, as_markdown
from xentropy.parity._terminal import print_report
from xentropy.parity._words import headline, units

pytestmark = pytest.mark.backends("numpy")

HOSTILE = "</script><script>alert(1)</script> \"'&<img src=x onerror=alert(2)> [red]| `x` {{data}}"


def matrix(text="plain", state="bad"):
    group = Group(f"group {text}")
    cases = (
        group(f"first {text}", "cross_entropy", [[1.0, 2.0]], [0]),
        group(f"second {text}", "softmax", [[1.0, 2.0]]),
    )
    found = Finding("value", "1", "1.1", 7e5, 4.0, "nan", math.inf)
    fine = Finding("value", "1", "1", 1.0, 4.0)
    names = [f"group {text}: {c.name}" for c in cases]
    cells = (
        Cell(names[0], "numpy eager", "good", (fine,), native=text, native_note=text),
        Cell(
            names[0], f"torch {text}", state, (found,) if state == "bad" else (fine,), native=text
        ),
        Cell(names[1], "numpy eager", "good", note=f"ValueError: {text}"),
        Cell(names[1], f"torch {text}", "skipped", note=text),
    )
    dead = text if state == "bad" else ""
    columns = (Column("numpy eager", seconds=1.0), Column(f"torch {text}", death=dead))
    return Matrix(cases, columns, cells, (Spread(names[0], "value", 3.0),))


class Page(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.scripts, self.attributes = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_data(self, data):
        last = self.tags[-1] if self.tags else ""
        (self.scripts if last == "script" else self.text).append(data)


def data_of(page):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(found[1])


def test_hostile_text_adds_no_element_to_the_page():
    plain, hostile = Page(as_html(matrix())), Page(as_html(matrix(HOSTILE)))
    assert hostile.tags == plain.tags
    assert not [a for a in hostile.attributes if a[1].startswith("on")]
    assert HOSTILE in "".join(hostile.text)


def test_a_hostile_name_of_a_backend_is_text_too():
    case = Group("g")("case", "cross_entropy", [[1.0, 2.0]], [0])
    name = "<img/src=x/onerror=alert(3)> eager"
    cell = Cell("g: case", name, "good", (Finding("value", "1", "1", 1.0, 4.0),))
    page = Page(as_html(Matrix((case,), (Column(name),), (cell,))))
    assert "img" not in page.tags
    assert "<img/src=x/onerror=alert(3)>" in page.text


def test_hostile_text_reaches_the_page_unchanged():
    data = data_of(as_html(matrix(HOSTILE)))
    assert data["cells"][1][1]["note"] == HOSTILE
    assert data["cases"][0][0] == f"group {HOSTILE}: first {HOSTILE}"


def test_the_page_asks_for_nothing_from_elsewhere():
    page = as_html(matrix())
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\(", page)
    assert not [a for a in Page(page).attributes if a[1] == "src"]
    assert not re.search(r"\{\{\w+\}\}", page)


def test_the_page_runs_its_own_script_and_no_other():
    """A browser is told by the page's policy: nothing is fetched, and one script has the hash."""
    page = as_html(matrix(HOSTILE))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.split(None, 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert "innerHTML" not in script


def test_the_page_can_be_walked_without_a_mouse():
    page = Page(as_html(matrix()))
    ids = {value for _, name, value in page.attributes if name == "id"}
    links = [v for tag, name, v in page.attributes if (tag, name) == ("a", "href")]
    assert {link[1:] for link in links} <= ids
    skip = links[0]
    assert skip == "#matrix"
    assert page.tags.index("a") < page.tags.index("h1")
    assert {"header", "main", "caption", "dialog"} <= set(page.tags)
    labelled = {v for _, name, v in page.attributes if name in ("aria-labelledby", "for")}
    assert {one for names in labelled for one in names.split()} <= ids
    assert ("div", "role", "region") in page.attributes


def test_the_page_leads_to_the_worst_cell():
    page = Page(as_html(matrix()))
    assert ("a", "href", "#row-0") in page.attributes
    assert ("a", "data-column", "1") in page.attributes
    assert ("tr", "id", "row-0") in page.attributes


def test_every_cell_is_a_button_with_its_number_and_a_name():
    page = as_html(matrix())
    buttons = re.findall(r'<td[^>]*><button[^>]*aria-label="([^"]*)"[^>]*>([^<]*)</button>', page)
    assert [text for _, text in buttons] == ["1", "✗ 7.0e+05", "raises", "–"]
    assert "error 7.0e+05 of 4" in buttons[1][0]
    stops = [
        tag for tag, name, value in Page(page).attributes if (name, value) == ("tabindex", "0")
    ]
    assert stops == ["div", "button"]


def test_the_table_has_headers_of_rows_and_columns():
    scopes = [a[2] for a in Page(as_html(matrix())).attributes if a[1] == "scope"]
    heads = ["col", "colgroup", "colgroup", "col", "col"]
    assert scopes == [*heads, "rowgroup", "row", "row"]


def grouped():
    """Three eager columns and two compiled ones."""
    case = Group("g")("case", "cross_entropy", [[1.0, 2.0]], [0])
    names = ["numpy eager", "torch eager", "jax eager", "torch compiled", "jax compiled"]
    cells = tuple(
        Cell("g: case", n, "good", (Finding("value", "1", "1", 1.0, 4.0),)) for n in names
    )
    return Matrix((case,), tuple(map(Column, names)), cells)


def test_the_columns_are_grouped_by_their_mode():
    assert [(mode, len(columns)) for mode, columns in grouped().modes] == [
        ("eager", 3),
        ("compiled", 2),
    ]


def test_every_group_has_a_head_over_its_columns():
    page = as_html(grouped())
    spans = re.findall(r'scope="colgroup" colspan="(\d)"[^>]*>(\w+)<', page)
    assert spans == [("3", "eager"), ("2", "compiled")]
    assert re.findall(r'<colgroup span="(\d)">', page) == ["3", "2"]
    press = r'<button type="button" class="sort" data-sort="(\d)">(\w+)</button>'
    heads = re.findall(rf'<th scope="col"( class="edge")?>{press}', page)
    assert [name for _, _, name in heads] == ["numpy", "torch", "jax", "torch", "jax"]
    assert [int(place) for _, place, _ in heads] == [0, 1, 2, 3, 4]
    assert [bool(edge) for edge, _, _ in heads] == [False, False, False, True, False]
    assert page.count('<td class="edge">') == 1


def test_what_a_column_leaves_out_is_told_once_with_its_reason():
    case = Group("g")("case", "cross_entropy", [[1.0, 2.0]], [0])
    fine = (Finding("value", "1", "1", 1.0, 4.0),)
    cells = [Cell("g: case", "torch compiled", "good", fine, without=w)
             for w in ("no jvp: <why>", "no jvp: <why>, no hvp: other")]  # fmt: skip
    made = Matrix((case,), (Column("torch compiled"),), tuple(cells))
    told = "left out, torch compiled: no jvp: <why>, no hvp: other"
    assert printed(made).count("left out") == as_markdown(made).count("Left out") == 1
    assert told in printed(made)
    assert told.replace("<", "&lt;").replace(">", "&gt;") in as_html(made)


def test_markdown_and_terminal_name_the_groups():
    table = [line for line in as_markdown(grouped()).splitlines() if line.startswith("| ")]
    assert table[0] == "|  | eager |  |  | compiled |  |"
    assert table[2] == "|  | numpy | torch | jax | torch | jax |"
    lines = [line.split() for line in printed(grouped()).splitlines()]
    assert lines.index(["eager", "compiled"]) < lines.index(
        ["cases", "numpy", "torch", "jax", "torch", "jax"]
    )


def test_eight_columns_fit_into_eighty_characters():
    """Every entry whole, and the lines of the tables level."""
    backends = ["numpy", "torch", "tensorflow", "jax", "strict"]
    names = [f"{b} eager" for b in backends] + [f"{b} compiled" for b in backends[1:4]]
    below = [f"{b} drop-in" for b in (*backends[1:4], "keras")]
    groups = ["generalized_cross_entropy", "score"]
    cases = tuple(Group(g)("case", "softmax", [[1.0, 2.0]]) for g in groups)
    cells = tuple(
        Cell(f"{g}: case", n, "good", (Finding("value", "1", "1", 4.0, 4.0),))
        for g in groups
        for n in (*names, *below)
    )
    columns = tuple(Column(n, seconds=321.0) for n in (*names, *below))
    lines = printed(Matrix(cases, columns, cells), width=80).splitlines()
    # The drop-ins have a table of their own below the others.
    for group in groups:
        counts = [line.count("100%") for line in lines if line.startswith(group)]
        assert counts == [len(names), len(below)]
    counts = [line.count("321") for line in lines if line.startswith("seconds")]
    assert counts == [len(names), len(below)]


def test_the_frameworks_own_stands_beside_ours():
    (finding,) = data_of(as_html(matrix()))["cells"][0][1]["findings"]
    assert finding == ["value", "1", "1.1", 7e5, 4.0, "nan", "inf"]


def test_json_is_strict_json():
    text = json.dumps(as_data(matrix(HOSTILE)), allow_nan=False)
    data = json.loads(text)
    assert (data["green"], len(data["cells"])) == (False, 4)
    assert data["cells"][1]["findings"][0]["their_error"] == "inf"


def test_markdown_tells_the_verdict_and_lists_what_is_bad():
    text = as_markdown(matrix())
    assert "1 of 3 cells are outside their budgets (1 skipped)." in text
    assert "- group plain: first plain, torch plain: value: expected 1, got 1.1" in text
    assert "## torch plain died" in text


def test_markdown_stays_a_table_whatever_the_names():
    lines = as_markdown(matrix(HOSTILE)).splitlines()
    table = [line for line in lines if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {4}
    assert "<script>" not in as_markdown(matrix(HOSTILE)).replace("\\<", "")


def printed(made, width=160):
    out = io.StringIO()
    print_report(Console(file=out, width=width, force_terminal=False), made)
    return out.getvalue()


def test_terminal_lists_what_is_bad_with_both_numbers():
    text = printed(matrix())
    assert "✗ 1" in text
    assert "expected 1, got 1.1, 7.0e+05 ulp of 4 allowed" in text
    assert "torch plain died" in text


def test_terminal_prints_markup_as_text():
    assert "[red]" in printed(matrix(HOSTILE))


def test_a_green_matrix_says_so():
    made = matrix(state="good")
    assert headline(made) == "All 3 cells are within their budgets (1 skipped)."
    assert 'class="verdict "' in as_html(made)
    assert "25%" in printed(made)


@pytest.mark.parametrize(
    ("x", "text"),
    [(0.0, "0"), (0.512, "0.51"), (85.2, "85"), (123456.0, "1.2e+05"), (math.inf, "∞")],
)
def test_units(x, text):
    assert units(x) == text
