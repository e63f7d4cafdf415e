"""How xentropy talks to JAX: jax.numpy as the namespace, rules attached as custom JVPs."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp

from xentropy import _fused, _linear_scan, _unshifted
from xentropy._backend import Backend, Rule, ones_of
from xentropy._fused import Parts
from xentropy._linear import Head, LinearLoss, LinearScore
from xentropy._linear import flat as flattened
from xentropy._options import current
from xentropy._reduction import reduce
from xentropy._rows import Leaves, Left, RowLoss
from xentropy._typing import Array, DType, Kind, Namespace
from xentropy_jax import _head, _slices, _tangents
from xentropy_jax._along import along
from xentropy_jax._apart import apart, joined
from xentropy_jax._devices import ARRAYS, on_host
from xentropy_jax._groups import JaxGroup, group_of
from xentropy_jax._xla import ENTRIES, XLA

A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _attached(rule: Rule, leaves: tuple[Array | None, ...]) -> tuple[Array, ...]:
    return rule.forward(ARRAYS, leaves)[0]


@partial(_attached.defjvp, symbolic_zeros=True)
def _push(rule: Rule, primals: Any, tangents: Any) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """The derivative in a direction: the transpose of the pullback, which is linear.

    So one gradient formula, the core's, serves forward mode, reverse mode and their mixtures.
    """
    (leaves,), (directions,) = primals, tangents
    values, slopes = _slopes(rule, leaves, directions, _tangents.wanted(rule, directions))
    return values, (*slopes, *map(_tangents.no_slope, values[len(slopes) :]))


def _slopes(
    rule: Rule,
    leaves: tuple[Array | None, ...],
    directions: tuple[Any, ...],
    wanted: tuple[bool, ...],
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """The values, and the derivatives of the floating ones as the wanted leaves move."""
    values, residuals = rule.forward(ARRAYS, leaves)
    residuals = jax.lax.stop_gradient(residuals)

    def pull(bars: tuple[Array, ...]) -> tuple[Array, ...]:
        gradients = rule.pullback(ARRAYS, leaves, residuals, bars, wanted, again=True)
        return tuple(g for g, moved in zip(gradients, wanted, strict=True) if moved)

    moved = tuple(d for d, moves in zip(directions, wanted, strict=True) if moves)
    count = len(rule.outputs)
    (slopes,) = jax.linear_transpose(pull, values[:count])(moved)
    return values, slopes


# Losses of logits have forms that XLA fuses, see `xentropy._fused`.


_OPERATIONS = XLA()
_LOOPS = _head.Loops()


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _observed(rule: RowLoss, leaves: Leaves) -> tuple[Array, Left]:
    """The reduced loss, and what is left of the rows: constants but for their masses."""

    def reduced(left: Left) -> tuple[Array, Left]:
        return _fused.reduced(jnp, rule, leaves, left), left

    return _unshifted.visited(ENTRIES, _OPERATIONS, rule, leaves, reduced)


@partial(_observed.defjvp, symbolic_zeros=True)
def _push_observed(rule: RowLoss, primals: Any, tangents: Any) -> tuple[Any, Any]:
    (leaves,), (directions,) = primals, tangents
    value, left = _observed(rule, leaves)
    still = jax.tree.map(jnp.zeros_like, left)
    wanted = _tangents.wanted(rule, directions)
    if not any(wanted[1:]):
        slope = jnp.zeros_like(value)
        if wanted[0]:
            slope = _slope(rule, leaves, left, directions.logits)
        return (value, left), (slope, still)
    (slope,) = _slopes(rule, leaves, directions, wanted)[1]
    masses = partial(_fused.masses, jnp, rule)
    dense = tuple(map(_tangents.dense, leaves, directions))
    mass = jax.jvp(masses, (leaves,), (Leaves(*dense),))[1]
    return (value, left), (slope, still._replace(mass=mass))


@partial(jax.checkpoint, prevent_cse=False, static_argnums=0)
def _slope(rule: RowLoss, leaves: Leaves, left: Left, direction: Array) -> Array:
    """The derivative of the reduced loss as the logits move.

    It is linear in the direction by products with the gradient, which so makes it its own
    transpose; what the gradient is made of is kept for that, not the gradient.
    """
    made, factor, label, own = _gradient(rule, leaves, left)
    spread = one = jnp.ones((), rule.dtype)
    if rule.reduction != "none":
        spread = _fused.spread(jnp, rule, leaves, left, one)
    direction, at_label = direction.astype(rule.dtype), jnp.zeros_like(factor)
    if own is not None:
        direction, at_label = apart(direction, label, rule.axis, choose=_chooses(rule, leaves))
        at_label = own * spread * at_label
    along = jnp.sum(made * direction, axis=rule.axis, keepdims=True)
    rows = factor * spread * along + at_label
    return jnp.squeeze(rows, axis=rule.axis) if rule.reduction == "none" else jnp.sum(rows)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _gradient(rule: RowLoss, leaves: Leaves, left: Left) -> Parts:
    """The gradient by the logits, with the label apart."""
    leaves = leaves._replace(logits=_narrow_anew(rule, leaves.logits))
    if not rule.hard:
        leaves = leaves._replace(targets=_narrow_anew(rule, leaves.targets))
    return _fused.parts(ENTRIES, rule, leaves, left)


def _narrow_anew(rule: RowLoss, x: Array) -> Array:
    """The same numbers; of narrow ones XLA does not know that the loss has them too.

    Else it widens them once on a CPU and writes that to memory: twice their size. They are anew
    twice, as they may be so once in the loss, and XLA makes one of two that are alike.
    """
    return x if x.dtype == rule.dtype else _OPERATIONS.anew(_OPERATIONS.anew(x))


def _chooses(rule: RowLoss, leaves: Leaves) -> bool:
    """Whether the label's gradient is chosen at every entry, and not written to its place.

    It is of short rows, of rows that do not lie along the last axis, and of narrow logits.
    """
    return bool(leaves.logits.dtype != rule.dtype) or _fused.short(rule, leaves.logits)


@_gradient.defjvp
def _push_gradient(rule: RowLoss, primals: Any, tangents: Any) -> tuple[Parts, Parts]:
    """Derivatives of the gradient are those of its general form."""
    (leaves, left), (directions, _) = primals, tangents
    constant = jax.lax.stop_gradient(left)

    def general(leaves: Leaves) -> Array:
        return _fused.general_gradient(ARRAYS, rule, leaves, constant)

    found = _gradient(rule, leaves, left)
    slope = jax.jvp(general, (leaves,), (directions,))[1]
    # Where the factor is 0 a row has no weight, and so no slope.
    factor = jnp.where(found.factor == 0, jnp.ones_like(found.factor), found.factor)
    along = Parts(slope / factor, jnp.zeros_like(factor), None, None)
    label: Any = found.label
    if label is None:
        return found, along
    own = jnp.take_along_axis(slope, label, axis=rule.axis)
    return found, along._replace(label=_tangents.no_slope(label), own=own)


# The loss of a head makes its gradients in the visit, see `xentropy._linear_scan`.


def _visit(rule: LinearLoss, leaves: Head, wanted: tuple[bool, ...]) -> tuple[Array, Head]:
    return _linear_scan.visited(ENTRIES, _LOOPS, rule, leaves, wanted)


_compiled_visit = jax.jit(_visit, static_argnums=(0, 2))


def _visited(rule: LinearLoss, leaves: Head, wanted: tuple[bool, ...]) -> tuple[Array, Head]:
    return (_compiled_visit if plan() else _visit)(rule, leaves, wanted)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _of_head(rule: LinearLoss, leaves: Head) -> Array:
    return _visited(rule, leaves, (False,) * len(leaves))[0]


@partial(_of_head.defjvp, symbolic_zeros=True)
def _push_head(rule: LinearLoss, primals: Any, tangents: Any) -> tuple[Array, Array]:
    (leaves,), (directions,) = primals, tangents
    wanted = _tangents.wanted(rule, directions)
    if not _linear_scan.moves(wanted):
        dense = Head(*map(_tangents.dense, leaves, directions))
        value, slope = jax.jvp(partial(_of_blocks, rule), (leaves,), (dense,))
        return value, slope
    value, made = _both_of_head(rule, wanted, leaves)
    moved = (
        along(g, d, rule.dtype)
        for g, d, asked in zip(made, directions, wanted, strict=True)
        if asked and g is not None
    )
    return value, sum(moved, jnp.zeros_like(value))


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _both_of_head(
    rule: LinearLoss, wanted: tuple[bool, ...], leaves: Head
) -> tuple[Array, tuple[Array | None, ...]]:
    value, made = _visited(rule, leaves, wanted)
    return value, tuple(made)


@_both_of_head.defjvp
def _push_both(rule: LinearLoss, wanted: tuple[bool, ...], primals: Any, tangents: Any) -> Any:
    """Derivatives of the gradients are those of their general form."""
    (leaves,), (directions,) = primals, tangents
    found = _both_of_head(rule, wanted, leaves)

    def general(leaves: Head) -> tuple[Array, tuple[Array | None, ...]]:
        value, made = _gradients(partial(_of_blocks, rule), leaves, wanted)
        return value, tuple(made)

    return found, jax.jvp(general, (leaves,), (directions,))[1]


def _gradients(
    function: Callable[[Head], Array], leaves: Head, wanted: tuple[bool, ...]
) -> tuple[Array, Head]:
    """The value of a function, and the gradients of its sum by the wanted leaves."""
    moving = [x for x, asked in zip(leaves, wanted, strict=True) if asked]

    def moved(*moving: Array) -> Array:
        left = iter(moving)
        return function(
            Head(*(next(left) if asked else x for x, asked in zip(leaves, wanted, strict=True)))
        )

    value, pull = jax.vjp(moved, *moving)
    made = iter(pull(jnp.ones_like(value)))
    return value, Head(*(next(made) if asked else None for asked in wanted))


def _of_blocks(rule: LinearLoss, leaves: Head) -> Array:
    """The reduced loss from the losses and masses of rows."""
    losses, masses = _head.scanned(_losses_of_rows, rule, leaves)
    flat = flattened(jnp, leaves, hard=rule.loss.hard)
    how = rule.reducer(jnp, flat, Left(None, None, masses, losses))
    value = reduce(jnp, losses, how)
    return value.reshape(leaves.hidden.shape[:-1]) if rule.reduction == "none" else value


def _losses_of_rows(rule: LinearLoss, leaves: Leaves) -> tuple[Array, Array]:
    each = replace(rule.loss, reduction="none", normalizer="weights")
    losses, left = _observed(each, leaves._replace(normalizer=None))
    return losses[:, None], left.mass


def _scores_of_blocks(rule: LinearScore, leaves: Head) -> tuple[Array, ...]:
    found = _head.scanned(_scores_of_rows, rule, leaves)
    return tuple(x.reshape(leaves.hidden.shape[:-1]) for x in found)


def _scores_of_rows(rule: LinearScore, leaves: Leaves) -> tuple[Array, ...]:
    return _attached(rule.score, leaves)


def _evaluated(rule: Rule, leaves: tuple[Array | None, ...]) -> tuple[Array, ...]:
    if _slices.is_of_slices(rule):
        return _slices.evaluated(rule, leaves)
    if _linear_scan.scans(rule, leaves):
        if isinstance(rule, LinearScore):
            return _scores_of_blocks(rule, Head(*leaves))
        of_head = _of_head if _linear_scan.suits(rule, leaves) else _of_blocks
        return (of_head(cast("LinearLoss", rule), Head(*leaves)),)
    if not _fused.suits(rule, leaves):
        return _attached(rule, leaves)
    return (_observed(rule, Leaves(*leaves))[0],)


def _both(
    rule: Any, leaves: tuple[Array | None, ...], wanted: tuple[bool, ...], of: int
) -> tuple[tuple[Array, ...], tuple[Any, ...]]:
    if _slices.is_of_slices(rule):
        return _slices.both(rule, leaves, wanted, of)
    if _fused.suits(rule, leaves) and not any(wanted[1:]):
        given = Leaves(*leaves)
        value, left = _observed(rule, given)
        rows = _fused.spread(jnp, rule, given, left, jnp.ones_like(value))
        made, factor, label, own = _gradient(rule, given, left)
        gradient = made * (rows * factor)
        if own is not None:
            choose = _chooses(rule, given)
            gradient = joined(gradient, label, rows * own, rule.axis, choose=choose)
        gradient = gradient.astype(given.logits.dtype)
        return (value,), (gradient, *(None for _ in wanted[1:]))
    if _linear_scan.suits(rule, leaves) and _linear_scan.moves(wanted):
        value, gradients = _both_of_head(rule, wanted, Head(*leaves))
        return (value,), gradients
    if _linear_scan.scans(rule, leaves):
        return _both_of_blocks(rule, Head(*leaves), wanted, of)
    values, residuals = rule.forward(ARRAYS, leaves)
    bars = ones_of(jnp, rule, values, of)
    return values, tuple(rule.pullback(ARRAYS, leaves, residuals, bars, wanted, again=True))


def _both_of_blocks(
    rule: LinearLoss | LinearScore, leaves: Head, wanted: tuple[bool, ...], of: int
) -> tuple[tuple[Array, ...], tuple[Any, ...]]:
    """The values of a head that is scanned, and the gradients of one."""

    def value(leaves: Head) -> Array:
        return _evaluated(rule, leaves)[of]

    return _evaluated(rule, leaves), tuple(_gradients(value, leaves, wanted)[1])


def _called(function: Callable[[Namespace, A, R], T], arrays: A, rule: R) -> T:
    return function(jnp, arrays, rule)


_still = jax.jit(_called, static_argnums=(0, 2))
_apply = jax.jit(_evaluated, static_argnums=0)
_value_and_grad = jax.jit(_both, static_argnums=(0, 2, 3))


class JaxBackend(Backend):
    """JAX arrays and tracers. The public functions are compiled by themselves."""

    later = True

    def refuses(self, cls: type) -> str | None:
        """What stands for an array in JAX's transformations, and has no numbers itself."""
        if issubclass(cls, jax.ShapeDtypeStruct):
            return "it has no numbers; jax.eval_shape of the function takes it"
        return None

    def make(self, value: object, like: Array, *, floating: bool) -> Array:
        """Python numbers and lists as an array."""
        return jnp.asarray(value, dtype=self.compute_dtype(like) if floating else None)

    def kind(self, x: Array) -> Kind:
        """Which kind of numbers an array holds."""
        for kind, dtype in _KINDS:
            if jnp.issubdtype(x.dtype, dtype):
                return kind
        return "other"

    def looks(self, args: tuple[Any, ...]) -> Hashable | None:
        """Of arrays that are not traced; where they lie is left to JAX."""
        for x in args:
            if not isinstance(x, jax.Array) or isinstance(x, jax.core.Tracer):
                return None
        return tuple([(x.shape, x.dtype) for x in args])

    def look(self, x: Array) -> tuple[Namespace, Array] | None:
        """A concrete array on the host, seen as NumPy: inside a jit even constants are traced."""
        import numpy as np

        return (np, np.asarray(x)) if on_host(x) else None

    def group(self, group: Any) -> JaxGroup:
        """An axis of `jax.shard_map`, by its name."""
        return group_of(group)

    def still(self, function: Callable[[Namespace, A, R], T], arrays: A, rule: R) -> T:
        """What no transformation differentiates."""
        found: T = _still(function, jax.lax.stop_gradient(arrays), rule)
        return found

    def total(self, x: Array) -> float:
        """The sum in float64, which JAX seldom has, so on the host."""
        import numpy as np

        return float(np.asarray(x).sum(dtype=np.float64))

    def apply(self, rule: Rule, leaves: tuple[Array | None, ...]) -> tuple[Array, ...]:
        """The values, attached to JAX's transformations."""
        # The visit to a head compiles itself, so that its gradients can be handed over as they are.
        by_itself = not plan() or _linear_scan.suits(rule, leaves)
        evaluate = _evaluated if by_itself else _apply
        values: tuple[Array, ...] = evaluate(rule, tuple(leaves))
        return values

    def value_and_grad(
        self,
        rule: Rule,
        leaves: tuple[Array | None, ...],
        wanted: tuple[bool, ...],
        of: int = 0,
    ) -> tuple[tuple[Array, ...], tuple[Any, ...]]:
        """The values, and the gradients of one, compiled together."""
        found: tuple[tuple[Array, ...], tuple[Any, ...]]
        found = (_value_and_grad if plan() else _both)(rule, tuple(leaves), wanted, of)
        return found


def plan() -> bool:
    """Whether a function compiles itself, whatever it is called in: unless an option forbids."""
    return current().compile is not False


_KINDS: tuple[tuple[Kind, DType], ...] = (
    ("real floating", jnp.floating),
    ("integral", jnp.integer),
    ("bool", jnp.bool_),
    ("complex floating", jnp.complexfloating),
)

backend = JaxBackend("jax", jnp, jnp.int32)
