"""What the drop-in examples share: the digits, and a table of two trainings side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Split(NamedTuple):
    """Images as float32 in [0, 1], and their labels."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Run:
    """A training: whose loss it used, the loss after every epoch, the accuracy at the end."""

    name: str
    losses: Sequence[float]
    accuracy: float


def digits() -> tuple[Split, Split]:
    """Scikit-learn's handwritten digits, a quarter of them held back for the test."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    images = (pixels / 16).astype(np.float32)
    parts: Any = train_test_split(images, labels, test_size=0.25, random_state=0, stratify=labels)
    return Split(parts[0], parts[2]), Split(parts[1], parts[3])


def show(native: Run, ours: Run) -> None:
    """Print the curves of both, epoch by epoch, and how far they lie apart."""
    runs = (native, ours)
    print("epoch" + "".join(f"{run.name:>22}" for run in runs) + f"{'difference':>14}")
    for epoch, (theirs, mine) in enumerate(zip(native.losses, ours.losses, strict=True), 1):
        print(f"{epoch:5d}{theirs:22.9f}{mine:22.9f}{mine - theirs:14.1e}")
    print(" test" + "".join(f"{run.accuracy:22.2%}" for run in runs))
