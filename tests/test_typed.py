"""What tests/typed tells type checkers is true at run time too, and of every public name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from harness import Framework
from typed_modules import TYPED, functions, module, run

import xentropy as xe

WITH, DROP_INS = (
    {file.stem.removeprefix(start): file for file in sorted(TYPED.glob(f"{start}*.py"))}
    for start in ("with_", "drop_ins_")
)


def tells(node: ast.AST) -> bool:
    """A call of assert_type, or a with statement around one."""
    return isinstance(node, ast.With) or (
        isinstance(node, ast.Call) and ast.unparse(node.func) == "assert_type"
    )


def asserted(file: Path, package: str) -> set[str]:
    """The names of a package among what assert_type is told of."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    told = (node for node in ast.walk(tree) if tells(node))
    names = (node for one in told for node in ast.walk(one) if isinstance(node, ast.Attribute))
    return {node.attr for node in names if ast.unparse(node.value) == package}


def exported(file: Path) -> set[str]:
    """What a package puts into its __all__, now or later, without an import of it."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    lists = (node.value for node in ast.walk(tree) if isinstance(node, ast.Assign | ast.AugAssign))
    return {name for one in lists for name in ast.literal_eval(one)}


@pytest.mark.backends(*WITH)
def test_what_checkers_are_told_holds(
    framework: Framework, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(module(f"with_{framework.name}", monkeypatch))


@pytest.mark.backends(*DROP_INS)  # those of Keras are run on every backend of Keras, in on_keras
def test_what_checkers_are_told_of_drop_ins_holds(
    framework: Framework, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(module(f"drop_ins_{framework.name}", monkeypatch))


@pytest.mark.parametrize("file", WITH.values(), ids=WITH)
@pytest.mark.backends("numpy")
def test_every_public_name_is_told_of(file: Path) -> None:
    assert asserted(file, "xe") == set(xe.__all__)


@pytest.mark.parametrize("name", DROP_INS)
@pytest.mark.backends("numpy")
def test_every_drop_in_is_told_of(name: str) -> None:
    source = TYPED.parents[1] / "backends" / f"xentropy_{name}" / "__init__.py"
    assert asserted(DROP_INS[name], "drop_ins") == exported(source) - {"backend"}


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
