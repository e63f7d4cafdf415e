"""What a case is: a call, its arrays and its options, declared once for every column and for the
oracle.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace

from xentropy.parity._formats import FORMATS, quantise

#: The array arguments a function takes by position; the first is the one it is differentiated by.
OPERANDS = {
    "softmax": ("x",),
    "log_softmax": ("x",),
    "logsumexp": ("x",),
    "sigmoid": ("x",),
    "log_sigmoid": ("x",),
    "cross_entropy": ("logits", "targets"),
    "nll_loss": ("log_probs", "targets"),
    "binary_cross_entropy": ("logits", "targets"),
    "entropy": ("logits",),
    "kl_divergence": ("logits", "targets"),
    "focal_loss": ("logits", "targets"),
    "poly_loss": ("logits", "targets"),
    "generalized_cross_entropy": ("logits", "targets"),
    "score": ("logits", "targets"),
    "linear_cross_entropy": ("hidden", "weight", "targets"),
    "linear_score": ("hidden", "weight", "targets"),
}

#: The dtype of an array that has not been given one yet.
OPEN = "open"


@dataclass(frozen=True)
class Array:
    """An array without a framework.

    Parameters
    ----------
    dtype : str
        The dtype's name; every framework spells the ones used here alike.
    shape : tuple of int
        Its dimensions.
    values : tuple
        Its entries in row-major order, exactly representable in `dtype`.
    home : {"column", "python", "foreign", "unknown"}
        Whose object is passed: the column's own tensor, a nested list or scalar, another
        framework's tensor, or an object that no backend knows.
    """

    dtype: str
    shape: tuple[int, ...]
    values: tuple[float, ...]
    home: str = "column"

    def cast(self, dtype: str) -> Array:
        """The same entries rounded to `dtype`."""
        if dtype not in FORMATS:
            whole = bool if dtype == "bool" else _exact
            return replace(self, dtype=dtype, values=tuple(map(whole, self.values)))
        return replace(self, dtype=dtype, values=tuple(quantise(v, dtype) for v in self.values))

    @property
    def fixed(self) -> tuple[float, ...]:
        """The entries, where they are part of the call's text and not a tensor's."""
        return () if self.home == "column" else self.values

    def nested(self) -> object:
        """The entries as nested lists, a bare number for no dimensions."""
        return nest(self.values, self.shape)


def nest(values: tuple[float, ...], shape: tuple[int, ...]) -> object:
    """Fold row-major `values` into lists nested like `shape`."""
    if not shape:
        return values[0]
    step = math.prod(shape[1:])
    return [nest(values[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])]


def array(nested: object, home: str = "column") -> Array:
    """An `Array` from a number or nested lists of numbers, its dtype still open."""
    shape: list[int] = []
    level: list[object] = [nested]
    while level and isinstance(level[0], list):
        shape.append(len(level[0]))
        level = [item for part in level if isinstance(part, list) for item in part]
    return Array(OPEN, tuple(shape), tuple(map(_number, level)), home)


def _number(item: object) -> float:
    if not isinstance(item, int | float):
        raise TypeError(f"an array of a case holds numbers, not {type(item).__name__}")
    return item


def _exact(x: float) -> int:
    """`x` as an integer; a fraction under an integer dtype is a slip."""
    if x != int(x):
        raise ValueError(f"{x} is no integer")
    return int(x)


@dataclass(frozen=True)
class Case:
    """One call, expected to give the same numbers everywhere.

    Parameters
    ----------
    name, group : str
        A unique name, and the part of the matrix it is listed under.
    function : str
        The public function that is called.
    arrays : mapping of str to Array
        Array arguments by name, in call order; the first is the differentiable one.
    options : mapping of str to object
        The other arguments: plain numbers, strings, tuples.
    wrt : tuple of str
        Arguments whose gradients are compared; empty to compare the value alone.
    raises : str or None
        Class of the expected error, by name.
    says : tuple of str
        What the error's message must contain.
    compiled : {"same", "nan"}
        Where values cannot be inspected, as under a compiler: the same error, or numbers with NaN
        among them.
    policy : str or None
        The row of the policy table that the case holds up.
    of : str or None
        Which output is differentiated, where the function has several.
    along : mapping of str to Array
        Directions of array arguments, by name. A case that has them is also differentiated forward:
        its value in the direction, and the gradient by the first operand in the direction.
    """

    name: str
    group: str
    function: str
    arrays: Mapping[str, Array]
    options: Mapping[str, object] = field(default_factory=dict)
    wrt: tuple[str, ...] = ()
    raises: str | None = None
    says: tuple[str, ...] = ()
    compiled: str = "same"
    policy: str | None = None
    of: str | None = None
    along: Mapping[str, Array] = field(default_factory=dict)

    @property
    def first(self) -> Array:
        """The differentiable operand."""
        return next(iter(self.arrays.values()))

    @property
    def dtypes(self) -> frozenset[str]:
        """The dtypes a column must have to compute the case."""
        return frozenset(a.dtype for a in self.arrays.values() if a.home == "column")

    @property
    def derivatives(self) -> tuple[str, ...]:
        """The derivatives in a direction that are compared; softmax sums to 1, which has no second
        one.
        """
        if not self.along:
            return ()
        return ("jvp",) if self.function == "softmax" else ("jvp", "hvp")

    @property
    def program(self) -> Hashable:
        """What a compiler sees of the case: cases that differ in their numbers alone share it."""
        arrays = ((n, a.dtype, a.shape, a.home, a.fixed) for n, a in self.arrays.items())
        options = sorted((n, repr(v)) for n, v in self.options.items())
        return self.function, tuple(arrays), tuple(options), self.wrt, self.of, tuple(self.along)

    def expects_error(self, inspected: bool) -> bool:
        """Whether the case ends in an error, given whether values can be inspected."""
        return self.raises is not None and (inspected or self.compiled == "same")
