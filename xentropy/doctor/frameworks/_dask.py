"""Dask's arrays, in chunks of rows and of classes."""

from __future__ import annotations

import dask
import dask.array as da
import numpy as np

import xentropy as xe
from xentropy.doctor._exact import LABELS, LOGITS
from xentropy.doctor.frameworks import Loss, Numbers


def versions() -> dict[str, str]:
    """Dask's, and that of the arrays in its chunks."""
    return {"dask": dask.__version__, "numpy": np.__version__}


def devices() -> list[str]:
    """The host."""
    return ["cpu"]


def run(loss: Loss, _compiled: bool) -> Numbers:
    """The call; Dask has no compiler."""
    x = da.from_array(np.array(LOGITS, "float32"), chunks=(2, 2))
    labels = da.from_array(np.array(LABELS, "int32"), chunks=2)
    values, gradient = dask.compute(*xe.value_and_grad(loss)(x, labels, reduction="none"))
    return Numbers(values.tolist(), gradient.ravel().tolist())
