"""The border: arrays and options of a public call are checked here, once, and passed on."""

from __future__ import annotations

import math
import numbers
import operator
import reprlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from xentropy import _errors, _labels
from xentropy._backend import Backend
from xentropy._dispatch import backend_of
from xentropy._typing import Array, Normalizer, Reduction

if TYPE_CHECKING:
    from xentropy._shards import Group

Shape = tuple[int | None, ...]

# Asked for at every call, so they are looked up once.
_NORMALIZERS = get_args(Normalizer)
_REDUCTIONS = get_args(Reduction)
_PYTHON = (numbers.Number, list, tuple)


class _Short:
    """A value that shows itself in short."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __repr__(self) -> str:
        return reprlib.repr(self.value)


class Inputs:
    """The arrays of one call: the first decides the backend, the others must fit it."""

    def __init__(self, x: Array, name: str, group: Any = None) -> None:
        self.backend: Backend = backend_of(x, name)
        self.group: Group | None = None if group is None else self.backend.group(group)
        self.xp = self.backend.xp
        self.name = name
        self.type = type(x)
        self.x = self.backend.adopt(x)
        if self.backend.kind(self.x) != "real floating":
            raise _errors.dtype(name, "real floating", self.x.dtype)
        self.shape: Shape = self.backend.shape(self.x)
        self.dtype = self.backend.compute_dtype(self.x)

    def array(self, value: Any, name: str, *, floating: bool = True) -> Array:
        """Another array of the same framework and device, or Python numbers made into one."""
        if type(value) is not self.type:  # the backend is found by the type, and most have one
            if isinstance(value, _PYTHON):
                return self._made(value, name, floating=floating)
            self._of_one_framework(value, name)
        array = self.backend.adopt(value)
        here, there = self.backend.device(self.x), self.backend.device(array)
        if here != there:
            raise ValueError(f"{name} is on device {there}, but {self.name} is on {here}")
        return array

    def _of_one_framework(self, value: Any, name: str) -> None:
        other = backend_of(value, name)
        if other is not self.backend and not self.backend.takes(value):
            raise TypeError(
                f"{name} is an array of {other.name}, but {self.name} is one of "
                f"{self.backend.name}: all arrays of a call must be of one framework"
            )

    def _made(self, value: Any, name: str, *, floating: bool) -> Array:
        """Python numbers as an array; what a framework says of others does not name them."""
        try:
            return self.backend.make(value, self.x, floating=floating)
        except (TypeError, ValueError, OverflowError, RuntimeError) as error:
            rule = "an array, a number, or lists of numbers of equal lengths"
            raise _errors.option(name, rule, _Short(value)) from error

    def weights(self, value: Any, name: str) -> Array:
        """An array of real numbers, integers and flags included."""
        array = self.array(value, name)
        if self.backend.kind(array) in ("complex floating", "other"):
            raise _errors.dtype(name, "real", array.dtype)
        return array

    def axis(self, axis: Any, name: str = "axis") -> int:
        """An axis of the first array, counted from the front, with at least one entry."""
        try:
            number = operator.index(axis)
        except TypeError:
            raise _errors.option(name, "an integer", axis) from None
        ndim = len(self.shape)
        if not -ndim <= number < ndim:
            rule = f"an axis of {self.name} of shape {_errors.show(self.shape)}"
            raise _errors.option(name, rule, axis)
        number %= ndim
        if self.shape[number] == 0:
            raise ValueError(
                f"{self.name} has shape {_errors.show(self.shape)}: "
                f"there must be at least one class along axis {axis}"
            )
        return number

    def rows(self, axis: int) -> Shape:
        """The shape without the class axis."""
        return self.shape[:axis] + self.shape[axis + 1 :]

    def fit(self, array: Array, shape: Shape, name: str, rule: str) -> Array:
        """The array, if it has exactly this shape; unknown lengths fit any."""
        if not same_shape(self.backend.shape(array), shape):
            found = self.backend.shape(array)
            raise _errors.shapes(name, found, rule, self.name, self.shape)
        return array

    def mask(self, where: Any, axis: int | None) -> Array | None:
        """A mask of classes: of the full shape, broadcast by ones, or one entry per class."""
        if where is None:
            return None
        mask = self.array(where, "where", floating=False)
        if self.backend.kind(mask) != "bool":
            raise _errors.dtype("where", "boolean", mask.dtype)
        return self.broadcast(mask, axis, "where")

    def broadcast(self, array: Array, axis: int | None, name: str) -> Array:
        """An array that spreads over the first one without a surprise."""
        shape = self.backend.shape(array)
        full = [n if n == 1 else m for n, m in zip(shape, self.shape, strict=False)]
        if len(shape) == len(self.shape) and same_shape(shape, tuple(full)):
            return array
        if axis is not None and same_shape(shape, (self.shape[axis],)):
            return array
        rule = "it must have that shape, lengths of 1 in it, or one entry for every class"
        raise _errors.shapes(name, shape, rule, self.name, self.shape)

    def class_weights(self, value: Any, axis: int) -> Array | None:
        """One weight for every class."""
        if value is None:
            return None
        array = self.weights(value, "class_weights")
        return self.fit(array, (self.shape[axis],), "class_weights", "one weight for every class")

    def sample_weights(self, value: Any, shape: Shape) -> Array | None:
        """One weight for every row (of an elementwise loss: for every element)."""
        if value is None:
            return None
        array = self.weights(value, "sample_weights")
        return self.fit(array, shape, "sample_weights", "one weight for every row or element")

    def row_weights(self, value: Any, axis: int | None, over: Any, number: Array) -> Array | None:
        """`sample_weights` of rows, 0 where ``over``, as an array ``number``, is a normalizer of 0.

        What a mean over nothing is of has no say in it, NaN neither, where that can be looked at.
        """
        weights = self.sample_weights(value, self.shape if axis is None else self.rows(axis))
        if number is None or not self._is_zero(over, number):
            return weights
        if weights is None:
            zeros = self.xp.zeros_like(self.x)
            return zeros if axis is None else self.xp.sum(zeros, axis=axis)
        # Not other zeros in their place: the gradient by the weights is 0, rather than none.
        return self.xp.where(number == 0, self.xp.zeros_like(weights), weights)

    def _is_zero(self, value: Any, array: Array) -> bool:
        """Whether a number is known to be 0: Python's is, even while its array is traced."""
        if isinstance(value, numbers.Real):
            return _plain(value) == 0
        seen = self.backend.look(array)
        return seen is not None and bool(seen[1] == 0)

    def distribution(self, value: Any, targets_are: str) -> Array:
        """Targets of the first array's shape; only probabilities may be integers or flags."""
        array = self.weights(value, "targets")
        self.fit(array, self.shape, "targets", "both must have the same shape")
        if targets_are != "probabilities" and self.backend.kind(array) != "real floating":
            raise _errors.dtype("targets", f"floating where they are {targets_are}", array.dtype)
        return array

    def normalizer(self, value: Any, reduction: str) -> tuple[Normalizer, Array | None]:
        """The name of the normalizer, and its value where it is given as a number."""
        if isinstance(value, str):
            named = choice("normalizer", value, _NORMALIZERS)
            if reduction != "mean" and value != "weights":
                raise _errors.option("normalizer", "left out unless reduction is 'mean'", value)
            return named, None
        if reduction != "mean":
            raise _errors.option("normalizer", "left out unless reduction is 'mean'", value)
        if isinstance(value, numbers.Real) and not 0 <= _plain(value) < math.inf:
            raise _errors.option("normalizer", "a finite number of at least 0", value)
        array = self.weights(value, "normalizer")
        return "weights", self.fit(array, (), "normalizer", "it must be a single number")

    def targets(self, value: Any, axis: int, ignore_index: int | None) -> tuple[Array, bool]:
        """The targets, and whether they are labels; labels that can be seen are checked."""
        targets = self.array(value, "targets", floating=False)
        shape, kind = self.backend.shape(targets), self.backend.kind(targets)
        if len(shape) == len(self.shape) and same_shape(shape, self.shape):
            self._probabilities(targets, kind, ignore_index)
            return targets, False
        rule = "labels have its shape without the class axis, probabilities the same shape"
        self.fit(targets, self.rows(axis), "targets", rule)
        if kind != "integral":
            rule = f"integer labels, or probabilities of shape {_errors.show(self.shape)}"
            raise _errors.dtype("targets", rule, targets.dtype)
        count = self.shape[axis]
        # Of some of the classes nobody knows yet how many there are.
        if count is not None and self.group is None:
            self.check_labels(targets, count, ignore_index, value)
        return targets, True

    def _probabilities(self, targets: Array, kind: str, ignore_index: int | None) -> None:
        if kind in ("complex floating", "other"):
            raise _errors.dtype("targets", "real", targets.dtype)
        if ignore_index is not None:
            raise _errors.option(
                "ignore_index", "None where targets are probabilities", ignore_index
            )

    def check_labels(self, labels: Array, count: int, ignore_index: int | None, given: Any) -> None:
        """Raise an IndexError for the first label that is no class and is not ignored."""
        _labels.check_labels(self.backend, labels, count, ignore_index, given)

    def not_negative(self, array: Array, name: str) -> None:
        """Raise a ValueError for the first factor below 0 that can be looked at."""
        seen = self.backend.look(array)
        if seen is None:
            return
        xp, values = seen
        place = _labels.first(xp, values < 0)
        if place is not None:
            raise _errors.entry(name, place, float(values[place]), "at least 0")


def same_shape(found: Shape, wanted: Shape) -> bool:
    """Whether two shapes agree wherever both are known."""
    # Nearly all agree throughout, and tuples tell that by themselves.
    if found == wanted:
        return True
    return len(found) == len(wanted) and all(
        n is None or m is None or n == m for n, m in zip(found, wanted, strict=True)
    )


def known(function: str, options: Mapping[str, Any], names: Any) -> None:
    """Options that are passed on must be among the names of a TypedDict."""
    for name in options:
        if name not in names.__optional_keys__:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")


def choice(name: str, value: Any, choices: Sequence[str]) -> Any:
    """An option that must be one of its choices."""
    if not isinstance(value, str) or value not in choices:
        raise _errors.one_of(name, choices, value)
    return value


def reduction(value: Any) -> Reduction:
    """A reduction."""
    found: Reduction = choice("reduction", value, _REDUCTIONS)
    return found


def number(name: str, value: Any, rule: str, low: float, high: float, *, open_: bool) -> float:
    """A real option between two bounds, the lower one excluded where it is open."""
    plain: float = value
    if type(value) is not float:  # most are one, but any real number will do
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise _errors.option(name, rule, value)
        plain = _plain(value)
    if not (low < plain <= high if open_ else low <= plain <= high):
        raise _errors.option(name, rule, value)
    return plain


def _plain(value: Any) -> float:
    """A float; what no float can hold is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def flag(name: str, value: Any) -> bool:
    """True or False, those of NumPy included."""
    if isinstance(value, bool):
        return value
    if getattr(value, "shape", None) != () or str(getattr(value, "dtype", "")) != "bool":
        raise _errors.option(name, "True or False", value)
    return bool(value)


def fraction(name: str, value: Any) -> float:
    """A number in [0, 1]."""
    return number(name, value, "a number in [0, 1]", 0.0, 1.0, open_=False)


def positive(name: str, value: Any) -> float:
    """A finite number above 0."""
    return number(name, value, "a finite number above 0", 0.0, 1.7976931348623157e308, open_=True)


def at_least_zero(name: str, value: Any) -> float:
    """A finite number of at least 0."""
    rule = "a finite number of at least 0"
    return number(name, value, rule, 0.0, 1.7976931348623157e308, open_=False)


def integer_or_none(name: str, value: Any) -> int | None:
    """An integer, or None."""
    if value is None:
        return None
    try:
        return operator.index(value)
    except TypeError:
        raise _errors.option(name, "an integer or None", value) from None
