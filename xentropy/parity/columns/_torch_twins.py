"""PyTorch's own functions."""

from __future__ import annotations

from collections.abc import Mapping
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
GIVEN = ("probabilities", "log_probabilities")


def twin(case: Case) -> Twin | None:
    """PyTorch's function for a case, where there is one."""
    makers = {
        "cross_entropy": _cross_entropy,
        "linear_cross_entropy": _linear,
        "nll_loss": _nll_loss,
        "binary_cross_entropy": _binary,
        "logsumexp": _logsumexp,
        "entropy": _entropy,
        "kl_divergence": _divergence,
    } | dict.fromkeys(MAPS, _map)
    return makers[case.function](case) if case.function in makers else None


def _map(case: Case) -> Twin | None:
    if case.function == "sigmoid":
        return Twin("torch.sigmoid", torch.sigmoid, by_place)
    if case.function == "log_sigmoid":
        return Twin("F.logsigmoid", F.logsigmoid, by_place)
    if not fits(case, "axis"):
        return None
    function = getattr(F, case.function)
    return Twin(f"F.{case.function}", function, partial(_along, axis=axis_of(case)))


def _along(function: Any, x: Any, axis: int) -> Any:
    return function(x, dim=axis)


def _logsumexp(case: Case) -> Twin | None:
    axis = axis_of(case)
    axis = tuple(range(len(case.first.shape))) if axis is None else axis
    keep = bool(case.options.get("keepdims", False))
    if not fits(case, "axis", "keepdims"):
        return None
    return Twin("torch.logsumexp", torch.logsumexp, partial(_summed, axis=axis, keep=keep))


def _summed(function: Any, x: Any, axis: Any, keep: bool) -> Any:
    return function(x, axis, keepdim=keep)


def _entropy(case: Case) -> Twin | None:
    if not fits(case, "axis") or not is_last(case):
        return None
    return Twin("torch.distributions.Categorical", torch.distributions.Categorical, _categorical)


def _categorical(function: Any, logits: Any) -> Any:
    return function(logits=logits).entropy()


def _divergence(case: Case) -> Twin | None:
    """PyTorch's mean of the batch is ours where the targets sum to 1."""
    kind = case.options.get("targets_are", "probabilities")
    if not fits(case, "targets_are", "reduction") or kind not in GIVEN:
        return None
    logs = kind == "log_probabilities"
    call = partial(_pointwise, reduction=reduction_of(case), logs=logs)
    return Twin("F.kl_div", F.kl_div, call)


def _pointwise(function: Any, logits: Any, targets: Any, reduction: str, logs: bool) -> Any:
    given, names = F.log_softmax(logits, -1), {"mean": "batchmean"}
    targets = targets if targets.is_floating_point() else targets.to(logits.dtype)
    losses = function(given, targets, reduction=names.get(reduction, reduction), log_target=logs)
    return losses.sum(-1) if reduction == "none" else losses


def _cross_entropy(case: Case) -> Twin | None:
    known = ("axis", "class_weights", "ignore_index", "label_smoothing", "reduction")
    if not fits(case, *known) or not case.first.shape:
        return None
    given = {k: v for k, v in case.options.items() if k != "axis"}
    call = partial(_classes, case=case, given=given)
    return Twin("F.cross_entropy", F.cross_entropy, call)


def _linear(case: Case) -> Twin | None:
    """PyTorch's loss of a linear head, which it has from 2.13 on."""
    known = ("bias", "class_weights", "ignore_index", "label_smoothing", "reduction")
    function = getattr(F, "linear_cross_entropy", None)
    if function is None or not fits(case, *known):
        return None
    call = partial(_head, given=case.options)
    return Twin("F.linear_cross_entropy", function, call)


def _head(
    function: Any,
    given: Mapping[str, Any],
    hidden: Any,
    weight: Any,
    targets: Any,
    bias: Any = None,
    class_weights: Any = None,
) -> Any:
    """With one axis of rows at most, as PyTorch has them, and labels of the dtype that it takes."""
    lead, flat = hidden.shape[:-1], hidden.ndim > 2
    hard = targets.ndim < hidden.ndim
    targets = targets.long() if hard and not targets.is_floating_point() else targets
    if flat:
        hidden, targets = hidden.flatten(0, -2), targets.flatten(0, len(lead) - 1)
    own = None if class_weights is None else class_weights.to(hidden.dtype)
    loss = function(hidden, weight, targets, linear_bias=bias, weight=own, **given)
    return loss.reshape(lead) if flat and loss.ndim else loss


def _nll_loss(case: Case) -> Twin | None:
    if not fits(case, "axis", "class_weights", "ignore_index", "reduction") or not has_labels(case):
        return None
    given = {k: v for k, v in case.options.items() if k != "axis"}
    return Twin("F.nll_loss", F.nll_loss, partial(_classes, case=case, given=given))


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
    if not hard:
        targets = targets.movedim(axis_of(case), place)
    elif not targets.is_floating_point() and targets.dtype != torch.bool:
        targets = targets.long()
    weight = None if class_weights is None else class_weights.to(logits.dtype)
    return function(logits.movedim(axis_of(case), place), targets, weight=weight, **given)


def _binary(case: Case) -> Twin | None:
    if case.options.get("from_logits", True) and fits(case, "pos_weight", "reduction"):
        function, call = F.binary_cross_entropy_with_logits, partial(_pairs, case=case)
        return Twin("F.binary_cross_entropy_with_logits", function, call)
    if fits(case, "from_logits", "reduction"):
        call = partial(_pairs, case=case)
        return Twin("F.binary_cross_entropy", F.binary_cross_entropy, call)
    return None


def _pairs(function: Any, case: Case, logits: Any, targets: Any, **favour: Any) -> Any:
    number = case.options.get("pos_weight")
    if number is not None:
        favour = {"pos_weight": torch.tensor(number)}
    targets = targets.to(logits.dtype)
    return function(logits, targets, reduction=reduction_of(case), **favour)
