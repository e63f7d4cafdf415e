"""Types shared by the package: what an array is to the core, and the options as literals."""

from __future__ import annotations

from typing import Any, Literal, SupportsFloat, TypeAlias, TypedDict

# The array API has no official protocol class that type checkers and every framework accept, so
# inside the core an array is Any; the public functions give back the type that came in.
Array: TypeAlias = Any
Namespace: TypeAlias = Any
DType: TypeAlias = Any
# Labels, of how many classes they are, and the one that is ignored.
Judged: TypeAlias = "tuple[Array, int, int | None]"

Reduction = Literal["mean", "sum", "none"]
Normalizer = Literal["weights", "valid", "batch"]
Source = Literal["logits", "probabilities", "log_probabilities"]
TargetKind = Literal["probabilities", "log_probabilities", "logits"]
Kind = Literal["bool", "integral", "real floating", "complex floating", "other"]


class HeadOptions(TypedDict, total=False):
    """The options of `xentropy.linear_cross_entropy` that act on single rows."""

    class_weights: Any
    sample_weights: Any
    ignore_index: int | None
    label_smoothing: float
    where: Any
    temperature: float
    softcap: float | None
    z_loss: float
    group: Any


class RowOptions(HeadOptions, total=False):
    """The options of `xentropy.cross_entropy` that act on single rows; the defaults are there."""

    axis: int


class LossOptions(RowOptions, total=False):
    """Every option of `xentropy.cross_entropy`."""

    from_logits: bool
    reduction: Reduction
    normalizer: Normalizer | SupportsFloat


class SumOptions(TypedDict, total=False):
    """The options of `xentropy.logsumexp` that leave the number of results as it is."""

    axis: int | tuple[int, ...] | None
    keepdims: bool
    b: Any
    where: Any
    group: Any


class FocalOptions(LossOptions, total=False):
    """Those of `xentropy.binary_cross_entropy` too."""

    pos_weight: Any
