"""How xentropy talks to NumPy: its own namespace, ml_dtypes' half types, quiet infinities."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np

from xentropy import _plans, _schedule
from xentropy._backend import Backend, Rule
from xentropy._by_sums import in_blocks, suits
from xentropy._known import Plan
from xentropy._typing import Array, Kind, Namespace
from xentropy_numpy import _mutable

A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")

# The kinds of NumPy's own dtypes; ml_dtypes' types, which isdtype rejects, are known by name.
_KINDS: dict[str, Kind] = {
    "f": "real floating",
    "i": "integral",
    "u": "integral",
    "b": "bool",
    "c": "complex floating",
}
_EXTENSIONS: dict[str, Kind] = {
    "bfloat16": "real floating",
    "int4": "integral",
    "uint4": "integral",
}


class NumPyBackend(Backend):
    """NumPy arrays and scalars; there is no autograd, gradients come from ``value_and_grad``."""

    writes = True

    def refuses(self, cls: type) -> str | None:
        """Masked arrays and matrices mean something else by the same operations."""
        if issubclass(cls, np.ma.MaskedArray):
            return "fill it, or pass its data with where= or sample_weights="
        if issubclass(cls, np.matrix):
            return "pass numpy.asarray of it"
        return None

    def adopt(self, x: Array) -> Array:
        """A scalar becomes an array of no dimensions, a subclass its base, all of native bytes."""
        array = np.asarray(x)
        # NumPy tells dtypes of another byte order from its own: float64 would be no float64.
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))

    def make(self, value: object, like: Array, *, floating: bool) -> Array:
        """Python numbers and lists as an array."""
        return np.asarray(value, dtype=self.compute_dtype(like) if floating else None)

    def kind(self, x: Array) -> Kind:
        """Which kind of numbers an array holds; longer floats would lose their digits."""
        if x.dtype.kind == "f" and x.dtype.itemsize > 8:
            return "other"
        return _KINDS.get(x.dtype.kind) or _EXTENSIONS.get(x.dtype.name, "other")

    def writable(self, x: Array) -> bool:
        """Whether an array is no read-only one."""
        return bool(x.flags.writeable)

    def looks(self, args: tuple[Any, ...]) -> Hashable | None:
        """Of arrays that are of no subclass."""
        for x in args:
            if type(x) is not np.ndarray:
                return None
        return tuple([(x.shape, x.dtype) for x in args])

    def look(self, x: Array) -> tuple[Namespace, Array]:
        """NumPy's values always lie in memory."""
        return np, x

    def plan(self, rule: Rule, leaves: tuple[Array | None, ...]) -> Plan | None:
        """How a rule is evaluated: in blocks of rows if it can be visited in place, else whole."""
        return _plans.plan(np, _mutable) if _schedule.suits(rule, leaves) else None

    def by_rows(self, rule: Rule, leaves: tuple[Array | None, ...]) -> Rule:
        """The rule, with a plan in blocks where rows are made each by itself."""
        return in_blocks(rule, leaves, _plans.plan(np, _mutable)) if suits(rule, leaves) else rule

    def apply(self, rule: Rule, leaves: tuple[Array | None, ...]) -> tuple[Array, ...]:
        """The values, scalars where they have no dimensions, as NumPy's own functions give them."""
        chosen = self.plan(rule, leaves)
        if chosen is not None:
            return (_schedule.loss(chosen, rule, leaves)[()],)
        # The policy says what infinities and NaN give, so NumPy need not warn of them.
        with np.errstate(all="ignore"):
            return tuple(value[()] for value in super().apply(self.by_rows(rule, leaves), leaves))

    def still(self, function: Callable[[Namespace, A, R], T], arrays: A, rule: R) -> T:
        """The policy says what infinities and NaN give here too."""
        with np.errstate(all="ignore"):
            return super().still(function, arrays, rule)

    def value_and_grad(
        self,
        rule: Rule,
        leaves: tuple[Array | None, ...],
        wanted: tuple[bool, ...],
        of: int = 0,
        out: Array | None = None,
    ) -> tuple[tuple[Array, ...], tuple[Any, ...]]:
        """The values, and the gradients of one by the wanted leaves."""
        chosen = self.plan(rule, leaves)
        if chosen is not None and _schedule.moves(rule, wanted):
            into = out if out is None or _apart(out, leaves) else None
            value, found = _schedule.loss_and_gradients(chosen, rule, leaves, wanted, out=into)
            return (value[()],), _plans.written(_mutable, found, out)
        with np.errstate(all="ignore"):
            values, gradients = super().value_and_grad(
                self.by_rows(rule, leaves), leaves, wanted, of
            )
            return tuple(x[()] for x in values), _plans.written(_mutable, gradients, out)


def _apart(out: Array, leaves: tuple[Array | None, ...]) -> bool:
    """Whether what is written block by block touches no entry that is still to be read."""
    return all(x is None or _same(x, out) or not np.may_share_memory(x, out) for x in leaves)


def _same(x: Array, out: Array) -> bool:
    here = (x.ctypes.data, x.shape, x.strides, x.dtype)
    return here == (out.ctypes.data, out.shape, out.strides, out.dtype)


backend = NumPyBackend("numpy", np, np.int64)
