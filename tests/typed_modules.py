"""The modules in tests/typed, run: what they tell type checkers has to hold."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from inspect import getmembers, isfunction
from pathlib import Path
from types import ModuleType

import pytest

TYPED = Path(__file__).parent / "typed"


def module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TYPED))
    return import_module(name)


def functions(of: ModuleType) -> list[Callable[[], None]]:
    return [f for _, f in getmembers(of, isfunction) if f.__module__ == of.__name__]


def run(of: ModuleType) -> None:
    """Run what a module tells; what is called a refusal raises."""
    found = functions(of)
    assert found
    for function in found:
        if function.__name__.startswith("refuses"):
            with pytest.raises(TypeError):
                function()
        else:
            function()
