"""A loss of classes that several processes hold is that of one process that holds them all.

Values, gradients and second derivatives of every case, against the definition in float64.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import oracle
import pytest
from processes import Once
from sharded_cases import LAYOUTS, OPTIONS, SHAPES, Case, Layout, piece
from sharded_random import CASES as RANDOM

pytest.importorskip("torch")
import sharded_torch_numbers
from sharded_torch import NAME, Found, found, results
from sharded_torch_numbers import CASES, PLACES

pytestmark = pytest.mark.backends("torch")

EPS = {"float64": 2e-12, "float32": 3e-6, "bfloat16": 3e-6, "float16": 3e-6}
#: Of a gradient, which has the dtype of its array.
GRADIENT = EPS | {"bfloat16": 1e-2, "float16": 2e-3}


@pytest.fixture(scope="module")
def ranks(once: Once) -> Found:
    return once(NAME, found)


@functools.cache
def defined(name: str) -> dict[str, Any]:
    """A case by its definition."""
    case = CASES[name] if name in CASES else RANDOM[name][0]
    return sharded_torch_numbers.defined(case)


def close(got: Any, wanted: Any, tolerance: float, what: str) -> None:
    """Equal, measured by the largest entry."""
    scale = np.abs(wanted).max(initial=0.0) or 1.0
    np.testing.assert_allclose(
        np.asarray(got) / scale, np.asarray(wanted) / scale, rtol=0, atol=tolerance, err_msg=what
    )


def check(name: str, case: Case, layout: Layout, members: list[Any]) -> None:
    """Every member's numbers are its part of those of the definition; values have the same bits."""
    wanted, members = defined(name), list(results(members))
    for number, numbers in enumerate(members):
        for way in ("values", "without autograd"):
            for i, value in enumerate(wanted["values"]):
                close(numbers[way][i], value, EPS[case.dtype], f"{way} {i} of {number}")
        for i, value in enumerate(numbers["values"]):
            assert (value == members[0]["values"][i]).all()
        check_gradients(case, layout.bounds(number), numbers, wanted)


def check_gradients(
    case: Case, bounds: tuple[int, int], numbers: dict[str, Any], wanted: dict[str, Any]
) -> None:
    parts = {
        order: {name: piece(case, name, x, bounds) for name, x in wanted[order].items()}
        for order in ("gradients", "second")
    }
    first = case.moving[0]
    close(numbers["alone"], parts["gradients"][first], GRADIENT[case.dtype], "alone")
    for way in {"gradients", "again", "second"} & set(numbers):
        for name, by in numbers[way].items():
            exact = parts["second" if way == "second" else "gradients"][name]
            close(by, exact, 10 * GRADIENT[case.dtype], f"{way}, {name}, {bounds}")


@pytest.mark.parametrize(
    ("name", "layouts", "layout"), PLACES, ids=lambda x: x if isinstance(x, str) else ""
)
def test_slices_are_the_whole(
    ranks: Found, name: str, layouts: tuple[str, ...], layout: str
) -> None:
    members = ranks[f"{name}; {' and '.join(layouts)}", layout]
    check(name, CASES[name], LAYOUTS[layout], members)


@pytest.mark.parametrize("name", RANDOM)
def test_slices_of_any_lengths(ranks: Found, name: str) -> None:
    case, cuts = RANDOM[name]
    check(name, case, LAYOUTS["4 even"]._replace(cuts=cuts), ranks[name, "4 even"])


@pytest.mark.parametrize("name", [*OPTIONS, *SHAPES])
def test_the_definition_is_that_of_the_oracle(name: str) -> None:
    """Two oracles: nested loops in NumPy, and operations that frameworks differentiate."""
    case = CASES[name]
    given = {**case.arrays, **case.options}
    x, targets = given.pop("logits"), given.pop("targets")
    source = "logits" if given.pop("from_logits", True) else "probabilities"
    wanted = oracle.cross_entropy(x, targets, axis=case.axis, source=source, **given)
    np.testing.assert_allclose(defined(name)["values"][0], wanted, rtol=1e-12)
