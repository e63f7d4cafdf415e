"""Which plan a rule has where arrays can be written to: by what kind of loss it is."""

from __future__ import annotations

from typing import Any

from xentropy import _divergence_plans, _linear_plans, _pair_plans, _plans
from xentropy._divergence import Divergence
from xentropy._known import Plan
from xentropy._linear import Head, LinearLoss
from xentropy._pair import PairLoss
from xentropy._rows import RowLoss
from xentropy._typing import Array

# The places of the leaves whose gradients are made in the visit: of a head, and of all others.
_OF_HEAD = tuple(Head._fields.index(name) for name in _linear_plans.MOVING)
_OF_LOGITS = (0,)


_PLANS: tuple[tuple[type, Any], ...] = (
    (RowLoss, _plans),
    (LinearLoss, _linear_plans),
    (PairLoss, _pair_plans),
    (Divergence, _divergence_plans),
)


def _plans_of(rule: Any) -> Any:
    """The module with the plans of such rules, or None."""
    for kind, plans in _PLANS:
        if isinstance(rule, kind):
            return plans
    return None


def suits(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
    """Whether a rule can be visited in blocks."""
    plans = _plans_of(rule)
    return plans is not None and plans.suits(rule, leaves)


def moving(rule: Any) -> tuple[int, ...]:
    """The places of the leaves whose gradients are made in the visit."""
    return _OF_HEAD if _is_head(rule) else _OF_LOGITS


def moves(rule: Any, wanted: tuple[bool, ...]) -> bool:
    """Whether all gradients that are wanted are made in the visit."""
    if not _is_head(rule):
        return True not in wanted[1:]
    return all(i in _OF_HEAD for i, asked in enumerate(wanted) if asked)


def _is_head(rule: Any) -> bool:
    return isinstance(rule, LinearLoss)


def ahead(rule: Any) -> bool:
    """Whether gradients can be made before it is known what each row, or element, is worth.

    Those of a number can, and those of an element: they are multiplied by what it is worth.
    """
    return rule.reduction != "none" or isinstance(rule, PairLoss)


def loss(chosen: Plan, rule: Any, leaves: tuple[Array | None, ...]) -> Array:
    """The reduced loss."""
    made: Array = _plans_of(rule).loss(chosen, rule, leaves)
    return made


def loss_and_gradients(
    chosen: Plan,
    rule: Any,
    leaves: tuple[Array | None, ...],
    wanted: tuple[bool, ...],
    *,
    bar: Array | float = 1.0,
    out: Array | None = None,
) -> tuple[Array, tuple[Array | None, ...]]:
    """The reduced loss, and bar times its gradients by the wanted leaves, all of them `moving`.

    ``out`` is a place for the gradient by logits.
    """
    if _is_head(rule):
        return _linear_plans.loss_and_gradients(chosen, rule, leaves, wanted, bar=bar)
    if not wanted[0]:
        return loss(chosen, rule, leaves), (None,) * len(wanted)
    value, made = _plans_of(rule).loss_and_gradient(chosen, rule, leaves, bar=bar, out=out)
    return value, (made,) + (None,) * (len(wanted) - 1)


def worth(
    chosen: Plan,
    rule: Any,
    leaves: tuple[Array | None, ...],
    wanted: tuple[bool, ...],
    made: tuple[Array | None, ...] | None,
    bar: Array,
) -> tuple[Array | None, ...]:
    """The gradients times what the loss is worth, over themselves where they are made.

    A number above 1 may be there to save small entries, which are lost in what was made. What an
    element is worth is multiplied last at any rate.
    """
    call, each = (chosen, rule, leaves, wanted), bar.ndim > 0
    by = bar if each else float(bar)
    if made is None:
        return loss_and_gradients(*call, bar=by)[1]
    if not each and by == 1.0:
        return made
    present = [x for x in made if x is not None]
    if (each or abs(by) < 1.0) and all(x.dtype == rule.dtype for x in present):
        for x in present:
            x *= by  # noqa: PLW2901 - where it lies
        return made
    return loss_and_gradients(*call, bar=by, out=made[0])[1]
