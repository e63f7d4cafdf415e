"""Plans of binary losses: elements are visited in blocks, in place.

With u = max(x, 0) and d = min(x, 0) the surprisals of the two classes are log1p(e^(d - u)) - d and
log1p(e^(d - u)) + u, and coefficients a and b of theirs have the derivative
(b e^d - a e^-u) / (e^d + e^-u), where one of the exponentials is 1: the same sums as in `_pair`, in
buffers that stay in a cache, and a gradient of the same exponentials as the loss. What a link
bends are the surprisals; the coefficients of a gradient it weighs by its slope. Where probabilities
are given, e^d and e^-u are p and 1 - p, and the derivative by p is divided by both.

Infinities and NaN, which show in what a block loses, are left to the general form, and so is a
weight of 0 beside one of them.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from xentropy._blocks import Block, Buffers
from xentropy._by_rows import ByRows
from xentropy._inplace import Numbers, log1p_many, widened
from xentropy._known import Plan, divides_by_mass, share_of, sized
from xentropy._links import Shares
from xentropy._pair import LEAST, Leaves, PairLoss
from xentropy._plans import smaller
from xentropy._threads import share, taken
from xentropy._typing import Array
from xentropy._visits import part

# In how many buffers a block is visited, see `Hands`.
HANDS = 9


class Hands(NamedTuple):
    """Buffers of a block: coefficients, exponentials, surprisals, and three more.

    Of each there are the positive class' and the negative's, whose coefficients are less than 0
    here: t - 1 is one operation.
    """

    on: Array
    less: Array
    off_exp: Array
    on_exp: Array
    yes: Array
    no: Array
    tail: Array
    total: Array
    spare: Array


@dataclass(frozen=True)
class Task:
    """One call: its rule without a reduction, and where losses and the gradient go.

    ``weighing`` says that coefficients are summed on the way. ``bar`` is the gradient by the loss
    of an element: one number, or one for each.
    """

    each: ByRows
    threads: int
    leaves: Leaves
    losses: Array | None
    weighing: bool
    bar: Numbers
    gradient: Array | None

    @property
    def rule(self) -> PairLoss:
        """The rule of every element."""
        rule: PairLoss = self.each.rule
        return rule


def suits(_: PairLoss, leaves: tuple[Array | None, ...]) -> bool:
    """Whether a binary loss is one of an array of any element at all."""
    logits: Array = leaves[0]
    return logits.ndim > 0 and 0 not in logits.shape


def loss(chosen: Plan, rule: PairLoss, leaves: tuple[Array | None, ...]) -> Array:
    """The reduced loss."""
    return _run(chosen, rule, Leaves(*leaves), None, None)


def loss_and_gradient(
    chosen: Plan,
    rule: PairLoss,
    leaves: tuple[Array | None, ...],
    *,
    bar: Array | float = 1.0,
    out: Array | None = None,
) -> tuple[Array, Array]:
    """The reduced loss, and bar times its gradient by the logits; ``out`` may be the logits."""
    given = Leaves(*leaves)
    gradient = chosen.ops.result(given.logits) if out is None else out
    return _run(chosen, rule, given, bar, gradient), gradient


def _run(
    chosen: Plan, rule: PairLoss, leaves: Leaves, bar: Array | float | None, gradient: Array | None
) -> Array:
    """Visit all elements, by blocks that are the same for any number of threads, as sums are."""
    logits, ops = leaves.logits, chosen.ops
    plan = sized(smaller(chosen)._replace(threads=1), logits.shape, HANDS)
    each = ByRows(replace(rule, reduction="none"), plan)
    blocks, whole = each.cuts(leaves), rule.reduction == "none"
    with ops.quiet():
        losses, divisor = _losses(chosen, rule, logits) if whole else None, _divisor(rule, leaves)
        by_mass = divides_by_mass(rule, leaves)
        weighing = by_mass and not (leaves.sample_weights is leaves.pos_weight is None)
        task = Task(each, chosen.threads, leaves, losses, weighing, None, gradient)
        if weighing and bar is not None:
            divisor = _visited(task, blocks, _weigh)[1]
        if bar is not None:
            share_ = bar if whole else share_of(plan.xp, rule, divisor, bar)
            task = replace(task, bar=share_, weighing=False)
        lost, mass = _visited(task, blocks, _visit)
        if losses is not None:
            return losses
        if by_mass and math.isnan(mass) and task.bar is not None:
            # A target that is NaN: so is the mean's divisor, and with it all of the gradient.
            _visited(replace(task, bar=math.nan), blocks, _visit)
        divisor = mass if task.weighing else divisor
        value = lost if divisor is None else lost / divisor if divisor else rule.empty
        return ops.number(value, ops.buffer((), rule.dtype, logits))


def _losses(chosen: Plan, rule: PairLoss, logits: Array) -> Array:
    """Room for the loss of every element."""
    if logits.dtype == rule.dtype:
        return chosen.ops.result(logits)
    return chosen.ops.buffer(logits.shape, rule.dtype, logits)


def _divisor(rule: PairLoss, leaves: Leaves) -> float | None:
    """What a mean divides by, where all coefficients of an element sum to 1."""
    samples = leaves.sample_weights
    if rule.reduction != "mean":
        return None
    if leaves.normalizer is not None:
        return float(leaves.normalizer)
    if rule.normalizer == "valid" and samples is not None:
        return float((samples != 0).sum())
    return float(math.prod(leaves.logits.shape))


def _visited(task: Task, blocks: tuple[Block, ...], visit: Any) -> tuple[float, float]:
    """What all blocks lose, and their mass, by a visit to each of them."""
    found: dict[int, tuple[float, float]] = {}

    def work(left: deque[int]) -> None:
        room = _buffers(task)
        for i in taken(left):
            found[i] = visit(task, blocks[i], room)

    share(work, range(len(blocks)), task.threads, task.each.plan.ops.quiet)
    lost, mass = zip(*(found[i] for i in range(len(blocks))), strict=True)
    return _sum(lost), _sum(mass)


def _sum(numbers: tuple[float, ...]) -> float:
    """The sum, rounded once; math.fsum takes no infinity of either sign, nor what becomes one."""
    total = sum(numbers)
    return math.fsum(numbers) if math.isfinite(total) else total


def _buffers(task: Task) -> Buffers:
    """What a thread makes its blocks in."""
    make = partial(task.each.plan.ops.buffer, dtype=task.rule.dtype, like=task.leaves.logits)
    return Buffers(make, HANDS)


# Visits to a block: what it loses, and the sum of its coefficients.


def _weigh(task: Task, block: Block, room: Buffers) -> tuple[float, float]:
    """The sum of the coefficients alone."""
    leaves = Leaves(*task.each.cut(task.leaves, block))
    hands = Hands(*room.of(leaves.logits.shape))
    if leaves.pos_weight is not None:
        _set(task, leaves, hands)
    return 0.0, _mass(task, leaves, hands)


def _visit(task: Task, block: Block, room: Buffers) -> tuple[float, float]:
    """Make the losses and the gradient, in their places where these are wanted."""
    leaves, rule, ops = Leaves(*task.each.cut(task.leaves, block)), task.rule, task.each.plan.ops
    hands = Hands(*room.of(leaves.logits.shape))
    _set(task, leaves, hands)
    mass = _mass(task, leaves, hands) if task.weighing else 0.0
    if rule.alpha is not None:
        ops.multiply(hands.on, rule.alpha, out=hands.on)
        ops.multiply(hands.less, 1 - rule.alpha, out=hands.less)
    _observe(task, leaves, hands)
    losses = hands.spare if task.losses is None else part(task.losses, block)
    lost = _lost(task, hands, losses)
    if not math.isfinite(lost):
        return _in_general(task, leaves, block)
    if task.gradient is not None:
        _pull(task, block, hands)
    return lost, mass


def _set(task: Task, leaves: Leaves, hands: Hands) -> None:
    """Write the coefficients of the classes."""
    xp, ops, rule = task.each.plan.xp, task.each.plan.ops, task.rule
    on = ops.copy(leaves.targets, out=hands.on)
    less = ops.subtract(on, ops.ONE, out=hands.less)
    if rule.label_smoothing:
        keep, spread = 1 - rule.label_smoothing, rule.label_smoothing / 2
        on *= keep
        on += spread
        less *= keep
        less -= spread
    if leaves.pos_weight is not None:
        on *= xp.astype(leaves.pos_weight, rule.dtype)
    if leaves.sample_weights is not None:
        weights = xp.astype(leaves.sample_weights, rule.dtype)
        on *= weights
        less *= weights


def _mass(task: Task, leaves: Leaves, hands: Hands) -> float:
    """What the coefficients sum to: those of an element to 1 but for its weights."""
    if leaves.pos_weight is not None:
        return float(hands.on.sum()) - float(hands.less.sum())
    return float(task.each.plan.xp.astype(leaves.sample_weights, task.rule.dtype).sum())


def _observe(task: Task, leaves: Leaves, hands: Hands) -> None:
    """Write the surprisals, and what a gradient or a link asks for: of both classes a share of p.

    They are p, or times their sum where that is written too: the gradient is divided by it.
    """
    if task.rule.from_logits:
        _of_logits(task, leaves.logits, hands)
    else:
        _of_probabilities(task, leaves.logits, hands)


def _of_logits(task: Task, x: Array, hands: Hands) -> None:
    """Of the exponentials of logits."""
    ops, bent = task.each.plan.ops, task.rule.link is not None
    _, _, off_exp, on_exp, yes, no, tail, total, spare = hands
    x = widened(ops, x, tail)
    up = ops.at_least(x, 0.0, out=no)
    down = ops.subtract(x, up, out=yes)
    if not (bent or task.gradient is not None):
        tail = ops.exp(ops.subtract(down, up, out=tail), out=tail)
    else:
        off_exp = ops.exp(down, out=off_exp)
        on_exp = ops.exp(ops.multiply(up, -ops.ONE, out=on_exp), out=on_exp)
        tail = ops.multiply(off_exp, on_exp, out=tail)  # as one of them is 1
        total = ops.subtract(tail, -ops.ONE, out=total)
    if bent:
        off_exp /= total
        on_exp /= total
    tail = log1p_many(ops, tail, spare)
    up += tail
    ops.subtract(tail, down, out=down)


def _of_probabilities(task: Task, given: Array, hands: Hands) -> None:
    """Of p and 1 - p. The derivative by p is that by a logit over their product."""
    ops, floor = task.each.plan.ops, task.rule.floor
    _, _, p, rest, yes, no, tail, total, spare = hands
    p = ops.copy(given, out=p)
    tail = ops.multiply(p, -ops.ONE, out=tail)
    if task.rule.link is not None or task.gradient is not None:
        rest = ops.subtract(tail, -ops.ONE, out=rest)
    if task.gradient is not None:
        total = ops.multiply(p, rest, out=total)
    yes = ops.multiply(ops.log(p, out=yes), -ops.ONE, out=yes)
    no = ops.multiply(log1p_many(ops, tail, spare), -ops.ONE, out=no)
    if floor is None:
        return
    _at_most(task, yes, -floor)
    _at_most(task, no, -floor)
    if task.gradient is not None:
        _at_most(task, ops.multiply(total, -ops.ONE, out=total), -LEAST)
        ops.multiply(total, -ops.ONE, out=total)


def _at_most(task: Task, x: Array, most: float) -> None:
    """Write a number over larger ones; there are few, if any."""
    xp, ops = task.each.plan.xp, task.each.plan.ops
    if not ops.extremes(x)[1] <= most:
        ops.copy(xp.where(x > most, xp.zeros_like(x) + most, x), out=x)


def _lost(task: Task, hands: Hands, out: Array) -> float:
    """Write the losses, and what they sum to; it is finite where all of them are."""
    xp, ops, link = task.each.plan.xp, task.each.plan.ops, task.rule.link
    on, less, p, rest, yes, no, _, _, spare = hands
    if link is not None:
        yes = link.value(xp, yes, Shares(p, rest))
        no = link.value(xp, no, Shares(rest, p))
    losses = ops.multiply(yes, on, out=out)
    losses -= ops.multiply(no, less, out=spare if out is not spare else hands.tail)
    return float(losses.sum())


def _pull(task: Task, block: Block, hands: Hands) -> None:
    """Write the gradient."""
    xp, ops, rule = task.each.plan.xp, task.each.plan.ops, task.rule
    on, less, off_exp, on_exp, yes, no, *_ = hands
    if rule.link is not None:
        on *= rule.link.slope(xp, yes, Shares(off_exp, on_exp))
        less *= rule.link.slope(xp, no, Shares(on_exp, off_exp))
    on *= on_exp
    less *= off_exp
    less += on
    if rule.link is None or not rule.from_logits:
        less /= hands.total
    into, bar = part(task.gradient, block), part(task.bar, block)
    direct = into.dtype == rule.dtype
    made = ops.multiply(less, -bar, out=into if direct else less)
    if not direct:
        ops.copy(made, out=into)


def _in_general(task: Task, leaves: Leaves, block: Block) -> tuple[float, float]:
    """The same by the rule, which knows infinities and NaN."""
    (xp, ops, *_), rule = task.each.plan, task.rule
    (losses,), left = rule.forward(xp, leaves)
    if task.losses is not None:
        ops.copy(losses, out=part(task.losses, block))
    if task.gradient is not None:
        bar = xp.zeros_like(losses) + part(task.bar, block)
        wanted = tuple(name == "logits" for name in Leaves._fields)
        made = rule.pullback(xp, leaves, left, (bar,), wanted)[0]
        ops.copy(made, out=part(task.gradient, block))
    return float(losses.sum()), float(left.mass.sum())
