"""What tests/typed tells type checkers of the Keras drop-ins is true at run time too."""

from __future__ import annotations

import pytest
from typed_modules import module, run


def test_what_checkers_are_told_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    run(module("drop_ins_keras", monkeypatch))
