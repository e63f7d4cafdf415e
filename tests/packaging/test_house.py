"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.packaging

LONGEST = 60
FORMULA = re.compile(r"exp(2|m1)?|log(1p|2|10|addexp)?|softplus|tanh")
# TensorFlow has no array-API namespace: this one is made of its operations.
NAMESPACE = Path("backends/xentropy_tensorflow/_namespace.py")


def product(root: Path) -> Iterator[tuple[Path, ast.Module]]:
    """Every module that is shipped, with its syntax tree."""
    for folder in ("xentropy", "backends"):
        for file in sorted((root / folder).rglob("*.py")):
            yield file.relative_to(root), ast.parse(file.read_text(encoding="utf-8"))


def formulas(tree: ast.AST) -> Iterator[str]:
    """The calls of elementary functions, whatever object they are looked up on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            if FORMULA.fullmatch(name):
                yield f"{name}, line {node.lineno}"


def test_the_rules_on_imports_know_every_adapter(
    pyproject: dict[str, Any], adapters: list[Path]
) -> None:
    names = sorted(folder.name for folder in adapters)
    linter = pyproject["tool"]["importlinter"]
    (independence,) = (one for one in linter["contracts"] if one["type"] == "independence")
    assert sorted(linter["root_packages"]) == ["xentropy", *names]
    assert sorted(independence["modules"]) == names
    banned = pyproject["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-module-level-imports"]
    assert set(names) <= set(banned)


def lines_of(function: ast.FunctionDef) -> int:
    """The lines of a body, its docstring aside."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_no_function_is_long(root: Path) -> None:
    functions = {
        f"{file}:{node.lineno} {node.name}": lines_of(node)
        for file, tree in product(root)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }
    assert max(functions.values()) > 1
    assert {place: lines for place, lines in functions.items() if lines > LONGEST} == {}


def test_a_backend_holds_no_formula(root: Path) -> None:
    found = {
        str(file): list(formulas(tree))
        for file, tree in product(root)
        if file.parts[0] == "backends" and file != NAMESPACE
    }
    assert found
    assert {file: calls for file, calls in found.items() if calls} == {}


def test_a_formula_would_be_found() -> None:
    tree = ast.parse("xp.exp(x)\nlog1p(y)\nself.expand(x)\nxe.softmax(x)\nf(x)(y)")
    assert list(formulas(tree)) == ["exp, line 1", "log1p, line 2"]
