"""What tests/typed tells type checkers is true at run time too, and of every public name."""

from __future__ import annotations

import ast
from collections.abc import Callable
from importlib import import_module
from inspect import getmembers, isfunction
from pathlib import Path
from types import ModuleType

import pytest
from harness import Framework

import xentropy as xe

TYPED = Path(__file__).parent / "typed"
WITH = {file.stem.removeprefix("with_"): file for file in sorted(TYPED.glob("with_*.py"))}


def module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TYPED))
    return import_module(name)


def functions(of: ModuleType) -> list[Callable[[], None]]:
    return [f for _, f in getmembers(of, isfunction) if f.__module__ == of.__name__]


def tells(node: ast.AST) -> bool:
    """A call of assert_type, or a with statement around one."""
    return isinstance(node, ast.With) or (
        isinstance(node, ast.Call) and ast.unparse(node.func) == "assert_type"
    )


def asserted(tree: ast.AST) -> set[str]:
    """The names of xentropy among what assert_type is told of."""
    told = (node for node in ast.walk(tree) if tells(node))
    names = (node for one in told for node in ast.walk(one) if isinstance(node, ast.Attribute))
    return {node.attr for node in names if ast.unparse(node.value) == "xe"}


@pytest.mark.backends(*WITH)
def test_what_checkers_are_told_holds(
    framework: Framework, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = functions(module(f"with_{framework.name}", monkeypatch))
    assert found
    for function in found:
        function()


@pytest.mark.parametrize("file", WITH.values(), ids=WITH)
@pytest.mark.backends("numpy")
def test_every_public_name_is_told_of(file: Path) -> None:
    assert asserted(ast.parse(file.read_text(encoding="utf-8"))) == set(xe.__all__)


@pytest.mark.backends("numpy")
def test_what_checkers_refuse_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    for function in functions(module("errors", monkeypatch)):
        with pytest.raises((TypeError, ValueError)):
            function()


@pytest.mark.backends("numpy")
def test_a_false_claim_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np
    from numpy.typing import NDArray

    holds = module("holds", monkeypatch).holds
    whole = xe.score(np.ones((2, 3), np.float32), [0, 1])
    assert holds(whole.loss, NDArray[np.float32])
    assert not holds(whole.loss, NDArray[np.float64])
    assert not holds(whole.loss, np.generic)
    assert not holds(whole, xe.Score[NDArray[np.float32]])
    assert not holds((1.0, 1), tuple[float, str])
