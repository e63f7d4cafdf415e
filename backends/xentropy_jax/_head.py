"""Losses of a linear head as scans over blocks of rows, which XLA compiles once.

The mean and the sum of labels' losses take one visit: a block's logits become its losses and their
gradient, and that is multiplied into those of hidden, weight and bias at once. So the gradients are
made with the loss, and the derivative in a direction is a product with them, which makes them its
transpose too. Everything else is a dense loss or score of every block, which JAX differentiates
as it is, to any order; a block's logits are made again for that, and not kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from xentropy import _fused, _linear, _reduction, _stats, _targets
from xentropy._fused import Compiler
from xentropy._linear import Head, LinearLoss, LinearScore
from xentropy._linear_plans import MOVING
from xentropy._rows import Left, RowLoss
from xentropy._typing import Array

# Of float32 a block of logits is 32 MB; XLA holds an array or two of that size.
BLOCK = 1 << 23
# Of so many classes at a time a product is added to the weight's gradient.
PART = 1 << 11


class Sums(NamedTuple):
    """The gradients by leaves of classes, summed up over blocks; None where nobody asks."""

    weight: Array | None
    bias: Array | None


def scans(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
    """Whether these are rows of a head; none at all are left to the general form."""
    return isinstance(rule, LinearLoss | LinearScore) and 0 not in Head(*leaves).hidden.shape


def suits(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
    """Whether a head is visited like this: its labels' loss, reduced to one number."""
    if not isinstance(rule, LinearLoss) or not rule.loss.hard or rule.reduction == "none":
        return False
    head = Head(*leaves)
    known = all(isinstance(n, int) for n in (*head.hidden.shape, *head.weight.shape))
    return known and scans(rule, leaves) and (head.where is None or head.where.ndim == 1)


def moves(wanted: tuple[bool, ...]) -> bool:
    """Whether all gradients that are wanted are made in the visit."""
    named = zip(Head._fields, wanted, strict=True)
    return all(name in MOVING for name, asked in named if asked)


def visited(
    ops: Compiler, rule: LinearLoss, leaves: Head, wanted: tuple[bool, ...]
) -> tuple[Array, Head]:
    """The reduced loss, and its gradients by the wanted leaves."""
    head, each = _linear.flat(jnp, leaves, hard=True), replace(rule.loss, reduction="none")
    t = _targets.coefficients(jnp, _linear.row_targets(jnp, rule.loss, head))
    left = Left(None, None, _stats.mass(jnp, t, 1), None)
    how, one = rule.reducer(jnp, head, left), jnp.ones((), rule.dtype)
    worth = _reduction.spread(jnp, how, one)
    step = partial(_step, ops, each, head, worth, Head(*wanted))
    zeros = _zeros(head, wanted, rule.dtype)
    losses, by_hidden, sums = _over_blocks(step, head, _size(rule, leaves), zeros)
    value = _reduction.reduce(jnp, losses, how)
    made = Head(by_hidden if wanted[0] else None, sums.weight, None, sums.bias)
    return value, _linear.shaped(jnp, leaves, made)


def _size(rule: LinearLoss | LinearScore, head: Head) -> int:
    """How many rows a block has."""
    classes = head.weight.shape[0]
    asked = min(rule.tile or BLOCK, BLOCK)
    return max(1, asked // classes) if isinstance(classes, int) else 1


def _zeros(head: Head, wanted: tuple[bool, ...], dtype: Any) -> Sums:
    want, shape = Head(*wanted), head.weight.shape
    weight = jnp.zeros(shape, dtype) if want.weight else None
    return Sums(weight, jnp.zeros(shape[:1], dtype) if want.bias else None)


def _over_blocks(
    step: Callable[[Sums, Any, int], tuple[Sums, tuple[Array, Array]]],
    head: Head,
    size: int,
    zero: Sums,
) -> tuple[Array, Array, Sums]:
    """The losses, the gradient by hidden and the sums; rows that fill no block are one more."""
    count = head.hidden.shape[0]
    size = min(count, size)
    whole = count // size
    body = lambda sums, start: step(sums, start, size)  # noqa: E731
    sums, rows = jax.lax.scan(body, zero, jnp.arange(whole) * size)
    losses, by_hidden = (x.reshape(whole * size, -1) for x in rows)
    if whole * size < count:
        sums, rest = step(sums, whole * size, count - whole * size)
        losses, by_hidden = (
            jnp.concat(pair) for pair in zip((losses, by_hidden), rest, strict=True)
        )
    return losses, by_hidden, sums


def _step(
    ops: Compiler,
    each: RowLoss,
    head: Head,
    worth: Array,
    want: Head,
    sums: Sums,
    start: Any,
    size: int,
) -> tuple[Sums, tuple[Array, Array]]:
    """A block of rows: its losses, its gradient by hidden, and what it adds to the sums."""
    rows = _rows(head, start, size)
    x = _logits(each, rows)
    leaves = _linear.leaves_of(rows, x)
    left = _fused.observe(jnp, ops, each, leaves)
    if not any(want):
        return sums, (left.losses, jnp.zeros((size, 0), each.dtype))
    made = worth * _fused.gradient(jnp, each, leaves, left)
    by_hidden = jnp.zeros((size, 0), each.dtype)
    if want.hidden:
        by_hidden = _product(made, head.weight)
    if sums.weight is not None:
        hidden = _linear.silenced(jnp, each, rows)
        sums = sums._replace(weight=_added(sums.weight, made, hidden))
    if sums.bias is not None:
        sums = sums._replace(bias=sums.bias + jnp.sum(made, axis=0))
    return sums, (left.losses, by_hidden)


def _rows(head: Head, start: Any, size: int) -> Head:
    """The leaves of some rows."""
    cut = partial(jax.lax.dynamic_slice_in_dim, start_index=start, slice_size=size, axis=0)
    samples = None if head.sample_weights is None else cut(head.sample_weights)
    return head._replace(hidden=cut(head.hidden), targets=cut(head.targets), sample_weights=samples)


def _logits(each: RowLoss, rows: Head) -> Array:
    """The logits, summed up in the compute dtype; a narrow weight is not copied."""
    hidden, weight = rows.hidden, rows.weight
    if hidden.dtype != weight.dtype:
        hidden, weight = hidden.astype(each.dtype), weight.astype(each.dtype)
    by_last = (((1,), (1,)), ((), ()))
    made = jax.lax.dot_general(hidden, weight, by_last, preferred_element_type=each.dtype)
    return made if rows.bias is None else made + rows.bias.astype(each.dtype)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _logits_and_quiet(each: RowLoss, quiet: Array, rows: Head) -> Array:
    """The logits; as the weight moves, a row without a gradient is quiet, whatever it holds."""
    return _logits(each, rows)


@_logits_and_quiet.defjvp
def _push_logits(each: RowLoss, primals: Any, tangents: Any) -> tuple[Array, Array]:
    (quiet, rows), (_, moving) = primals, tangents
    slope = _logits(each, rows._replace(hidden=moving.hidden, bias=moving.bias))
    slope += _logits(each, rows._replace(hidden=quiet, weight=moving.weight, bias=None))
    return _logits(each, rows), slope


def _product(made: Array, weight: Array) -> Array:
    return jnp.matmul(made, weight.astype(made.dtype))


def _added(total: Array, made: Array, hidden: Array) -> Array:
    """total + made.T @ hidden, part by part: the product never has the size of the weight."""
    classes = total.shape[0]
    whole = classes // PART

    def add(total: Array, start: Any, size: int) -> Array:
        part = jax.lax.dynamic_slice_in_dim(made, start, size, 1)
        old = jax.lax.dynamic_slice_in_dim(total, start, size, 0)
        new = old + jnp.matmul(part.T, hidden)
        return jax.lax.dynamic_update_slice_in_dim(total, new, start, 0)

    if whole:
        total = jax.lax.fori_loop(0, whole, lambda i, total: add(total, i * PART, PART), total)
    rest = classes - whole * PART
    return add(total, whole * PART, rest) if rest else total


# Everything else.


def scanned(
    evaluate: Callable[..., tuple[Array, ...]], rule: LinearLoss | LinearScore, leaves: Head
) -> tuple[Array, ...]:
    """The values of a rule from those of the rows of its blocks.

    ``evaluate`` gives, of a rule of rows and the leaves of a block, arrays of one entry per row.
    """
    flat, size = _linear.flat(jnp, leaves, hard=rule.loss.hard), _size(rule, leaves)

    @partial(jax.checkpoint, prevent_cse=False)
    def block(rows: Head) -> tuple[Array, ...]:
        logits, idle = partial(_logits, rule.loss), rule.idle(rows)
        if _linear.may_idle(rule.loss, idle):
            quiet = _linear.silenced(jnp, rule.loss, idle)
            logits = partial(_logits_and_quiet, rule.loss, quiet)
        return evaluate(rule, _linear.leaves_of(rows, logits(rows)))

    return _in_blocks(block, flat, size)


def _in_blocks(
    block: Callable[[Head], tuple[Array, ...]], head: Head, size: int
) -> tuple[Array, ...]:
    """What a function gives of blocks of rows, put together; the last block may be shorter."""
    count = head.hidden.shape[0]
    if not isinstance(count, int) or count <= size:  # a symbol of jax.export is not cut
        return block(head)
    whole = count // size * size
    rows, fixed = _apart(_linear.rows_of(head, 0, whole))
    blocks = {name: x.reshape(-1, size, *x.shape[1:]) for name, x in rows.items()}
    # Slices of the rows go along, rather than places to slice at: so their gradients are stacked.
    _, made = jax.lax.scan(lambda _, one: (None, block(Head(**one, **fixed))), None, blocks)
    found = tuple(x.reshape(whole, *x.shape[2:]) for x in made)
    if whole == count:
        return found
    rest = block(_linear.rows_of(head, whole, count))
    return tuple(jnp.concat(pair) for pair in zip(found, rest, strict=True))


def _apart(head: Head) -> tuple[dict[str, Array], dict[str, Array | None]]:
    """The leaves of rows, and all others."""
    names = {"hidden", "targets", "sample_weights"}
    if head.where is not None and head.where.ndim > 1 and head.where.shape[0] != 1:
        names.add("where")
    both = head._asdict()
    rows = {name: x for name, x in both.items() if name in names and x is not None}
    return rows, {name: x for name, x in both.items() if name not in rows}
