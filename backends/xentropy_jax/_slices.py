"""How rules of slices of the classes are attached: losses and scores inside `jax.shard_map`.

As on one device the derivative in a direction is the transpose of the pullback, which is linear.
That of a loss as its logits move is a sum of products with the gradient, which asks no other
device for anything; see `_groups` for what is alike on all devices, and what is not.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from xentropy import _linear_scan
from xentropy._backend import Rule, ones_of
from xentropy._linear import LinearLoss
from xentropy._rows import RowLoss
from xentropy._sharded import SUMMED, Sharded
from xentropy._sharded_head import ShardedHead
from xentropy._typing import Array
from xentropy_jax import _tangents
from xentropy_jax._devices import ARRAYS
from xentropy_jax._groups import JaxGroup, varying

Leaves = tuple[Array | None, ...]
Both = tuple[tuple[Array, ...], tuple[Array, ...]]


def is_of_slices(rule: Rule) -> bool:
    """Whether a rule's arrays are slices that devices hold."""
    return isinstance(getattr(rule, "group", None), JaxGroup)


def evaluated(rule: Any, leaves: Leaves) -> tuple[Array, ...]:
    """The values, alike on every device."""
    return _visited(rule, typed(rule, leaves))[0]


def both(
    rule: Any, leaves: Leaves, wanted: tuple[bool, ...], of: int
) -> tuple[tuple[Array, ...], tuple[Any, ...]]:
    """The values, and the gradients of one: of slices their own, of what is alike all of it."""
    leaves = typed(rule, leaves)
    values, left = _visited(rule, leaves)
    if _is_local(rule, wanted):
        made = _gradient(rule, leaves, left).astype(leaves[0].dtype)  # type: ignore[union-attr]
        return values, (made, *(None for _ in wanted[1:]))
    if _is_of_head(rule, wanted):
        return values, _gradients_of_head(rule, wanted, leaves, left)
    bars = ones_of(jnp, rule, values, of)
    return values, tuple(rule.pullback(ARRAYS, leaves, left, bars, wanted, again=True))


def _is_local(rule: Any, wanted: tuple[bool, ...]) -> bool:
    """Whether the gradient is one by logits that this device makes by itself."""
    loss = isinstance(rule, Sharded) and isinstance(rule.rule, RowLoss)
    return loss and wanted[0] and not any(wanted[1:])


def _is_of_head(rule: Any, wanted: tuple[bool, ...]) -> bool:
    """Whether the gradients are made tile by tile: those of a head's reduced loss."""
    head = isinstance(rule, ShardedHead) and isinstance(rule.rule, LinearLoss)
    return head and rule.loss.reduction != "none" and any(wanted) and _linear_scan.moves(wanted)


# Types.


def typed(rule: Any, leaves: Leaves) -> Leaves:
    """The leaves with types that say what they are: slices vary, what is alike does not.

    All vary over the other axes that any of them varies over, as their gradients do.
    """
    group: JaxGroup = rule.group
    if not group.typed:
        return leaves
    others = frozenset[str]().union(*(varying(x) for x in leaves if x is not None)) - {group.name}
    named = zip(rule.names, leaves, strict=True)
    return tuple(x if x is None else _typed(rule, name, x, others) for name, x in named)


def _typed(rule: Any, name: str, x: Array, others: frozenset[str]) -> Array:
    group: JaxGroup = rule.group
    alike = _is_alike(rule, name, x)
    missing = others if alike else others | {group.name}
    x = _cast(x, missing - varying(x))
    # A gradient by the others of these is made of parts, and its type says which.
    if alike and name not in SUMMED and group.varies(x):
        return group.sum(group.of_first(x))
    return x


def _cast(x: Array, names: frozenset[str]) -> Array:
    return jax.lax.pcast(x, tuple(sorted(names)), to="varying") if names else x


def _is_alike(rule: Any, name: str, leaf: Array) -> bool:
    """Whether all devices have a leaf alike, labels included."""
    labels = name == "targets" and rule.loss.hard
    return labels or bool(rule.is_alike(name, leaf))


# Derivatives.


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _visited(rule: Rule, leaves: Leaves) -> Both:
    """The values, and what is left for the pullback, which is constant."""
    values, left = rule.forward(ARRAYS, leaves)
    return values, tuple(left)


@partial(_visited.defjvp, symbolic_zeros=True)
def _push(rule: Any, primals: Any, tangents: Any) -> tuple[Both, Any]:
    (leaves,), (directions,) = primals, tangents
    values, left = _visited(rule, leaves)
    wanted, count = _tangents.wanted(rule, directions), len(rule.outputs)
    if _is_local(rule, wanted):
        slopes: tuple[Array, ...] = (_slope(rule, leaves, left, directions[0]),)
    elif _is_of_head(rule, wanted):
        slopes = (_slope_of_head(rule, leaves, left, directions, wanted),)
    else:
        slopes = _slopes(rule, leaves, (values[:count], left), directions, wanted)
    still = tuple(jnp.zeros_like(x) for x in left)
    return (values, left), ((*slopes, *map(_tangents.no_slope, values[count:])), still)


@partial(jax.checkpoint, prevent_cse=False, static_argnums=0)
def _slope(rule: Sharded, leaves: Leaves, left: tuple[Array, ...], direction: Array) -> Array:
    """The derivative of a loss as the logits move; the gradient is not kept, but made again."""
    made = _gradient(rule, leaves, left)
    products = made * direction.astype(made.dtype)
    axis = rule.axis if rule.loss.reduction == "none" else None
    found: Array = rule.group.sum(jnp.sum(products, axis=axis))
    return found


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _gradient(rule: Sharded, leaves: Leaves, left: tuple[Array, ...]) -> Array:
    return rule.by_logits(ARRAYS, leaves, left)


@_gradient.defjvp
def _push_gradient(rule: Sharded, primals: Any, tangents: Any) -> tuple[Array, Array]:
    """Derivatives of the gradient are those of its general form."""
    (leaves, left), (directions, _) = primals, tangents

    def general(leaves: Leaves) -> Array:
        return rule.by_logits(ARRAYS, leaves, left, again=True)

    return _gradient(rule, leaves, left), jax.jvp(general, (leaves,), (directions,))[1]


def _slope_of_head(
    rule: ShardedHead,
    leaves: Leaves,
    left: tuple[Array, ...],
    directions: tuple[Any, ...],
    wanted: tuple[bool, ...],
) -> Array:
    """The derivative of a head's loss: products with its gradients, with that of hidden once."""
    made, dtype = _gradients_of_head(rule, wanted, leaves, left), rule.loss.dtype
    products = [
        None if g is None else jnp.vdot(g.astype(dtype), d.astype(dtype))
        for g, d in zip(made, directions, strict=True)
    ]
    of_hidden, *of_slices = products
    own = sum((x for x in of_slices if x is not None), jnp.zeros((), dtype))
    whole = jnp.zeros((), dtype)
    if of_hidden is not None:
        copied = not rule.group.typed or rule.group.varies(leaves[0])
        if copied:
            own = own + rule.group.of_first(of_hidden)
        else:
            whole = of_hidden
    found: Array = rule.group.sum(own) + whole
    return found


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _gradients_of_head(
    rule: ShardedHead, wanted: tuple[bool, ...], leaves: Leaves, left: tuple[Array, ...]
) -> tuple[Array | None, ...]:
    one = jnp.ones((), rule.loss.dtype)
    return tuple(rule.pullback(ARRAYS, leaves, left, (one,), wanted))


@_gradients_of_head.defjvp
def _push_gradients_of_head(
    rule: ShardedHead, wanted: tuple[bool, ...], primals: Any, tangents: Any
) -> tuple[Any, Any]:
    """Derivatives of the gradients are those of their general form."""
    (leaves, left), (directions, _) = primals, tangents

    def general(leaves: Leaves) -> tuple[Array | None, ...]:
        one = jnp.ones((), rule.loss.dtype)
        return tuple(rule.pullback(ARRAYS, leaves, left, (one,), wanted, again=True))

    found = _gradients_of_head(rule, wanted, leaves, left)
    return found, jax.jvp(general, (leaves,), (directions,))[1]


def _slopes(
    rule: Any, leaves: Leaves, found: Both, directions: tuple[Any, ...], wanted: tuple[bool, ...]
) -> tuple[Array, ...]:
    """The derivatives of the floating values as the wanted leaves move."""
    values, left = found

    def pull(bars: tuple[Array, ...]) -> tuple[Array, ...]:
        bars = tuple(bars if rule.group.typed else map(rule.group.sum, bars))
        gradients = rule.pullback(ARRAYS, leaves, left, bars, wanted, again=True)
        named = zip(rule.names, leaves, gradients, wanted, strict=True)
        return tuple(_own(rule, name, leaf, by) for name, leaf, by, moved in named if moved)

    moved = tuple(d for d, moves in zip(directions, wanted, strict=True) if moves)
    (slopes,) = jax.linear_transpose(pull, values)(moved)
    return tuple(slopes)


def _own(rule: Any, name: str, leaf: Any, gradient: Array) -> Array:
    """A device's part of a gradient: where every device has a copy of its own, the first has all.

    JAX adds up the gradients of copies.
    """
    copied = rule.group.varies(leaf) if rule.group.typed else True
    return rule.group.of_first(gradient) if copied and _is_alike(rule, name, leaf) else gradient
