"""PyTorch's own functions."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by

from xentropy.parity._case import Case
from xentropy.parity.columns._twins import (
    Twin,
    axis_of,
    by_place,
    fits,
    has_labels,
    is_last,
    reduction_of,
)

MAPS = ("softmax", "log_softmax", "sigmoid", "log_sigmoid")


def twin(case: Case) -> Twin | None:
    """PyTorch's function for a case, where there is one."""
    makers = {
        "cross_entropy": _cross_entropy,
        "nll_loss": _nll_loss,
        "binary_cross_entropy": _binary,
        "logsumexp": _logsumexp,
        "entropy": _entropy,
        "kl_divergence": _divergence,
    } | dict.fromkeys(MAPS, _map)
    return makers[case.function](case) if case.function in makers else None


def _map(case: Case) -> Twin | None:
    if case.function == "sigmoid":
        return "torch.sigmoid", by_place(torch.sigmoid)
    if case.function == "log_sigmoid":
        return "F.logsigmoid", by_place(F.logsigmoid)
    if not fits(case, "axis"):
        return None
    return f"F.{case.function}", partial(_along, getattr(F, case.function), axis_of(case))


def _along(function: Any, axis: int, x: Any) -> Any:
    return function(x, dim=axis)


def _logsumexp(case: Case) -> Twin | None:
    axis = axis_of(case)
    axis = tuple(range(len(case.first.shape))) if axis is None else axis
    keep = bool(case.options.get("keepdims", False))
    if not fits(case, "axis", "keepdims"):
        return None
    return "torch.logsumexp", lambda x: torch.logsumexp(x, axis, keepdim=keep)


def _entropy(case: Case) -> Twin | None:
    if not fits(case, "axis") or not is_last(case):
        return None
    return "torch.distributions.Categorical", _categorical


def _categorical(logits: Any) -> Any:
    found: Any = torch.distributions.Categorical(logits=logits)
    return found.entropy()


def _divergence(case: Case) -> Twin | None:
    """PyTorch's mean of the batch is ours where the targets sum to 1."""
    kind = case.options.get("targets_are", "probabilities")
    if not fits(case, "targets_are", "reduction") or kind == "logits":
        return None
    return "F.kl_div", partial(_pointwise, reduction_of(case), kind == "log_probabilities")


def _pointwise(reduction: str, logs: bool, logits: Any, targets: Any) -> Any:
    given, names = F.log_softmax(logits, -1), {"mean": "batchmean"}
    losses = F.kl_div(given, targets, reduction=names.get(reduction, reduction), log_target=logs)
    return losses.sum(-1) if reduction == "none" else losses


def _cross_entropy(case: Case) -> Twin | None:
    known = ("axis", "class_weights", "ignore_index", "label_smoothing", "reduction")
    if not fits(case, *known) or not case.first.shape:
        return None
    given = {k: v for k, v in case.options.items() if k != "axis"}
    return "F.cross_entropy", partial(_classes, F.cross_entropy, case, given)


def _nll_loss(case: Case) -> Twin | None:
    if not fits(case, "axis", "class_weights", "ignore_index", "reduction") or not has_labels(case):
        return None
    given = {k: v for k, v in case.options.items() if k != "axis"}
    return "F.nll_loss", partial(_classes, F.nll_loss, case, given)


def _classes(
    function: Any,
    case: Case,
    given: dict[str, Any],
    targets: Any,
    class_weights: Any = None,
    **x: Any,
) -> Any:
    """With the class axis where PyTorch has it, and labels of the dtype that it takes."""
    (logits,) = x.values()
    place = min(1, logits.ndim - 1)
    hard = targets.ndim < logits.ndim
    targets = targets.long() if hard else targets.movedim(axis_of(case), place)
    weight = None if class_weights is None else class_weights.to(logits.dtype)
    return function(logits.movedim(axis_of(case), place), targets, weight=weight, **given)


def _binary(case: Case) -> Twin | None:
    reduction = reduction_of(case)
    if case.options.get("from_logits", True) and fits(case, "pos_weight", "reduction"):
        name, function = "F.binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits
        return name, partial(_pairs, function, case, reduction)
    if fits(case, "from_logits", "reduction"):
        return "F.binary_cross_entropy", partial(_pairs, F.binary_cross_entropy, case, reduction)
    return None


def _pairs(
    function: Any, case: Case, reduction: str, logits: Any, targets: Any, **favour: Any
) -> Any:
    number = case.options.get("pos_weight")
    if number is not None:
        favour = {"pos_weight": torch.tensor(number)}
    return function(logits, targets.to(logits.dtype), reduction=reduction, **favour)
