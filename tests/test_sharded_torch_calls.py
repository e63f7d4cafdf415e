"""Of classes that several processes hold: ways to a gradient, messages, memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sharded_cases
from processes import Once
from sharded_cases import LAYOUTS, K, N

pytest.importorskip("torch")
import sharded_torch_calls as calls
from sharded_torch import NAME, Found, found, results
from sharded_torch_numbers import defined

pytestmark = pytest.mark.backends("torch")

PLACES = ("2 uneven", "4 even")


@pytest.fixture(scope="module")
def ranks(once: Once) -> Found:
    return once(NAME, found)


@pytest.fixture(scope="module")
def gradient() -> np.ndarray:
    """That of the mean by all logits, by its definition."""
    softmax = np.exp(sharded_cases.X)
    softmax /= softmax.sum(-1, keepdims=True)
    return (softmax - np.eye(K)[sharded_cases.LABELS]) / N


def same(got: Any, wanted: Any) -> None:
    np.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-14)


def test_the_gradient_is_that_of_the_definition(gradient: np.ndarray) -> None:
    weighed = 1.5 * gradient  # numbers are weighed before they are differentiated
    same(defined(sharded_cases.OPTIONS["labels"])["gradients"]["logits"], weighed)


@pytest.mark.parametrize("layout", PLACES)
@pytest.mark.parametrize("how", [way.__name__ for way in calls.WAYS])
def test_ways_to_a_gradient(ranks: Found, gradient: np.ndarray, how: str, layout: str) -> None:
    for number, made in enumerate(results(ranks[f"{how}; {layout}", layout])):
        for by in made:
            same(by, gradient[:, slice(*LAYOUTS[layout].bounds(number))])


@pytest.mark.parametrize("layout", PLACES)
@pytest.mark.parametrize("how", ["jvp", "dual"])
def test_forward_mode(ranks: Found, gradient: np.ndarray, how: str, layout: str) -> None:
    """The slope along all slices of a direction, on every member."""
    for slopes in results(ranks[f"forward; {layout}", layout]):
        same(slopes[how], (gradient * calls.DIRECTION).sum())


def test_meshes(ranks: Found, gradient: np.ndarray) -> None:
    for number, by in enumerate(results(ranks["by_mesh", "4 even"])):
        same(by["line"], np.split(gradient, 4, axis=1)[number])
        same(by["pair"], np.split(gradient, 2, axis=1)[number % 2])


# What is sent: a note of 13 integers, a maximum, and as many sums of a row as `NUMBERS` says.

NOTE, NUMBER = 13 * 8, 8
NUMBERS = {
    "labels": 4,
    "weights and smoothing": 9,
    "probabilities": 4,
    "score": 5,
    "head": 4,
    "scored head": 5,
}
OF_ROWS = N * NUMBER
HIDDEN = [("sum", sharded_cases.D * OF_ROWS)]
BACKWARD = {"score": [("sum", OF_ROWS)], "head": HIDDEN, "scored head": [("sum", OF_ROWS), *HIDDEN]}


@pytest.mark.parametrize("wider", [1, 3])
@pytest.mark.parametrize("name", calls.SENDERS)
def test_messages(ranks: Found, name: str, wider: int) -> None:
    """However many classes there are. The backward of a loss of logits asks nobody."""
    wanted = [("all_gather", NOTE), ("max", OF_ROWS), ("sum", NUMBERS[name] * OF_ROWS)]
    if "score" in name:
        wanted.append(("min", OF_ROWS))  # of the places of largest logits
    for calling, pulling in results(ranks[f"messages {name} {wider}", "4 uneven"]):
        assert calling == wanted
        assert pulling == BACKWARD.get(name, [])


# What is allocated beyond the logits: of labels one block, in the general form a few.

BLOCK, GRADIENT = 4 * calls.BLOCK, 4 * calls.ROWS * calls.WIDTH
BLOCKS = {0.0: 1, 0.1: 10}


@pytest.mark.parametrize("smoothing", BLOCKS)
def test_memory(ranks: Found, smoothing: float) -> None:
    beside = BLOCKS[smoothing] * BLOCK + 40 * NUMBER * calls.ROWS
    for told in results(ranks[f"allocated {smoothing}", "2 even"]):
        peak, largest = told["call"]
        assert largest <= BLOCK
        assert peak <= beside
        peak, largest = told["backward"]
        assert largest <= GRADIENT
        assert peak <= GRADIENT + beside
