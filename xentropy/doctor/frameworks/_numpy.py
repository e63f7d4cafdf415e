"""NumPy, whose gradients come from `xentropy.value_and_grad`."""

from __future__ import annotations

import numpy as np

import xentropy as xe
from xentropy.doctor._exact import LABELS, LOGITS
from xentropy.doctor.frameworks import Loss, Numbers


def versions() -> dict[str, str]:
    """NumPy's."""
    return {"numpy": np.__version__}


def devices() -> list[str]:
    """The host."""
    return ["cpu"]


def run(loss: Loss, _compiled: bool) -> Numbers:
    """The call; NumPy has no compiler."""
    x, labels = np.array(LOGITS, "float32"), np.array(LABELS, "int32")
    values, gradient = xe.value_and_grad(loss)(x, labels, reduction="none")
    return Numbers(values.tolist(), gradient.ravel().tolist())
