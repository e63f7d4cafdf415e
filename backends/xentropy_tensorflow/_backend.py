"""How xentropy talks to TensorFlow: a small namespace, and rules as custom gradients."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

import numpy as np
import tensorflow as tf

from xentropy import _schedule
from xentropy._backend import Backend, Rule
from xentropy._linear import Head, LinearLoss
from xentropy._linear_plans import MOVING
from xentropy._typing import Array, Kind, Namespace
from xentropy_tensorflow import _eager, _graph, _graph_head
from xentropy_tensorflow import _namespace as xp
from xentropy_tensorflow._memory import on_host, view
from xentropy_tensorflow._tapes import watched

A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")


class TensorFlowBackend(Backend):
    """Dense TensorFlow tensors and variables, eager or in a graph, XLA included."""

    def refuses(self, cls: type) -> str | None:
        """Tensors that are not dense."""
        if issubclass(cls, tf.RaggedTensor):
            return "pass ragged.to_tensor() and mask the padding with sample_weights="
        if issubclass(cls, tf.SparseTensor):
            return "pass tf.sparse.to_dense of it"
        return None

    def adopt(self, x: Array) -> Array:
        """A variable becomes its value; the tape still sees the variable."""
        # Eagerly a tensor stays as it is, which TensorFlow takes long to say; a graph takes it in.
        if not (isinstance(x, tf.Tensor) and tf.executing_eagerly()):
            x = tf.convert_to_tensor(x)
        if x.shape.rank is None:
            raise ValueError("a tensor of unknown rank is not supported: set its shape's rank")
        return x

    def make(self, value: object, like: Array, *, floating: bool) -> Array:
        """Python numbers and lists as a tensor."""
        return tf.convert_to_tensor(value, dtype=self.compute_dtype(like) if floating else None)

    def kind(self, x: Array) -> Kind:
        """Which kind of numbers a tensor holds."""
        dtype = x.dtype
        if dtype.is_floating:
            return "real floating"
        if dtype.is_integer:
            return "integral"
        if dtype.is_complex:
            return "complex floating"
        return "bool" if dtype.is_bool else "other"

    def shape(self, x: Array) -> tuple[int | None, ...]:
        """The static shape."""
        return tuple(x.shape.as_list())

    def still(self, function: Callable[[Namespace, A, R], T], arrays: A, rule: R) -> T:
        """What no tape sees."""
        constants = tf.nest.map_structure(
            lambda x: tf.stop_gradient(x) if tf.is_tensor(x) else x, arrays
        )
        return super().still(function, constants, rule)

    def unrolls(self) -> bool:
        """In a graph."""
        return not tf.executing_eagerly()

    def looks(self, args: tuple[Any, ...]) -> Hashable | None:
        """Of eager tensors; a variable becomes one first."""
        if not tf.executing_eagerly():
            return None
        for x in args:
            if not isinstance(x, tf.Tensor):
                return None
        return tuple([(x.shape, x.dtype) for x in args])

    def look(self, x: Array) -> tuple[Namespace, Array] | None:
        """An eager tensor on the host, seen as NumPy: inside a graph even constants are traced."""
        return (np, view(x)) if on_host(x) else None

    def apply(self, rule: Rule, leaves: tuple[Array | None, ...]) -> tuple[Array, ...]:
        """The values, with a gradient of their own attached for every floating leaf."""
        if _graph_head.suits(rule, leaves):
            return (_of_head(cast("LinearLoss", rule), Head(*leaves)),)
        chosen = plan(rule, leaves)
        if isinstance(chosen, _eager.Visit):
            return (_eager.loss(chosen, rule, leaves),)
        # In a graph, forward mode sees through a custom gradient to the operations inside.
        still = leaves
        if tf.executing_eagerly():
            still = tuple(None if leaf is None else tf.stop_gradient(leaf) for leaf in leaves)
        if chosen is None:
            values, residuals = _eager.observed(rule, leaves) or rule.forward(xp, still)
            if tf.executing_eagerly() and not watched(*leaves):
                return values
        else:
            value, residuals = _graph.observe(chosen, leaves)
            values = (value,)
        constants = tuple(tf.stop_gradient(residual) for residual in residuals)
        floating = results = list(values[: len(rule.outputs)])
        for index, (name, leaf) in enumerate(zip(rule.names, leaves, strict=True)):
            if leaf is not None and leaf.dtype.is_floating and name not in rule.constant:
                # The first leaf carries the values themselves, the others add a zero to them.
                carried = floating if index == 0 else [tf.zeros_like(value) for value in floating]
                parts = [
                    _attach(rule, chosen, leaves, constants, index, place, value)
                    for place, value in enumerate(carried)
                ]
                both = zip(results, parts, strict=True)
                results = parts if index == 0 else [a + b for a, b in both]
        return *results, *values[len(results) :]

    def value_and_grad(
        self,
        rule: Rule,
        leaves: tuple[Array | None, ...],
        wanted: tuple[bool, ...],
        of: int = 0,
    ) -> tuple[tuple[Array, ...], tuple[Array | None, ...]]:
        """The values, and the gradients of one by the wanted leaves."""
        outside = not _schedule.moves(rule, wanted) or watched(*leaves)
        chosen = None if outside else plan(rule, leaves)
        if not isinstance(chosen, _eager.Visit):
            rows = _eager.rows_and_gradients(rule, leaves, wanted, of)
            return super().value_and_grad(rule, leaves, wanted, of) if rows is None else rows
        value, gradients = _eager.loss_and_gradients(chosen, leaves, wanted)
        return (value,), gradients


def plan(rule: Rule, leaves: tuple[Array | None, ...]) -> _eager.Visit | _graph.Form | None:
    """How a rule is evaluated, in general unless there is a plan.

    Losses of logits are visited in blocks of rows where tensors are eager and in a CPU's memory,
    and become a few operations, compiled where that pays, in a graph.
    """
    if tf.executing_eagerly():
        return _eager.plan(rule, leaves)
    return _graph.plan(rule, leaves)


def _of_head(rule: LinearLoss, leaves: Head) -> Array:
    """The loss of a head in a graph; gradients that are no part of the visit are general."""
    value = _graph_head.loss(rule, leaves)
    for index, (name, leaf) in enumerate(zip(rule.names, leaves, strict=True)):
        still = name in (*MOVING, *rule.constant)
        if leaf is not None and leaf.dtype.is_floating and not still:
            value += _attach(rule, None, leaves, None, index, 0, tf.zeros_like(value))
    return value


def _attach(
    rule: Rule,
    chosen: _graph.Form | None,
    leaves: tuple[Array | None, ...],
    residuals: tuple[Array, ...] | None,
    index: int,
    place: int,
    value: Array,
) -> Array:
    """A value that no tape knows, the one at ``place``, now with the gradient of one leaf.

    One leaf and one value at a time, so that a tape which does not watch a leaf, or a loss that
    does not use a value, never asks for its gradient.
    """
    wanted = tuple(i == index for i in range(len(leaves)))

    @tf.custom_gradient
    def attached(_: Array) -> tuple[Array, Any]:
        def pull(bar: Array) -> Array:
            left = rule.forward(xp, leaves)[1] if residuals is None else residuals
            if index == 0 and chosen is not None:
                return _graph.gradient(chosen, leaves, left, bar)
            bars = tuple(bar if i == place else None for i in range(len(rule.outputs)))
            found = _eager.pulled(rule, leaves, left, bars, wanted) if index == 0 else None
            if found is not None:
                return found
            return rule.pullback(xp, leaves, left, bars, wanted, again=True)[index]

        return tf.identity(value), pull

    return attached(leaves[index])


backend = TensorFlowBackend("tensorflow", xp, tf.int64)
