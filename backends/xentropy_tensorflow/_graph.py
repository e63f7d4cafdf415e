"""Losses in graphs: whole, in few operations, which XLA fuses where it pays.

The gradient by the logits is elementwise; its own derivatives are those of the general form.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import tensorflow as tf

from xentropy import _fused, _stats
from xentropy._backend import Rule
from xentropy._options import current
from xentropy._rows import Leaves, Left, RowLoss
from xentropy._typing import Array
from xentropy_tensorflow import _entries
from xentropy_tensorflow import _namespace as xp
from xentropy_tensorflow._graph_parts import visited
from xentropy_tensorflow._tapes import pushed

try:
    from tensorflow.compiler.tf2xla.ops.gen_xla_ops import xla_optimization_barrier as _barrier
except ImportError:  # it has no public name; without it results stay the same
    _barrier = None

T = TypeVar("T")

# From so many logits on a step saves more than a trace pays for, half a second once; and what holds
# few logits holds several arrays of that size where XLA does not make operations one.
_LARGE = 1 << 19


class Form(NamedTuple):
    """A loss as a few operations on whole arrays; XLA makes them one where it is compiled."""

    rule: RowLoss
    compiled: bool


def plan(rule: Rule, leaves: tuple[Array | None, ...]) -> Form | None:
    """How a rule is evaluated in a graph: in few operations, or, without a plan, in general.

    It takes a known number of classes, and no forward mode. XLA compiles these operations by
    themselves if every length is known and the array large; ``compile`` of `xentropy.options`
    says otherwise.
    """
    if not isinstance(rule, RowLoss) or not _fused.suits(rule, leaves):
        return None
    # Forward mode sees through a gradient of our own to the operations inside.
    if leaves[0] is None or leaves[0].shape[rule.axis] is None or pushed(*leaves):
        return None
    known = all(x is None or x.shape.is_fully_defined() for x in leaves)
    asked = current().compile
    large = known and leaves[0].shape.num_elements() >= _LARGE
    return Form(rule, known and (large if asked is None else asked))


class Operations:
    """TensorFlow's operations by the names of `xentropy._fused.Compiler`."""

    some = None
    compares = False

    def __init__(self, compiled: bool) -> None:
        self.compiled = compiled

    @property
    def sum_rows(self) -> Callable[..., Array] | None:
        """Part by part of what XLA compiles: no exponential is written to memory."""
        return _sum_rows if self.compiled else None

    def widens(self, _: Array, *, short: bool) -> bool:
        """Nothing is known of it."""
        return False

    def everywhere(self, flags: Array) -> Array:
        """Whether all flags are set."""
        return tf.reduce_all(flags)

    def either(self, flag: Array, yes: Callable[[], T], no: Callable[[], T]) -> T:
        """What one of two functions gives."""
        chosen: T = tf.cond(flag, yes, no)
        return chosen

    def sum_both(self, a: Array, b: Array, axis: int) -> tuple[Array, Array]:
        """The sums of two arrays along an axis, which is kept."""
        return xp.sum(a, axis, keepdims=True), xp.sum(b, axis, keepdims=True)

    def anew(self, x: Array) -> Array:
        """The same; what XLA does not compile shares nothing anyway."""
        return x if _barrier is None or not self.compiled else _apart(x)

    def fused(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of operations, which XLA makes one unless it is told not to."""
        if not self.compiled:
            return function
        compiled: Callable[..., Any] = tf.function(function, jit_compile=True, autograph=False)
        return compiled


@tf.custom_gradient
def _apart(x: Array) -> tuple[Array, Callable[[Array], Array]]:
    return _barrier([x])[0], lambda bar: bar


def _sum_rows(function: Callable[[Array, Array], Array], x: Array, column: Array) -> Array:
    return _fused.sum_in_parts(xp, function, _fused.parts_of(x.shape[-1], xp.LONG - 1), x, column)


def observe(chosen: Form, leaves: tuple[Array | None, ...]) -> tuple[Array, tuple[Array, ...]]:
    """The reduced loss, and what the visit leaves."""
    rule, given, ops = chosen.rule, Leaves(*leaves), Operations(chosen.compiled)
    visit = partial(_fused.observe, xp, ops, rule)
    left = visited(rule, given, ops.fused(visit)) if chosen.compiled else visit(given)
    value = _fused.reduced(xp, rule, given, left)
    # The gradient waits for the loss: the losses of rows that are summed up are gone by then.
    with tf.control_dependencies([value]):
        return value, tuple(map(tf.identity, left))


def gradient(
    chosen: Form, leaves: tuple[Array | None, ...], left: tuple[Array, ...], bar: Array
) -> Array:
    """The gradient by the logits, differentiable by everything that floats."""
    moving = [i for i, x in enumerate(leaves) if x is not None and x.dtype.is_floating]
    rule = chosen.rule

    @tf.custom_gradient
    def attached(bar: Array, *floating: Array) -> tuple[Array, Any]:
        given = _exchanged(leaves, moving, floating)

        def pull(second: Array) -> list[Array]:
            with tf.GradientTape() as tape:
                tape.watch([bar, *floating])
                again = _again(rule, given, left, bar)
            zero = tf.UnconnectedGradients.ZERO
            found: list[Array] = tape.gradient(again, [bar, *floating], second, zero)
            return found

        # What is kept of every row until here takes memory; XLA makes the masses of labels anew.
        kept = (*left[:2], None if rule.hard and chosen.compiled else left[2])
        return _slope(chosen, bar, given, *kept), pull

    found: Array = attached(bar, *(leaves[i] for i in moving))
    return found


def _slope(
    chosen: Form, bar: Array, given: Leaves, peak: Array, rest: Array, mass: Array | None
) -> Array:
    """The gradient by the logits, of labels in two steps.

    Their rows' numbers are made before: XLA would hold each step to them beside the gradient.
    """
    ops, rule = Operations(chosen.compiled), chosen.rule
    names = _entries if chosen.compiled else xp
    left = given, peak, rest, mass
    rows, entries = partial(_by_row, names, rule), partial(_by_entry, names, rule)
    if not rule.hard:
        return ops.fused(lambda bar, *left: entries(rows(bar, *left), *left))(bar, *left)
    return ops.fused(entries)(ops.fused(rows)(bar, *left), *left)


def _by_row(
    names: Any, rule: RowLoss, bar: Array, given: Leaves, *left: Array | None
) -> list[Array]:
    """What every row's entries are multiplied by; and the gradient at its label."""
    kept = _left(names, rule, given, *left)
    rows = _fused.spread(names, rule, given, kept, bar)
    parts = _fused.parts(names, rule, given, kept)
    return [rows * x for x in (parts.factor, parts.own) if x is not None]


def _by_entry(
    names: Any, rule: RowLoss, found: list[Array], given: Leaves, *left: Array | None
) -> Array:
    """The gradient, given what `_by_row` makes."""
    parts = _fused.parts(names, rule, given, _left(names, rule, given, *left))
    made = parts.made * found[0]
    if parts.label is not None:
        here = _stats.class_numbers(xp, made, rule.axis, parts.label.dtype) == parts.label
        made = xp.where(here, found[1], made)
    return xp.astype(made, given.logits.dtype)


def _left(
    names: Any, rule: RowLoss, given: Leaves, peak: Array, rest: Array, mass: Array | None
) -> Left:
    """What a visit has left; no gradient asks for the losses."""
    mass = _fused.masses(names, rule, given) if mass is None else mass
    return Left(peak, rest, mass, mass)


def _exchanged(
    leaves: tuple[Array | None, ...], moving: list[int], floating: tuple[Array, ...]
) -> Leaves:
    """The leaves, some of them exchanged."""
    others = dict(zip(moving, floating, strict=True))
    return Leaves(*(others.get(i, x) for i, x in enumerate(leaves)))


def _again(rule: RowLoss, leaves: Leaves, left: tuple[Array, ...], bar: Array) -> Array:
    """The gradient in operations that TensorFlow can differentiate itself."""
    wanted = tuple(i == 0 for i in range(len(leaves)))
    return rule.pullback(xp, leaves, left, (bar,), wanted, again=True)[0]
