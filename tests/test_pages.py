"""Every block of code on every page of the documentation is run, and prints what the page says."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from cells import DIALECTS, program
from harness import FRAMEWORKS, Framework
from pages import DOCS, ROOT, blocks, imported, pages, printed, run

TUTORIAL = DOCS / "tutorial.md"
# What needs several processes, devices or clusters is run by a test that has them.
ELSEWHERE = {
    "dask.md": "test_dask.py",
    "data-parallel.md": "test_data_parallel_page.py",
    "scale-out.md": "test_scale_out_page.py",
    "scale-out-jax.md": "test_sharded_jax.py",
    "tutorial.md": "test_pages.py",
}
# The packages that a page is skipped without, beside the backends.
PEERS = ("keras", "mpmath", "optax", "rich", "scipy")
LANGUAGES = {"python", "pycon", "console", "diff", "toml"}


def here() -> list[Any]:
    """The pages with programs that are run below, each with the backends that it imports."""
    found = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if page.name in ELSEWHERE or not any(b.language == "python" for b in blocks(text)):
            continue
        roots = imported(text) | ({"tensorflow"} if "keras" in imported(text) else set())
        names = [
            n for n, cls in FRAMEWORKS.items() if cls.module in roots or f"xentropy_{n}" in roots
        ]
        several = len(set(names) - {"numpy"}) + ("keras" in roots) > 1 or names == []
        mark = pytest.mark.needs(*names) if several else pytest.mark.backends(names[-1])
        found.append(pytest.param(page, id=page.relative_to(ROOT).as_posix(), marks=mark))
    return found


@pytest.mark.parametrize("page", here())
def test_a_page_prints_what_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = page.read_text(encoding="utf-8")
    for peer in {*PEERS} & imported(text):
        pytest.importorskip(peer)
    monkeypatch.chdir(tmp_path)
    for found, said in run(text, str(page)):
        assert found == said


def test_the_tutorial(framework: Framework) -> None:
    """In the words of each framework; that of plain arrays has none."""
    if framework.name not in DIALECTS:
        pytest.skip("the standard alone is nobody's framework")
    known: dict[str, Any] = {}
    cells = list(program(TUTORIAL.read_text(encoding="utf-8"), framework.name))
    assert len(cells) > 15
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the overflow that the page shows
        for code, said in cells:
            assert printed(code, str(TUTORIAL), known) == said


@pytest.mark.backends("numpy")
def test_no_page_is_left_out() -> None:
    """A page that is run elsewhere is named there, and no block is in a language nobody runs."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        assert {block.language for block in blocks(text)} <= LANGUAGES, page
        if page.name in ELSEWHERE:
            assert page.name in (ROOT / "tests" / ELSEWHERE[page.name]).read_text(encoding="utf-8")


@pytest.mark.backends("numpy")
def test_every_link_leads_somewhere() -> None:
    for page in pages():
        text = page.read_text(encoding="utf-8")
        links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
        near = [link.partition("#")[0] for link in links if not link.startswith("http")]
        assert not [link for link in near if link and not (page.parent / link).exists()], page


@pytest.mark.backends("numpy")
def test_every_picture_is_described() -> None:
    for page in pages():
        for picture in re.findall(r"<img [^>]*>", page.read_text(encoding="utf-8")):
            assert re.search(r'alt="[^"]{20,}"', picture), page


@pytest.mark.backends("numpy")
def test_every_public_name_is_in_the_reference() -> None:
    import xentropy as xe

    page = (DOCS / "api" / "xentropy.rst").read_text(encoding="utf-8")
    listed = re.findall(r"^\.\. auto\w+:: (\w+)", page, re.MULTILINE)
    assert sorted(listed) == sorted(xe.__all__)
