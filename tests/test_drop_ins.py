"""The declared differences of the drop-ins are what the frameworks and the drop-ins do."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from drop_ins import answer, as_installed

from xentropy.parity.differences import LIBRARIES, Difference, Kind, differences

ROOT = Path(__file__).parents[1]
# Keras has one backend in a process: tests/on_keras tries its differences.
DECLARED = [
    pytest.param(library, one, id=f"{library}: {one.title}", marks=pytest.mark.backends(library))
    for library in LIBRARIES
    if library != "keras"
    for one in differences(library)
]


@pytest.mark.parametrize(("library", "one"), DECLARED)
def test_a_difference_is_what_both_do(library: str, one: Difference) -> None:
    assert answer(library, one.code, ours=False) == one.native
    assert answer(library, one.code, ours=True) == one.ours


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_difference_is_declared_well(library: str) -> None:
    declared = differences(library)
    assert len({one.title for one in declared}) == len(declared)
    for one in declared:
        assert one.kind in get_args(Kind)
        assert (one.native == one.ours) is (one.kind == "convention"), one.title
        assert one.functions


def of(library: str) -> Any:
    mark = pytest.mark.needs("tensorflow") if library == "keras" else pytest.mark.backends(library)
    return pytest.param(library, marks=mark)


@pytest.fixture
def package(request: pytest.FixtureRequest) -> Any:
    """The drop-ins of a library."""
    pytest.importorskip(request.param)
    return importlib.import_module(f"xentropy_{request.param}")


@pytest.mark.parametrize("package", list(map(of, LIBRARIES)), indirect=True)
def test_a_page_names_every_drop_in_and_the_declaration_no_other(package: Any) -> None:
    library = package.__name__.removeprefix("xentropy_")
    names = set(package.__all__) - {"backend"}
    text = (ROOT / "docs" / "drop-ins" / f"{library}.md").read_text(encoding="utf-8")
    assert names
    assert {name for name in names if f"`{name}`" not in text} == set()
    declared = {name for one in differences(library) for name in one.functions}
    assert declared - names == set()


def test_the_tables_of_the_pages_are_this_declaration() -> None:
    command = [sys.executable, str(ROOT / "tools" / "drop_in_pages.py"), "--check"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def failures(text: str, name: str) -> int:
    """How many of the examples in a text fail; a docstring must have one."""
    found = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    assert found.examples or name.endswith(".md"), name
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    return runner.run(found).failed


@pytest.mark.parametrize("package", list(map(of, LIBRARIES)), indirect=True)
def test_the_examples_of_the_docstrings_and_the_page_run(package: Any) -> None:
    names = set(package.__all__) - {"backend"}
    library = package.__name__.removeprefix("xentropy_")
    page = ROOT / "docs" / "drop-ins" / f"{library}.md"
    with as_installed(library):
        assert [name for name in names if failures(getattr(package, name).__doc__, name)] == []
        assert failures(page.read_text(encoding="utf-8"), page.name) == 0
