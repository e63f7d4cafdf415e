"""Every case of the matrix, in the order it is shown in."""

from __future__ import annotations

from fnmatch import fnmatchcase

from xentropy.parity._case import Case
from xentropy.parity.cases._accuracy import accuracy, vocabulary
from xentropy.parity.cases._derivatives import derivatives
from xentropy.parity.cases._digits import digits
from xentropy.parity.cases._errors import errors
from xentropy.parity.cases._functions import binary, functions, likelihood
from xentropy.parity.cases._information import divergence, entropy
from xentropy.parity.cases._linear import linear
from xentropy.parity.cases._options import gradients, options, together
from xentropy.parity.cases._policy import policy
from xentropy.parity.cases._score import score
from xentropy.parity.cases._shapes import labels, shapes
from xentropy.parity.cases._sharded import sharded
from xentropy.parity.cases._variants import focal, generalized, poly, sigmoid_focal
from xentropy.parity.cases._worked import worked

GROUPS = (
    worked,
    policy,
    accuracy,
    vocabulary,
    options,
    together,
    gradients,
    shapes,
    labels,
    functions,
    likelihood,
    binary,
    entropy,
    divergence,
    focal,
    sigmoid_focal,
    poly,
    generalized,
    score,
    linear,
    sharded,
    derivatives,
    digits,
    errors,
)
CASES: tuple[Case, ...] = tuple(case for group in GROUPS for case in group.cases)


def identity(case: Case) -> str:
    """The case's name within the whole matrix: its group and its own name."""
    return f"{case.group}: {case.name}"


def select(pattern: str = "*") -> tuple[Case, ...]:
    """The cases whose identity, group or name matches a shell pattern."""
    return tuple(c for c in CASES if _matches(c, pattern))


def _matches(case: Case, pattern: str) -> bool:
    return any(fnmatchcase(text, pattern) for text in (identity(case), case.group, case.name))
