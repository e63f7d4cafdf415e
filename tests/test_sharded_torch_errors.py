"""Calls of several processes that cannot be: all of them are told, and none waits for ever."""

from __future__ import annotations

import re

import pytest
from processes import Once, run

pytest.importorskip("torch")
import sharded_torch_errors as errors
from sharded_torch import NAME, Found, Raised, found

pytestmark = pytest.mark.backends("torch")

#: What all members are told.
ALIKE = {
    "a label too large": ("IndexError", r"targets\[2\] is 8, .* 0\.\.7 for 8 classes"),
    "a label below 0": ("IndexError", r"targets\[0\] is -1, .* 0\.\.7"),
    "too large beside an ignored one": ("IndexError", r"targets\[1\] is 12, .* 0\.\.7"),
    "a label too large for a head": ("IndexError", r"targets\[2\] is 8, .* 0\.\.7"),
    "no such option": ("ValueError", "reduction must be one of .* got 'all'"),
    "a word as the group": ("TypeError", "group must be a ProcessGroup .* got 'world'"),
    "an object as the group": ("TypeError", "group must be a ProcessGroup .* got <object"),
    "a mesh of two dimensions": ("ValueError", r"group must be .* one of 2: .*mesh\['tp'\]"),
    "arrays of NumPy": ("TypeError", "group must be left out for arrays of numpy"),
    "all entries of logsumexp": ("ValueError", "axis must be a single one .* got None"),
    "labels differ": ("ValueError", r"targets must be the same .* 0 to 7\) and rank 1 .* 0 to 6"),
    "shapes differ": ("ValueError", r"shape .* rank 0 \(\(6,\)\) and rank 1 \(\(5,\)\)"),
    **dict.fromkeys(
        (
            "axes differ",
            "options differ",
            "dtypes differ",
            "kinds of targets differ",
            "functions differ",
        ),
        ("ValueError", "the function, its options and its dtypes .* rank 0 and rank 1"),
    ),
    "arrays differ": ("ValueError", "which optional arrays are given .* rank 0 and rank 1"),
}
#: What the member is told that refuses; the others are told which one it was.
ONE = {
    "one has a bad option": ("ValueError", "label_smoothing must be .* got 2.0"),
    "one has a bad shape": ("ValueError", r"targets has shape \(5,\)"),
    "one has integer logits": ("TypeError", "logits must be real floating, got dtype torch.int64"),
    "one has bad weights": ("ValueError", r"class_weights has shape \(8,\)"),
    "one has an option that is none": ("TypeError", "unexpected keyword argument 'colour'"),
}
OTHERS = ("RuntimeError", "group: rank 1 refused its arguments")


@pytest.fixture(scope="module")
def ranks(once: Once) -> Found:
    return once(NAME, found)


def is_told(result: Raised | None, wanted: tuple[str, str]) -> None:
    assert isinstance(result, Raised)
    assert result.kind == wanted[0], result.where
    assert re.search(wanted[1], result.message), result.message


def members(ranks: Found, name: str) -> list[list[Raised | None]]:
    """What the members of every layout were told."""
    found = [told for (step, _), told in ranks.items() if step.startswith(f"refused: {name};")]
    assert found
    return found


def test_every_call_is_looked_at() -> None:
    assert set(errors.CALLS) == set(ALIKE) | set(ONE)


@pytest.mark.parametrize("name", ALIKE)
def test_all_are_told_the_same(ranks: Found, name: str) -> None:
    for told in members(ranks, name):
        for result in told:
            is_told(result, ALIKE[name])


@pytest.mark.parametrize("name", ONE)
def test_all_are_told_that_one_refuses(ranks: Found, name: str) -> None:
    for told in members(ranks, name):
        for number, result in enumerate(told):
            is_told(result, ONE[name] if number == errors.ODD else OTHERS)


def test_processes_that_are_gone_keep_nobody_waiting() -> None:
    """One left before it was called, one before its backward."""
    told, *_ = run(errors.left_alone, 3, timeout=100.0)
    for result, seconds in told:
        assert isinstance(result, Raised)
        assert seconds < 3 * errors.WAIT
