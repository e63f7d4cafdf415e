"""Cases that hypothesis draws, before any process starts: shapes, cuts and options.

All processes compute the same ones, so they are drawn once, the same in every run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sharded_cases import IGNORED, Arrays, Case

EXAMPLES, SLICES = 14, 4
Cuts = tuple[int, ...]

LOSSES: dict[str, Any] = {
    "cross_entropy": {},
    "score": {},
    "focal_loss": {"gamma": 1.7},
    "poly_loss": {"epsilon": 0.5},
    "generalized_cross_entropy": {"q": 0.4},
    "linear_cross_entropy": {},
    "linear_score": {},
}


@st.composite
def cases(draw: Any) -> tuple[Case, Cuts]:
    """A case with the bounds of the slices."""
    function, axis = draw(st.sampled_from(sorted(LOSSES))), -1
    lengths = draw(st.lists(st.integers(1, 4), min_size=SLICES, max_size=SLICES))
    cuts = tuple(int(n) for n in np.cumsum([0, *lengths]))
    rows = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=2)))
    soft, block = draw(st.booleans()), draw(st.sampled_from([None, 1, 7]))
    arrays = made(np.random.default_rng(draw(st.integers(0, 99))), function, rows, cuts[-1], soft)
    for name in ("class_weights", "sample_weights", "where"):
        if not draw(st.booleans()):
            arrays.pop(name)
    if soft and "where" in arrays:
        # The gradient by a probability of a class that is out is infinite; a one-hot has none.
        arrays["targets"] = (arrays["targets"] > 0.5).astype(np.int64)
    if not function.startswith("linear"):
        axis = draw(st.integers(0, len(rows)))
        for name in ("logits", "targets") if soft else ("logits",):
            arrays[name] = np.moveaxis(arrays[name], -1, axis).copy()
    return Case(arrays, draw(options(function, soft)), function, "float64", axis, block), cuts


def made(draw: Any, function: str, rows: tuple[int, ...], classes: int, soft: bool) -> Arrays:
    """The arrays of a case, all that it may have; labels are classes that the mask leaves in."""
    width, logits = 3, 2.0 * draw.standard_normal((*rows, classes))
    head = {
        "hidden": draw.standard_normal((*rows, width)),
        "weight": draw.standard_normal((classes, width)),
        "bias": draw.standard_normal(classes),
    }
    taking = draw.random(classes) < 0.7
    taking[draw.integers(classes)] = True
    labels = draw.choice(np.flatnonzero(taking), size=rows)
    labels[draw.random(rows) < 0.2] = IGNORED
    return {
        **(head if function.startswith("linear") else {"logits": logits}),
        "targets": draw.random((*rows, classes)) * taking if soft else labels,
        "class_weights": draw.uniform(0.5, 2.0, classes),
        "sample_weights": draw.uniform(0.5, 2.0, rows),
        "where": taking,
    }


@st.composite
def options(draw: Any, function: str, soft: bool) -> dict[str, Any]:
    """The options of a function."""
    ranges = {
        "label_smoothing": st.sampled_from([0.0, 0.1, 0.6, 1.0]),
        "temperature": st.floats(0.5, 2.0),
        "softcap": st.floats(2.0, 9.0),
        "z_loss": st.sampled_from([0.0, 0.01, 0.5]),
    }
    if not function.endswith("score"):
        ranges["reduction"] = st.sampled_from(["mean", "sum", "none"])
        ranges["normalizer"] = st.sampled_from(["weights", "valid", "batch"])
    chosen = draw(st.fixed_dictionaries({}, optional=ranges))
    if chosen.get("reduction", "mean") != "mean":
        chosen.pop("normalizer", None)
    return {**LOSSES[function], **chosen, **({} if soft else {"ignore_index": IGNORED})}


def drawn() -> dict[str, tuple[Case, Cuts]]:
    """The examples by number."""
    found: list[tuple[Case, Cuts]] = []

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def collect(example: tuple[Case, Cuts]) -> None:
        found.append(example)

    collect()
    return {f"random {i}": example for i, example in enumerate(found)}


CASES = drawn()
