"""A small head, what its loss can be told, and what it comes to by the definition, in float64."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import oracle

# Rows of 12 bytes: blocks of them begin where not every framework may read.
ROWS, WIDTH, CLASSES = 70, 3, 13
# Two blocks, the second of which begins at such a place.
TILE = 36 * CLASSES
RNG = np.random.default_rng(83)
HIDDEN = RNG.standard_normal((ROWS, WIDTH))
WEIGHT = RNG.standard_normal((CLASSES, WIDTH))
BIAS = RNG.standard_normal(CLASSES)
LABELS = RNG.integers(0, CLASSES - 1, ROWS)
SOFT = RNG.dirichlet(np.ones(CLASSES), ROWS)
SAMPLES = np.where(np.arange(ROWS) % 4 == 1, 0.0, 1.5)
OPEN = np.arange(CLASSES) < CLASSES - 1
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sum": {"reduction": "sum"},
    "smoothed": {"label_smoothing": 0.2, "z_loss": 0.25},
    "ignored": {"ignore_index": int(LABELS[0])},
    "weighed": {"sample_weights": SAMPLES},
    "masked": {"where": OPEN},
}


def defined(targets: Any, **options: Any) -> list[Any]:
    """The same by the definition, in float64."""
    arrays = [HIDDEN, WEIGHT, BIAS]

    def loss(hidden: Any, weight: Any, bias: Any) -> Any:
        return oracle.cross_entropy(hidden @ weight.T + bias, targets, **options)

    def by(i: int) -> Any:
        return oracle.gradient(lambda x: loss(*arrays[:i], x, *arrays[i + 1 :]), arrays[i])

    return [loss(*arrays), by(0), by(1), by(2)]


@cache
def of_labels(kind: str = "plain") -> list[Any]:
    return defined(LABELS, **OPTIONS[kind])
