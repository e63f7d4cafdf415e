"""What is computed of classes that several devices hold: inputs and options, declared once.

A case has whole arrays, as NumPy; `pieces` cuts out what one device holds of them. The classes are
cut the same way in every case: `LAYOUTS` says how.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

Arrays = Mapping[str, Any]

N, D, K = 6, 5, 8
IGNORED = -100
DRAW = np.random.default_rng(8)


class Layout(NamedTuple):
    """Which of the processes hold the classes, and where they are cut."""

    members: tuple[int, ...]
    cuts: tuple[int, ...]

    def bounds(self, member: int) -> tuple[int, int]:
        """The classes of a member, by its number in the group."""
        return self.cuts[member], self.cuts[member + 1]


#: Groups that share no process compute at the same time; of one its first is not process 0.
LAYOUTS = {
    "2 even": Layout((0, 1), (0, 4, 8)),
    "2 uneven": Layout((2, 3), (0, 1, 8)),
    "4 even": Layout((0, 1, 2, 3), (0, 2, 4, 6, 8)),
    "4 uneven": Layout((0, 1, 2, 3), (0, 3, 4, 6, 8)),
}


@dataclass(frozen=True)
class Case:
    """A call of a public function, by keywords, with whole arrays; ``block`` is a block's size."""

    arrays: Arrays
    options: Mapping[str, Any] = field(default_factory=dict)
    function: str = "cross_entropy"
    dtype: str = "float64"
    axis: int = -1
    block: int | None = None

    @property
    def moving(self) -> list[str]:
        """The arrays that have a gradient."""
        return [name for name, x in self.arrays.items() if x.dtype.kind == "f"]

    def directions(self) -> Arrays:
        """A direction for every array that has a gradient: what second derivatives are along."""
        draw = np.random.default_rng(17)
        return {name: draw.standard_normal(self.arrays[name].shape) for name in self.moving}


def classes_along(case: Case, name: str) -> int | None:
    """The axis of the classes of an array, None if all devices have it alike."""
    array = case.arrays[name]
    if name in ("logits", "x"):
        return case.axis
    if name in ("weight", "bias", "class_weights"):
        return 0
    if name in ("where", "b", "alpha"):
        return (None, 0)[array.ndim] if array.ndim < 2 else case.axis
    if name != "targets":
        return None
    first = next(iter(case.arrays.values()))  # logits, or hidden, which has their dimensions
    return case.axis if array.ndim == first.ndim else None


def piece(case: Case, name: str, whole: Any, bounds: tuple[int, int]) -> Any:
    """What a device holds of an array of a case, or of one of its shape."""
    axis = classes_along(case, name)
    return whole if axis is None else whole.take(range(*bounds), axis=axis)


def pieces(case: Case, bounds: tuple[int, int]) -> Arrays:
    """What a device holds."""
    return {name: piece(case, name, x, bounds) for name, x in case.arrays.items()}


# The arrays.

X = 3 * DRAW.standard_normal((N, K))
X[2, [1, 6]] = 7.0  # a maximum that two devices attain
LABELS = np.array([0, 3, 7, 4, 2, 1])
SOFT = DRAW.uniform(0.1, 1.0, (N, K))
SOFT[4] = 0.0
SOFT[5, :4] = 0.0
CLASS_WEIGHTS = DRAW.uniform(0.5, 2.0, K)
SAMPLE_WEIGHTS = np.array([1.0, 0.25, 2.0, 0.0, 3.0, 1.5])
SOME = np.array([0, IGNORED, 7, 4, IGNORED, 1])
MASK = np.array([False, True, True, True, False, True, False, True])  # a whole slice is out
OPEN = np.array([1, 3, 7, 5, 2, 1])
FULL_MASK = DRAW.random((N, K)) < 0.6
FULL_MASK[np.arange(N), OPEN] = True
HIDDEN = DRAW.standard_normal((2, 3, D))
WEIGHT = DRAW.standard_normal((K, D))
ONE_HOT = np.eye(K, dtype=np.int64)[OPEN]
BIAS = DRAW.standard_normal(K)
PROBABILITIES = DRAW.dirichlet(np.ones(K), N)

HARD: Arrays = {"logits": X, "targets": LABELS}
SOFTLY: Arrays = {"logits": X, "targets": SOFT}
PART: Arrays = {"logits": X, "targets": SOME}
WEIGHTS: Arrays = {"class_weights": CLASS_WEIGHTS, "sample_weights": SAMPLE_WEIGHTS}
HEAD: Arrays = {"hidden": HIDDEN, "weight": WEIGHT, "targets": SOME.reshape(2, 3), "bias": BIAS}
SOFT_HEAD: Arrays = HEAD | {"targets": SOFT.reshape(2, 3, K)}
HEAD_WEIGHTS: Arrays = WEIGHTS | {"sample_weights": SAMPLE_WEIGHTS.reshape(2, 3)}
IGNORE = {"ignore_index": IGNORED}
EVERY = {"label_smoothing": 0.2, "temperature": 0.7, "softcap": 5.0, "z_loss": 0.1}


# The cases.

OPTIONS = {
    "labels": Case(HARD),
    "probabilities": Case(SOFTLY),
    "sum": Case(HARD, {"reduction": "sum"}),
    "none": Case(PART, {"reduction": "none", **IGNORE}),
    "probabilities, none": Case(SOFTLY | WEIGHTS, {"reduction": "none"}),
    "valid": Case(PART | WEIGHTS, {"normalizer": "valid", **IGNORE}),
    "batch": Case(PART, {"normalizer": "batch", **IGNORE}),
    "number": Case(HARD, {"normalizer": 3.5}),
    "number as an array": Case(HARD | {"normalizer": np.array(3.5)}),
    "class weights": Case(HARD | {"class_weights": CLASS_WEIGHTS}),
    "sample weights": Case(HARD | {"sample_weights": SAMPLE_WEIGHTS}),
    "weights": Case(PART | WEIGHTS, IGNORE),
    "weights of probabilities": Case(SOFTLY | WEIGHTS),
    "smoothing": Case(HARD, {"label_smoothing": 0.1}),
    "smoothing alone": Case(HARD | WEIGHTS, {"label_smoothing": 1.0}),
    "smoothed weights": Case(PART | WEIGHTS, {"label_smoothing": 0.3, **IGNORE}),
    "smoothed probabilities": Case(SOFTLY | WEIGHTS, {"label_smoothing": 0.3}),
    "temperature": Case(HARD, {"temperature": 0.7}),
    "softcap": Case(HARD, {"softcap": 4.0}),
    "z_loss": Case(PART | WEIGHTS, {"z_loss": 0.1, "normalizer": "batch", **IGNORE}),
    "mask": Case({"logits": X, "targets": OPEN, "where": MASK}),
    "mask of every entry": Case(
        {"logits": X, "targets": OPEN, "where": FULL_MASK} | WEIGHTS, {"label_smoothing": 0.2}
    ),
    "mask and a one-hot": Case(
        {"logits": X, "targets": ONE_HOT, "where": MASK} | WEIGHTS, {"label_smoothing": 0.2}
    ),
    "everything": Case(PART | WEIGHTS, EVERY | IGNORE),
    "everything of probabilities": Case(SOFTLY | WEIGHTS, EVERY | {"normalizer": "valid"}),
    "from probabilities": Case(HARD | {"logits": PROBABILITIES}, {"from_logits": False}),
    "from probabilities to probabilities": Case(
        SOFTLY | WEIGHTS | {"logits": PROBABILITIES}, {"from_logits": False, "label_smoothing": 0.1}
    ),
}
SHAPES = {
    "one row": Case({"logits": X[2], "targets": np.array(7)}),
    "classes in front": Case({"logits": X.T.copy(), "targets": LABELS} | WEIGHTS, axis=0),
    "classes in the middle": Case(
        {"logits": np.stack([X.T, -X.T]), "targets": np.stack([LABELS, LABELS[::-1]])},
        {"label_smoothing": 0.1},
        axis=1,
    ),
    "no rows": Case({"logits": X[:0], "targets": LABELS[:0]}),
    "no rows, none": Case({"logits": X[:0], "targets": LABELS[:0]}, {"reduction": "none"}),
    "nothing counts": Case(HARD | {"targets": np.full(N, IGNORED)}, IGNORE),
    "nothing counts, smoothed": Case(
        HARD | {"targets": np.full(N, IGNORED)}, {"label_smoothing": 0.1, **IGNORE}
    ),
}
FUNCTIONS = {
    "logsumexp": Case({"x": X}, function="logsumexp"),
    "logsumexp of factors": Case({"x": X, "b": SOFT + 0.1}, {"keepdims": True}, "logsumexp"),
    "logsumexp of a mask": Case({"x": X, "where": MASK, "b": CLASS_WEIGHTS}, {}, "logsumexp"),
    "score": Case(PART | WEIGHTS, EVERY | IGNORE, "score"),
    "score of probabilities": Case(SOFTLY | WEIGHTS, {"temperature": 2.0}, "score"),
    "score of a mask": Case({"logits": X, "targets": OPEN, "where": FULL_MASK}, {}, "score"),
    "focal": Case(HARD | {"alpha": CLASS_WEIGHTS}, {"gamma": 1.5}, "focal_loss"),
    "focal, one factor": Case(SOFTLY | {"alpha": np.array(0.3)}, {"gamma": 2.0}, "focal_loss"),
    "poly": Case(PART | WEIGHTS, {"epsilon": 1.5, **IGNORE}, "poly_loss"),
    "generalized": Case(
        HARD | WEIGHTS, {"q": 0.6, "label_smoothing": 0.1}, "generalized_cross_entropy"
    ),
}
_LOSS, _SCORE = "linear_cross_entropy", "linear_score"
HEADS = {
    "head": Case(HEAD, IGNORE, _LOSS),
    "head of probabilities": Case(SOFT_HEAD, {}, _LOSS),
    "head with everything": Case(HEAD | HEAD_WEIGHTS, EVERY | IGNORE, _LOSS),
    "head of probabilities with everything": Case(SOFT_HEAD | HEAD_WEIGHTS, EVERY, _LOSS),
    "head, none": Case(HEAD | HEAD_WEIGHTS, {"reduction": "none", **IGNORE}, _LOSS),
    "head of a mask": Case(
        {**HEAD, "targets": OPEN.reshape(2, 3), "where": MASK}, {"label_smoothing": 0.1}, _LOSS
    ),
    "scored head": Case(HEAD | HEAD_WEIGHTS, EVERY | IGNORE, _SCORE),
    "scored head of probabilities": Case(SOFT_HEAD, {}, _SCORE),
}
EXACT = OPTIONS | SHAPES | FUNCTIONS | HEADS
BLOCKS = {
    f"{name}, in blocks": replace(EXACT[name], block=block)
    for name, block in {
        "labels": 1,
        "probabilities": 9,
        "none": 9,
        "weights": 9,
        "smoothed weights": 9,
        "everything": 9,
        "mask": 9,
        "classes in front": 9,
        "classes in the middle": 9,
        "score": 9,
        "head": 3,
        "head with everything": 3,
        "head of probabilities with everything": 6,
        "scored head": 6,
    }.items()
}
DTYPES = {
    f"{name}, {dtype}": replace(EXACT[name], dtype=dtype)
    for name in ("labels", "smoothed weights", "probabilities", "everything", "score", "head")
    for dtype in ("float32", "bfloat16", "float16")
}
