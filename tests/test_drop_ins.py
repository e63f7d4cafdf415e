"""The declared differences of the drop-ins are what the frameworks and the drop-ins do."""

from __future__ import annotations

from typing import get_args

import pytest
from drop_ins import answer

from xentropy.parity.differences import LIBRARIES, Difference, Kind, differences

# Keras has one backend in a process: tests/keras tries its differences.
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
