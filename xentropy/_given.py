"""Losses of probabilities as given by other probabilities, in place: the sum of t (-log p).

Nothing is normalized, so there is no maximum, and the gradient by log p is -t, that by p -t / p. A
class without a t has no say, whatever its p is: products of 0 and an infinity, which are NaN,
become 0.
"""

from __future__ import annotations

from xentropy._inplace import Numbers, Ops, others_of, sum_beside_holes, widened
from xentropy._rows import Leaves, RowLoss
from xentropy._stats import Coefficients
from xentropy._typing import Array


def suits(rule: RowLoss, leaves: Leaves) -> bool:
    """Whether it is such a loss, neither bent nor masked; one of labels is `_picked`."""
    plain = rule.link is None and leaves.where is None
    return rule.source != "logits" and not rule.hard and plain


def visit(
    ops: Ops,
    rule: RowLoss,
    given: Array,
    t: Coefficients,
    bar: Numbers,
    into: Array | None,
    room: list[Array],
) -> Array | None:
    """The losses of a block of rows; ``bar`` times their gradient goes to its place, if any.

    None where a row holds what has no logarithm beside such classes; then nothing is written.
    """
    buffer, spare, *_ = room
    others, logs = others_of(t), widened(ops, given, buffer)
    if rule.source == "probabilities":
        logs = ops.log(logs, out=buffer)
    gap, holes = sum_beside_holes(ops, ops.multiply(logs, others, out=spare), rule.axis)
    if holes and not (ops.finite(ops.max(logs, rule.axis)) and ops.finite(others)):
        return None
    if into is not None:
        _write(ops, rule, given, others, bar, into, (buffer, spare), holes=holes)
    return ops.multiply(gap, -ops.ONE, out=gap)


def _write(
    ops: Ops,
    rule: RowLoss,
    given: Array,
    others: Array,
    bar: Numbers,
    into: Array,
    room: tuple[Array, Array],
    *,
    holes: bool,
) -> None:
    """Write the gradient, over what was given or elsewhere."""
    buffer, spare = room
    if rule.source == "probabilities":
        others = ops.multiply(
            ops.reciprocal(widened(ops, given, buffer), out=buffer), others, out=spare
        )
        others = ops.no_nan(others) if holes else others
    made = ops.multiply(others, -bar, out=into if into.dtype == spare.dtype else spare)
    made += 0.0  # where t is 0 it is -0
    if made is not into:
        ops.copy(made, out=into)
