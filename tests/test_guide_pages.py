"""The tables of the guide hold: those of numbers are those of a run, and the calls that a page of a
migration puts side by side give the same, with the framework's names, the drop-in's, and ours.
"""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drop_ins import as_installed
from pages import DOCS, blocks, printed

NAME = re.compile(r"\b[A-Za-z_]\w*")
CALLS = re.compile(r"^<!-- calls -->\n(.*?)^<!-- end of calls -->$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Guide:
    """A page, the modules whose names its old calls have, and the drop-in with the same names."""

    name: str
    modules: tuple[str, ...]
    drop_in: str | None
    needed: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        return DOCS / "migrating" / f"{self.name}.md"

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")


GUIDES = (
    pytest.param(
        Guide("torch", ("torch.nn.functional", "torch", "torch.nn"), "xentropy_torch"),
        marks=pytest.mark.backends("torch"),
    ),
    pytest.param(
        Guide("tensorflow", ("tensorflow.nn", "tensorflow"), "xentropy_tensorflow"),
        marks=pytest.mark.backends("tensorflow"),
    ),
    pytest.param(
        Guide("keras", ("keras.losses",), "xentropy_keras", ("keras",)),
        marks=pytest.mark.needs("tensorflow"),
    ),
    pytest.param(
        Guide("optax", ("optax.losses", "jax.nn"), "xentropy_jax", ("optax",)),
        marks=pytest.mark.backends("jax"),
    ),
    pytest.param(
        Guide("scipy", (), None, ("scipy",)),
        marks=pytest.mark.needs("numpy"),
    ),
)


@pytest.mark.parametrize("guide", GUIDES)
def test_the_calls_of_a_migration_page_agree(guide: Guide) -> None:
    """They use the names of the page's first program."""
    for package in guide.needed:
        pytest.importorskip(package)
    names: dict[str, Any] = {}
    with as_installed("jax" if guide.name == "optax" else guide.name):
        first = next(block for block in blocks(guide.text) if block.language == "python")
        printed(first.code, str(guide.path), names)
        assert_calls_agree(guide, names)


def assert_calls_agree(guide: Guide, names: dict[str, Any]) -> None:
    """Every old call, by the framework's name and by the drop-in's, and every new one."""
    rows = calls(guide.text)
    assert len(rows) > 9
    for old, new in rows:
        before = [numbers(eval(old, named(old, guide.modules), names))]  # noqa: S307
        if guide.drop_in is not None:
            before.append(numbers(eval(old, named(old, (guide.drop_in,)), names)))  # noqa: S307
        after = [numbers(eval(one, {}, names)) for one in new]  # noqa: S307
        assert new
        for value in (*before, *after):
            assert value.shape == before[0].shape, old
            np.testing.assert_allclose(value, before[0], rtol=1e-5, atol=1e-7, err_msg=old)


@pytest.mark.backends("numpy")
@pytest.mark.parametrize("guide", [one.values[0] for one in GUIDES], ids=lambda one: one.name)
def test_a_migration_page_and_that_of_the_drop_in_lead_to_each_other(guide: Guide) -> None:
    if guide.drop_in is None:
        assert "../drop-ins/" not in guide.text
        return
    name = guide.drop_in.removeprefix("xentropy_")
    assert f"(../drop-ins/{name}.md)" in guide.text
    other = (DOCS / "drop-ins" / f"{name}.md").read_text(encoding="utf-8")
    assert f"(../migrating/{guide.name}.md)" in other


def calls(text: str) -> list[tuple[str, list[str]]]:
    """The rows of the tables of calls: the old one, and those that give the same."""
    lines = [line for table in CALLS.findall(text) for line in table.splitlines()[2:]]
    rows = [[CODE.findall(cell) for cell in line.strip("| ").split(" | ")] for line in lines]
    return [(old, new) for (old,), new in rows]


def named(code: str, modules: tuple[str, ...]) -> dict[str, Any]:
    """The names in a call that the modules have, the first of them that does."""
    held = [importlib.import_module(module) for module in modules]
    found = {name: [m for m in held if hasattr(m, name)] for name in NAME.findall(code)}
    return {name: getattr(having[0], name) for name, having in found.items() if having}


def numbers(value: Any) -> np.ndarray:
    """A tensor of any framework, or several of one shape, in float64."""
    if isinstance(value, tuple):
        return np.stack([numbers(one) for one in value])
    return np.asarray(value.detach() if hasattr(value, "detach") else value).astype(np.float64)


@pytest.mark.backends("numpy")
@pytest.mark.parametrize("tool", ["accuracy_page", "disagreements_page"])
def test_the_tables_are_those_of_the_stored_run(tool: str) -> None:
    command = [sys.executable, str(DOCS.parent / "tools" / f"{tool}.py"), "--check"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.needs("numpy", "torch", "tensorflow", "jax")
def test_the_stored_errors_are_those_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to what a processor's own exponentials change; ours are within their bound, or it ends.

    Those of float16: it has the fewest margins, and all that can differ.
    """
    for peer in ("keras", "mpmath", "optax", "scipy"):
        pytest.importorskip(peer)
    monkeypatch.syspath_prepend(str(DOCS.parent / "tools"))
    with as_installed("jax"), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        accuracy = importlib.import_module("accuracy")
        peers = [library() for library in accuracy.LIBRARIES]
        found = {"float16": accuracy.measured("float16", peers)}
    report = json.loads((DOCS / "accuracy.json").read_text(encoding="utf-8"))
    stored = {"float16": report["dtypes"]["float16"]}
    assert entries(found).keys() == entries(stored).keys()
    for place, errors in entries(stored, "error").items():
        ours = np.log10(np.maximum(entries(found, "error")[place], 1e-5))
        np.testing.assert_allclose(ours, np.log10(np.maximum(errors, 1e-5)), atol=0.5)
    for place, shares in entries(stored, "zeros").items():
        np.testing.assert_allclose(entries(found, "zeros")[place], shares, atol=0.25)


def entries(dtypes: dict[str, Any], *fields: str) -> dict[tuple[str, ...], list[float]]:
    """What a report holds by dtype, library, quantity and field."""
    return {
        (dtype, library, quantity, field): values
        for dtype, data in dtypes.items()
        for library, quantities in data["libraries"].items()
        for quantity, held in quantities.items()
        for field, values in held.items()
        if not fields or field in fields
    }
