"""The loss of a linear head for torch.compile: one operation that it does not look into.

Inside, the head is visited tile by tile, as it is eagerly. Traced, the tiles would be unrolled: a
compiler takes its time for each, and holds more of them than one.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch

from xentropy import _linear_plans, _schedule, _targets
from xentropy._backend import Rule
from xentropy._linear import Head, LinearLoss
from xentropy._rows import RowLoss
from xentropy._typing import Array
from xentropy_torch import _namespace as xp
from xentropy_torch import _products

MOVING = tuple(Head._fields.index(name) for name in _linear_plans.MOVING)

# The leaves and the fields of a rule of rows, as the schemas of operations have them.
_LEAVES = ", ".join(
    f"Tensor{'' if place < 3 else '?'} {name}_" for place, name in enumerate(Head._fields)
)
_FIELDS = {
    "hard": "bool",
    "ignore_index": "int?",
    "label_smoothing": "float",
    "temperature": "float",
    "softcap": "float?",
    "z_loss": "float",
    "reduction": "str",
    "normalizer": "str",
    "empty": "float",
}
_RULE = ", ".join(["bool double", *(f"{kind} {name}" for name, kind in _FIELDS.items())])
_COUNT = len(Head._fields)


def suits(rule: Rule, leaves: tuple[Array | None, ...]) -> bool:
    """Whether what is traced is a head on the host, of whose gradients the visit makes all."""
    if torch.compiler.is_exporting() or not _linear_plans.suits(rule, leaves):
        return False
    if any(x is not None and x.device.type != "cpu" for x in leaves):
        return False
    asked = tuple(x is not None and x.requires_grad for x in leaves)
    return _schedule.moves(rule, asked) or not torch.is_grad_enabled()


def loss(rule: LinearLoss, leaves: tuple[Array | None, ...]) -> Array:
    """The loss, with gradients of what requires them."""
    given = tuple(getattr(rule.loss, name) for name in _FIELDS)
    found: Array = _Opaque.apply((rule.dtype == torch.float64, *given), *leaves)
    return found


def _rule(double: bool, *given: Any) -> LinearLoss:
    """The rule of which these are the fields."""
    known = {f.name: f.default for f in fields(RowLoss)}
    known |= {"dtype": torch.float64 if double else torch.float32, "index_dtype": torch.int64}
    return LinearLoss(RowLoss(**{**known, "axis": 1, **dict(zip(_FIELDS, given, strict=True))}))


class _Opaque(torch.autograd.Function):
    """The operation, and the gradients that it makes in the same visit or on demand."""

    @staticmethod
    def forward(ctx: Any, rule: tuple[Any, ...], *leaves: Array | None) -> Array:
        ctx.rule = rule
        ctx.wanted = [ctx.needs_input_grad[1 + i] for i in MOVING]
        ctx.present = [leaf is not None for leaf in leaves]
        # The gradient waits for what each row is worth, or for a number that saves small entries.
        ctx.later = "none" in rule or Head(*leaves).hidden.dtype == torch.float16
        now = [asked and not ctx.later for asked in ctx.wanted]
        value, *made = torch.ops.xentropy.head_loss(*leaves, now, *rule)
        ctx.save_for_backward(*made, *(leaf for leaf in leaves if leaf is not None))
        return value

    @staticmethod
    def backward(ctx: Any, bar: Array) -> tuple[Array | None, ...]:
        made, saved = ctx.saved_tensors[:3], list(ctx.saved_tensors[3:])
        if ctx.later:
            leaves = [saved.pop(0) if present else None for present in ctx.present]
            made = torch.ops.xentropy.head_gradients(*leaves, bar, ctx.wanted, *ctx.rule)
        else:
            made = [x * bar.to(x.dtype) for x in made]
        found: list[Array | None] = [None] * (1 + _COUNT)
        for i in range(len(MOVING)):
            found[1 + MOVING[i]] = made[i] if ctx.wanted[i] else None
        return tuple(found)


# The operations.


def _visited(leaves: Any, wanted: list[bool], rule: LinearLoss, bar: Any) -> tuple[Array, ...]:
    """The loss and the gradients; an empty tensor where none is wanted."""
    flags = [False] * _COUNT
    for place, asked in zip(MOVING, wanted, strict=True):
        flags[place] = asked
    with torch.no_grad():
        if _astray(rule, Head(*leaves)):
            value, made = _whole(rule, leaves, tuple(flags), bar)
        else:
            plan = _products.plan(rule, leaves)
            value, made = _schedule.loss_and_gradients(plan, rule, leaves, tuple(flags), bar=bar)
    return value, *_filled(leaves, [made[i] for i in MOVING])


def _astray(rule: LinearLoss, head: Head) -> bool:
    """Whether a label is no class: nobody looked at them while the call was traced."""
    if not rule.loss.hard:
        return False
    count, ignored = head.weight.shape[0], rule.loss.ignore_index
    read = _targets.read_labels(xp, head.targets, count, ignored, torch.int64)
    return bool((read.kept & ~read.valid).any())


def _whole(
    rule: LinearLoss, leaves: tuple[Array | None, ...], wanted: tuple[bool, ...], bar: Any
) -> tuple[Array, tuple[Array | None, ...]]:
    """The same in the form in which the row of such a label becomes NaN."""
    (value,), residuals = rule.forward(xp, leaves)
    bars = (torch.ones_like(value) * bar,)
    return value, tuple(rule.pullback(xp, leaves, residuals, bars, wanted))


def _filled(leaves: Any, made: list[Array | None]) -> list[Array]:
    return [leaves[0].new_empty(0) if x is None else x for x in made]


def _loss(*args: Any) -> tuple[Array, ...]:
    return _visited(args[:_COUNT], args[_COUNT], _rule(*args[_COUNT + 1 :]), 1.0)


def _gradients(*args: Any) -> tuple[Array, ...]:
    leaves, bar, wanted, *given = args[:_COUNT], *args[_COUNT:]
    rule = _rule(*given)
    worth = bar if rule.reduction == "none" else float(bar)
    return _visited(leaves, wanted, rule, worth)[1:]


def _fake_loss(*args: Any) -> tuple[Array, ...]:
    """Shapes and dtypes of what is made."""
    leaves, wanted, rule = args[:_COUNT], args[_COUNT], _rule(*args[_COUNT + 1 :])
    shape = leaves[0].shape[:-1] if rule.reduction == "none" else ()
    return leaves[0].new_empty(shape, dtype=rule.dtype), *_fake(leaves, wanted)


def _fake_gradients(*args: Any) -> tuple[Array, ...]:
    return tuple(_fake(args[:_COUNT], args[_COUNT + 1]))


def _fake(leaves: Any, wanted: list[bool]) -> list[Array]:
    both = zip(MOVING, wanted, strict=True)
    return _filled(leaves, [torch.empty_like(leaves[i]) if asked else None for i, asked in both])


_THREE = "Tensor, Tensor, Tensor"
_LIBRARY = torch.library.Library("xentropy", "FRAGMENT")
_LIBRARY.define(f"head_loss({_LEAVES}, bool[] wanted, {_RULE}) -> (Tensor, {_THREE})")
_LIBRARY.define(f"head_gradients({_LEAVES}, Tensor bar, bool[] wanted, {_RULE}) -> ({_THREE})")
_LIBRARY.impl("head_loss", _loss, "CPU")
_LIBRARY.impl("head_gradients", _gradients, "CPU")
torch.library.register_fake("xentropy::head_loss", _fake_loss, lib=_LIBRARY)
torch.library.register_fake("xentropy::head_gradients", _fake_gradients, lib=_LIBRARY)
