"""Losses of a linear head as scans over blocks of rows, which XLA compiles once.

The mean and the sum of labels' losses take one visit, see `xentropy._linear_scan`; as the gradients
are made with the loss, the derivative in a direction is a product with them, which makes them its
transpose too. Everything else is a dense loss or score of every block, which JAX differentiates as
it is, to any order; a block's logits are made again for that, and not kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from xentropy import _linear, _linear_scan
from xentropy._linear import Head, LinearLoss, LinearScore
from xentropy._linear_scan import BLOCK, Rows, Step, Sums
from xentropy._rows import Leaves, Left, RowLoss
from xentropy._typing import Array, DType
from xentropy_jax._devices import by_devices
from xentropy_jax._xla import XLA

# Of so many classes at a time a product is added to the weight's gradient.
PART = 1 << 11


class Loops(XLA):
    """JAX's loops, and products in them."""

    block = BLOCK

    def classes(self, shape: tuple[int, int]) -> int:
        """All: devices may share them."""
        return shape[0]

    def over(
        self, step: Step, sums: Sums, count: int, size: int, dtype: DType
    ) -> tuple[Sums, Rows]:
        """Compiled once."""
        starts = jnp.arange(count) * size
        sums, rows = jax.lax.scan(lambda sums, start: step(sums, start, size), sums, starts)
        losses, by_hidden = (x.reshape(count * size, -1) for x in rows)
        return sums, (losses, by_hidden)

    def after(self, start: int, _: Any) -> int:
        """Known: a compiler finds an order that needs little memory."""
        return start

    def cut(self, x: Array, start: Any, size: int, axis: int = 0) -> Array:
        """Some entries along an axis; where these are all devices may share them."""
        if size == x.shape[axis]:
            return x
        return jax.lax.dynamic_slice_in_dim(x, start, size, axis)

    def logits(self, rule: RowLoss, rows: Head) -> Array:
        """The logits of rows, in the compute dtype."""
        return _logits(rule, rows)

    def observed(self, visit: Callable[[Leaves], Left], _: RowLoss, leaves: Leaves) -> Left:
        """All at once: what is compiled is cut by the compiler."""
        return visit(leaves)

    def plus(self, total: Array, start: int, x: Array) -> Array:
        """All entries."""
        return total + x

    def added(self, total: Array, start: int, made: Array, hidden: Array) -> Array:
        """Part by part of all classes; where devices share them their parts are small."""
        (found,) = by_devices(_added_by_parts, _added, total, made, hidden)
        return found

    def fused(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """All of it is compiled."""
        return function


def _logits(each: RowLoss, rows: Head) -> Array:
    """The logits, summed up in the compute dtype; a narrow weight is not copied."""
    hidden, weight = rows.hidden, rows.weight
    if hidden.dtype != weight.dtype:
        hidden, weight = hidden.astype(each.dtype), weight.astype(each.dtype)
    by_last = (((1,), (1,)), ((), ()))
    made = jax.lax.dot_general(hidden, weight, by_last, preferred_element_type=each.dtype)
    return made if rows.bias is None else made + rows.bias.astype(each.dtype)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _logits_and_quiet(each: RowLoss, _: Array, rows: Head) -> Array:
    """The logits; as the weight moves, a row without a gradient is quiet, whatever it holds."""
    return _logits(each, rows)


@_logits_and_quiet.defjvp
def _push_logits(each: RowLoss, primals: Any, tangents: Any) -> tuple[Array, Array]:
    (quiet, rows), (_, moving) = primals, tangents
    slope = _logits(each, rows._replace(hidden=moving.hidden, bias=moving.bias))
    slope += _logits(each, rows._replace(hidden=quiet, weight=moving.weight, bias=None))
    return _logits(each, rows), slope


def _added(total: Array, made: Array, hidden: Array) -> list[Array]:
    """total + made.T @ hidden."""
    return [total + jnp.matmul(made.T, hidden)]


def _added_by_parts(total: Array, made: Array, hidden: Array) -> list[Array]:
    """The same part by part: the product never has the size of the weight."""
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
    return [add(total, whole * PART, rest) if rest else total]


# Everything else.


def scanned(
    evaluate: Callable[..., tuple[Array, ...]], rule: LinearLoss | LinearScore, leaves: Head
) -> tuple[Array, ...]:
    """The values of a rule from those of the rows of its blocks.

    ``evaluate`` gives, of a rule of rows and the leaves of a block, arrays of one entry per row.
    """
    flat, size = _linear.flat(jnp, leaves, hard=rule.loss.hard), _linear_scan.size(rule, leaves)

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
