"""The small language in which cases are declared."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence

from xentropy.parity._case import OPEN, OPERANDS, Array, Case, array
from xentropy.parity._formats import FORMATS, compute_dtype

#: Policy rows, by the name the cases refer to them with; the policy itself is in the documentation.
POLICY = {
    "nothing-kept": "every row ignored, weights sum to 0, or no rows, mean",
    "label-range": "label out of range",
    "ignored-garbage": "ignored row holding NaN or inf logits",
    "zero-times-inf": "0 * (-inf) is 0",
    "target-on-masked": "target on a -inf or masked class",
    "all-minus-inf": "row of all -inf",
    "plus-inf": "one +inf logit, or more",
    "free-mass": "soft targets that do not sum to 1",
    "hard-is-one-hot": "hard label, the same as one-hot, the same smoothed by hand",
    "smoothing": "smoothing over the unmasked classes, then class weights",
    "half": "float16, bfloat16 logits",
    "double": "float64 logits",
    "logits-dtype": "integer or complex logits",
    "shapes": "shapes that do not fit",
    "shift": "shift of all logits by a constant",
    "probabilities": "probabilities as given",
    "option-range": "options outside their range",
    "label-precision": "large labels in low precision",
}

INF, NAN = math.inf, math.nan


class Group:
    """A part of the matrix: calling it declares a case and adds it to `cases`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cases: list[Case] = []

    def __call__(
        self,
        name: str,
        function: str,
        *operands: object,
        dtype: str = "float32",
        labels: str = "int32",
        wrt: tuple[str, ...] | None = None,
        raises: str | None = None,
        says: tuple[str, ...] = (),
        compiled: str = "same",
        policy: str | None = None,
        of: str | None = None,
        along: Mapping[str, object] | None = None,
        **arguments: object,
    ) -> Case:
        """Declare a case; lists among the arguments become arrays, the rest options."""
        names = OPERANDS[function]
        given = dict(zip(names, operands, strict=True)) | arguments
        arrays = {
            k: _array(k, v, names[0], dtype, labels) for k, v in given.items() if _is_array(v)
        }
        options = {k: v for k, v in given.items() if k not in arrays}
        wrt = wrt if wrt is not None else () if raises and compiled == "same" else names[:1]
        directions = {n: _direction(v, arrays[n]) for n, v in (along or {}).items()}
        output = of or ("loss" if function.endswith("score") else None)
        case = Case(
            name=name,
            group=self.name,
            function=function,
            arrays=arrays,
            options=options,
            wrt=wrt,
            raises=raises,
            says=says,
            compiled=compiled,
            policy=policy,
            of=output,
            along=directions,
        )
        self.cases.append(case)
        return case


def _is_array(value: object) -> bool:
    return isinstance(value, list | Array)


def _array(name: str, value: object, first: str, dtype: str, labels: str) -> Array:
    """The argument as an array, in the dtype of its role unless it was declared with its own."""
    given = value if isinstance(value, Array) else array(value)
    if given.dtype != OPEN:
        return given
    return given.cast(dtype if name == first else _companion(name, given, dtype, labels))


def _companion(name: str, given: Array, dtype: str, labels: str) -> str:
    """The dtype of an argument beside operands of `dtype`."""
    if name == "where":
        return "bool"
    if name in ("weight", "bias"):
        return dtype
    if name == "targets" and given.values and all(isinstance(v, int) for v in given.values):
        return labels
    if dtype not in FORMATS:
        return "float32"
    return dtype if name == "targets" else compute_dtype(dtype)


def _direction(value: object, beside: Array) -> Array:
    """A direction in the dtype and shape of the array that moves along it."""
    given = (value if isinstance(value, Array) else array(value)).cast(beside.dtype)
    if given.shape != beside.shape:
        raise ValueError(f"a direction of {given.shape} for an array of {beside.shape}")
    return given


def of(nested: object, dtype: str) -> Array:
    """Nested lists as an array of this dtype."""
    return array(nested).cast(dtype)


def plain(nested: object, dtype: str = "float32") -> Array:
    """Nested lists passed as they are, without a framework."""
    return array(nested, "python").cast(dtype)


def foreign(nested: object, dtype: str = "float32") -> Array:
    """A tensor of another framework than the column's."""
    return array(nested, "foreign").cast(dtype)


def unknown() -> Array:
    """An object that no backend knows."""
    return Array("float32", (), (0.0,), home="unknown")


def filled(value: float, *shape: int) -> Array:
    """An array of one value."""
    return Array(OPEN, shape, (value,) * math.prod(shape))


def normal(seed: int, *shape: int, scale: float = 3.0, shift: float = 0.0) -> Array:
    """Normally distributed logits, the same on every run."""
    draw = random.Random(seed)
    return _generated(lambda: draw.gauss(shift, scale), shape)


def uniform(seed: int, *shape: int) -> Array:
    """Uniform numbers in the open unit interval, away from its ends."""
    draw = random.Random(seed)
    return _generated(lambda: draw.uniform(0.02, 0.98), shape)


def simplex(seed: int, *shape: int) -> Array:
    """Rows of positive numbers along the last axis that sum to 1, up to rounding."""
    raw = uniform(seed, *shape).values
    k = shape[-1]
    sums = [math.fsum(raw[i : i + k]) for i in range(0, len(raw), k)]
    return Array(OPEN, shape, tuple(v / sums[i // k] for i, v in enumerate(raw)))


def integers(seed: int, below: int, *shape: int, dtype: str = "int32") -> Array:
    """Labels drawn from ``range(below)``."""
    draw = random.Random(seed)
    return _generated(lambda: draw.randrange(below), shape).cast(dtype)


def _generated(draw: Callable[[], float], shape: tuple[int, ...]) -> Array:
    return Array(OPEN, shape, tuple(draw() for _ in range(math.prod(shape))))


def one_hot(labels: Sequence[int], classes: int) -> list[list[float]]:
    """Labels as rows of zeros and a one."""
    return [[float(j == label) for j in range(classes)] for label in labels]


def smoothed(labels: Sequence[int], classes: int, share: float) -> list[list[float]]:
    """One-hot rows smoothed by hand."""
    return [[(1 - share) * b + share / classes for b in row] for row in one_hot(labels, classes)]
