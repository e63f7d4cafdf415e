"""Plans of divergences that are summed up: loss and gradient are made by one visit to each block.

What a mean divides by has to be known before, so its rows' masses are summed up first where targets
tell them. What the visit to a block does is told by its rule's way in blocks, see `_by_sums`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from xentropy._blocks import Block
from xentropy._by_rows import ByRows
from xentropy._by_sums import in_blocks
from xentropy._divergence import Divergence, Leaves
from xentropy._inplace import widened
from xentropy._known import Plan, buffers, divided, divides_by_mass, per_row, share_of
from xentropy._threads import share, taken
from xentropy._typing import Array


def suits(rule: Divergence, leaves: tuple[Array | None, ...]) -> bool:
    """Whether a divergence is summed up, over any row at all."""
    logits: Array = leaves[0]
    return rule.reduction != "none" and 0 not in logits.shape


def loss(chosen: Plan, rule: Divergence, leaves: tuple[Array | None, ...]) -> Array:
    """The reduced loss."""
    (losses,), (_, mass, *_) = _each(chosen, rule, leaves).forward(chosen.xp, leaves)
    with chosen.ops.quiet():
        return divided(chosen.ops, losses.sum(), _divisor(chosen, rule, leaves, mass), 0.0)


def loss_and_gradient(
    chosen: Plan,
    rule: Divergence,
    leaves: tuple[Array | None, ...],
    *,
    bar: Array | float = 1.0,
    out: Array | None = None,
) -> tuple[Array, Array]:
    """The reduced loss, and bar times its gradient by the logits; ``out`` may be the logits."""
    xp, each, given = chosen.xp, _each(chosen, rule, leaves), Leaves(*leaves)
    with chosen.ops.quiet():
        divisor = _divisor(chosen, rule, leaves, _masses(each, rule, given))
        worth, shape = share_of(xp, rule, divisor, bar), tuple(given.logits.shape)
        worth = chosen.ops.number(worth, chosen.ops.buffer((), rule.dtype, given.logits))
        bars = (xp.broadcast_to(worth, shape[: rule.axis] + shape[rule.axis + 1 :]),)
        (losses,), _, gradient = each.both(xp, leaves, bars, out)
        return divided(chosen.ops, losses.sum(), divisor, 0.0), gradient


def _each(chosen: Plan, rule: Divergence, leaves: tuple[Array | None, ...]) -> ByRows:
    return in_blocks(replace(rule, reduction="none"), leaves, chosen)


def _divisor(
    chosen: Plan, rule: Divergence, leaves: tuple[Array | None, ...], mass: Array
) -> float | None:
    """What a mean divides by, of rows with these masses."""
    divisor = rule.reducer(chosen.xp, leaves, (None, mass)).divisor
    return None if divisor is None else float(divisor)


def _masses(each: ByRows, rule: Divergence, leaves: Leaves) -> Array:
    """What the targets of every row sum to, the class axis kept; 1 where nobody divides by it."""
    ops = each.plan.ops
    mass = per_row(each.plan, rule, leaves)
    if rule.targets_are == "logits" or not divides_by_mass(rule, leaves):
        mass[...] = 1
        return mass

    def work(left: deque[Block]) -> None:
        room = buffers(each.plan, rule, leaves, 1)
        for block in taken(left):
            given = leaves.targets[block]
            (buffer,) = room.of(given.shape)
            t = widened(ops, given, buffer)
            t = ops.exp(t, out=buffer) if rule.targets_are == "log_probabilities" else t
            ops.sum(t, rule.axis, out=mass[block])

    share(work, each.cuts(leaves), each.plan.threads, ops.quiet)
    return mass
