"""Plans: how a loss over classes is scheduled where arrays lie in memory and can be written to.

Rows are visited in blocks that fit into a cache, on several threads, and each block gives its
losses and its gradient in one visit. Beyond logits and gradient there is one number per row for
every statistic, and one block per thread. What is traced, or lies elsewhere, is no business of
this module: it goes to a compiler whole.
"""

from __future__ import annotations

from typing import Any

from xentropy import _direct_visits, _few, _given, _log_softmax, _picked
from xentropy._blocks import Block, blocks
from xentropy._inplace import Numbers, Ops
from xentropy._known import Plan, divides_by_mass, known, reduced, share_of, sized
from xentropy._options import current
from xentropy._rows import Leaves, RowLoss
from xentropy._threads import cpus
from xentropy._typing import Array, Namespace
from xentropy._visits import Task, alone, at_label, in_general, shared

# Of float32 a block is two megabytes, of which a second-level cache holds the most. Half of that
# would fit, but then threads of Python wait for each other twice as often.
BLOCK_SIZE = 1 << 19
# What has fewer logits costs a thread more operations than it spares.
LEAST = 1 << 16


def plan(xp: Namespace, ops: Ops, threads: int | None = None) -> Plan:
    """The plan in blocks, by the options that hold.

    ``threads`` is how many an operation has of its own: then one thread calls them, on blocks
    that are as large for each of these.
    """
    set_, each = current(), threads or 1
    size = set_.block_size
    most, least = (size, size) if size else (BLOCK_SIZE * each, LEAST * each)
    return Plan(xp, ops, most, (set_.threads or cpus()) if threads is None else 1, least)


def smaller(chosen: Plan) -> Plan:
    """The plan for visits in many buffers: with blocks of which all lie where two or three do."""
    if current().block_size is not None:
        return chosen
    return chosen._replace(block_size=chosen.block_size // 4)


def suits(_: RowLoss, leaves: tuple[Array | None, ...]) -> bool:
    """Whether a loss over classes can be evaluated in blocks of rows: one of any row at all."""
    logits: Array = leaves[0]
    return 0 not in logits.shape


def _in_place(rule: RowLoss, leaves: Leaves) -> bool:
    """Whether blocks can be visited in place: a loss of logits, or a plain one of what is given.

    With a link, which alpha never comes without, only labels: then one surprisal of a row counts.
    Smoothed labels not with a mask of every entry, which would make coefficients of all of them.
    Any other loss is visited in the general form, block by block.
    """
    if rule.source != "logits":
        return _given.suits(rule, leaves)
    if rule.hard and rule.label_smoothing == 0:
        return True
    mask = leaves.where
    return rule.link is None and not (rule.hard and mask is not None and mask.ndim > 1)


def _at_once(
    chosen: Plan, rule: RowLoss, leaves: Leaves, bar: Numbers, out: Array | None
) -> tuple[Array, Array | None] | None:
    """The loss and its gradient where that takes no blocks: few logits, or one entry of a row."""
    if _picked.suits(rule, leaves):
        return _picked.visit(chosen, rule, leaves, bar, out)
    return _few.visit(chosen, rule, leaves, bar, out)


def loss(chosen: Plan, rule: Any, leaves: tuple[Array | None, ...]) -> Array:
    """The reduced loss."""
    given = Leaves(*leaves)
    found = _at_once(chosen, rule, given, None, None)
    return _run(chosen, rule, given, None, None) if found is None else found[0]


def loss_and_gradient(
    chosen: Plan,
    rule: Any,
    leaves: tuple[Array | None, ...],
    *,
    bar: Array | float = 1.0,
    out: Array | None = None,
) -> tuple[Array, Array]:
    """The reduced loss, and bar times its gradient by the logits; ``out`` may be the logits."""
    given = Leaves(*leaves)
    found = _at_once(chosen, rule, given, bar, out)
    if found is not None:
        return found
    gradient = chosen.ops.result(given.logits) if out is None else out
    return _run(chosen, rule, given, bar, gradient, over=out is not None), gradient


def written(
    ops: Ops, gradients: tuple[Array | None, ...], out: Array | None
) -> tuple[Array | None, ...]:
    """Gradients, of which the only one is in its place where a place is given."""
    if out is None or any(gradient is out for gradient in gradients):
        return gradients
    return tuple(None if g is None else ops.copy(g, out=out) for g in gradients)


def _run(
    chosen: Plan,
    rule: RowLoss,
    leaves: Leaves,
    bar: Array | float | None,
    gradient: Array | None,
    *,
    over: bool = False,
) -> Array:
    """Visit all rows. The loss is reduced at the end, the same however the rows were cut.

    ``over`` says that the gradient may lie over the logits.
    """
    with chosen.ops.quiet():
        in_place = _in_place(rule, leaves)
        chosen = sized(chosen, leaves.logits.shape, _parts(rule, gradient, in_place=in_place))
        cuts = blocks(leaves.logits.shape, rule.axis, chosen.block_size, chosen.threads)
        rows, weighed, divisor = known(
            chosen, rule, leaves, cuts, in_place=in_place, later=bar is None
        )
        factor = None if bar is None else share_of(chosen.xp, rule, divisor, bar)
        picked = None
        if in_place and rule.softcap is not None:
            picked = at_label(chosen, rule, leaves, rows)
        task = Task(chosen, rule, leaves, rows, weighed, factor, gradient, picked, over)
        total = _log_softmax.total(task, cuts) if in_place else None
        losses = _losses(task, cuts, in_place=in_place) if total is None else None
        if not weighed and divides_by_mass(rule, leaves):
            divisor = float(rows.mass.sum())
        return reduced(chosen, rule, divisor, losses, total)


def _losses(task: Task, cuts: tuple[Block, ...], *, in_place: bool) -> Array:
    """The losses of all rows, by the first way that will do."""
    if not in_place:
        return in_general(task, cuts)
    reach = None if task.over else _direct_visits.reach(task)
    if reach is not None:
        return _direct_visits.visited(task, reach, cuts)
    return alone(task) if len(cuts) == 1 else shared(task, cuts)


def _parts(rule: RowLoss, gradient: Array | None, *, in_place: bool) -> int:
    """Of which part of all logits blocks are in hand: the smaller, the more room a block takes.

    Labels alone ask for one buffer, as a rule, which may be the gradient itself; all else for
    three, or more.
    """
    if not (in_place and rule.of_labels):
        return 4
    return 1 if gradient is not None and gradient.dtype == rule.dtype else 2
