"""How far losses and gradients are off: every library on the same rows, against the definition.

A row has ten classes. The logit of the label leads the largest of the others by a margin, and
there are some rows of every margin. What is right comes from the oracle of the parity matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from columns import Ask, Column, Keras, Optax, PyTorch, SciPy, TensorFlow, Xentropy
from kits import JaxKit, NotOfferedError, NumPyKit, TensorFlowKit, TorchKit
from numpy.typing import NDArray

from xentropy.parity._declare import Group
from xentropy.parity._formats import FORMATS
from xentropy.parity._oracle import exact

Floats = NDArray[np.float64]
ROWS, CLASSES = 32, 10
OURS = "xentropy"
#: The margins: closer together where digits are lost, and as far as float32 holds each exponential,
#: or float16 the gradient.
FAR = (*range(25), *range(28, 81, 4))
MARGINS = {"float32": FAR, "bfloat16": FAR, "float16": tuple(range(17))}
QUANTITIES = ("loss", "gradient")
LIBRARIES: Sequence[Callable[[], Column]] = (PyTorch, TensorFlow, Keras, Optax, SciPy)
BACKENDS = (NumPyKit, TorchKit, TensorFlowKit, JaxKit)


@dataclass(frozen=True)
class Rows:
    """Logits that a dtype holds exactly, the label of each row, and what is right."""

    dtype: str
    logits: Floats
    labels: NDArray[np.int64]
    right: Mapping[str, Floats]

    @property
    def margins(self) -> Floats:
        """How far the label's logit lies above the others, as it is after rounding."""
        others = self.logits.copy()
        others[np.arange(len(others)), self.labels] = -np.inf
        return self.picked(self.logits) - others.max(-1)

    def picked(self, entries: Floats) -> Floats:
        """The entry of the label in every row."""
        return entries[np.arange(len(entries)), self.labels]


def rows(dtype: str) -> Rows:
    """Draw the rows of a dtype, the same on every run."""
    random = np.random.default_rng(0)
    margins = np.repeat(np.asarray(MARGINS[dtype], "float64"), ROWS)
    labels = np.arange(len(margins)) % CLASSES
    logits = random.normal(size=(len(margins), CLASSES))
    places = np.arange(len(margins)), labels
    logits[places] = -np.inf
    logits -= logits.max(-1, keepdims=True)
    logits[places] = margins
    logits += random.uniform(-1, 1, size=(len(margins), 1))
    kit = NumPyKit()
    rounded = kit.numpy(kit.array(logits, dtype))
    return Rows(dtype, rounded, labels, truth(dtype, rounded, labels))


def truth(dtype: str, logits: Floats, labels: NDArray[np.int64]) -> dict[str, Floats]:
    """The loss of every row, and its derivative by the logit of the label."""
    given = (logits.tolist(), labels.tolist())
    case = Group("margins")("rows", "cross_entropy", *given, dtype=dtype, reduction="none")
    numbers = {name: tensor.numbers for name, tensor in exact(case).items()}
    loss, gradient = (
        np.array([float(number.value) for number in numbers[name]])
        for name in ("value", "gradient by logits")
    )
    slopes = gradient.reshape(logits.shape)[np.arange(len(labels)), labels]
    return {"loss": loss, "gradient": slopes}


def answer(column: Column, given: Rows, quantity: str) -> Floats | None:
    """What a library says of every row; None where it offers no such thing."""
    wanted = quantity == "gradient"
    ask = Ask("rows", given.logits, given.labels, dtype=given.dtype, gradient=wanted)
    try:
        found = np.asarray(column.found(ask), "float64")
    except (NotOfferedError, TypeError):  # SciPy has no bfloat16
        return None
    return given.picked(found) if wanted else found.reshape(-1)


def judged(found: Floats, right: Floats, steps: int) -> dict[str, list[float]]:
    """For every margin the largest relative error, and the share of exact zeros."""
    errors = np.nan_to_num(np.abs(found - right) / np.abs(right), nan=np.inf)
    return {
        "error": [short(each) for each in errors.reshape(steps, -1).max(-1)],
        "zeros": [short(each) for each in (found == 0).reshape(steps, -1).mean(-1)],
    }


def short(number: float) -> float:
    """A number to three digits, which is what a plot shows."""
    return float(f"{number:.3g}")


def within_the_bound(found: Floats, given: Rows, quantity: str) -> float:
    """The largest share that errors take of the bound: 4 + margin units in the last place."""
    right, form = given.right[quantity], FORMATS["float32"]
    units = np.abs(found - right) / [form.ulp(number) for number in right]
    return float((units / (4 + given.margins)).max())


def ours(given: Rows, quantity: str) -> tuple[dict[str, list[float]], float]:
    """The worst of our backends, and the share of the bound; more than all of it is an error."""
    steps, parts, shares = len(MARGINS[given.dtype]), [], [0.0]
    for kit in BACKENDS:
        found = answer(Xentropy(kit()), given, quantity)
        if found is None:
            raise SystemExit(f"{OURS} has no {quantity} on {kit.name} in {given.dtype}")
        parts.append(judged(found, given.right[quantity], steps))
        if quantity == "loss" or given.dtype == "float32":  # other gradients are rounded once more
            shares.append(within_the_bound(found, given, quantity))
    if max(shares) > 1:
        raise SystemExit(f"{quantity}, {given.dtype}: {max(shares):.2f} of the bound of {OURS}")
    worst = {name: np.max([part[name] for part in parts], 0).tolist() for name in parts[0]}
    return worst, max(shares)


def measured(dtype: str, peers: Sequence[Column]) -> dict[str, Any]:
    """Everything about a dtype."""
    given, steps = rows(dtype), len(MARGINS[dtype])
    report: dict[str, Any] = {"margins": list(MARGINS[dtype]), "libraries": {}, "bound": 0.0}
    for column in peers:
        found = {name: answer(column, given, name) for name in QUANTITIES}
        report["libraries"][column.title] = {
            name: judged(values, given.right[name], steps)
            for name, values in found.items()
            if values is not None
        }
    own = {name: ours(given, name) for name in QUANTITIES}
    report["libraries"][OURS] = {name: worst for name, (worst, _) in own.items()}
    report["bound"] = short(max(share for _, share in own.values()))
    return report


def measure() -> dict[str, Any]:
    """Everything."""
    peers = [library() for library in LIBRARIES]
    found = {dtype: measured(dtype, peers) for dtype in MARGINS}
    return {"rows": ROWS, "classes": CLASSES, "dtypes": found}
