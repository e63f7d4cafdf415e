"""Derivatives in a direction, by differences of a definition's own value and gradient.

No formula is differentiated: at hundreds of digits a central difference is the derivative to more
places than any format has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from mpmath import mp, mpf

from xentropy.parity._case import Case
from xentropy.parity._grid import rows
from xentropy.parity.exact._curves import Focal, curve
from xentropy.parity.exact._given import Given, pick
from xentropy.parity.exact._number import ZERO, Exact, Tensor, depth
from xentropy.parity.exact._softmax import distance, top_of

#: The exponent of the step, and the digits that two differences of it take, one within the other.
PLACES = 30
SPARE = 5 * PLACES
#: Epsilons that an exponential, and what it is multiplied by, are off by whatever its argument.
ROUNDED = 2

#: Steps of single entries, by array and place.
Steps = Mapping[tuple[str, int], mpf]


class Definition(Protocol):
    """A function of a case, from its definition."""

    def value(self) -> Tensor:
        """The value."""
        ...

    def gradient(self, name: str, /) -> Tensor:
        """The gradient by an argument."""
        ...


def derivatives(case: Case, define: Callable[[Case], Definition]) -> dict[str, Tensor]:
    """The value's derivative in the case's direction, and the gradient's by the first operand."""
    first = next(iter(case.arrays))
    of = {
        "jvp": Difference(case, lambda moved: define(moved).value()),
        "hvp": Difference(case, lambda moved: define(moved).gradient(first)),
    }
    return {name: of[name].tensor() for name in case.derivatives}


@dataclass(frozen=True)
class Difference:
    """The derivative of a tensor of a case in the direction that the case has."""

    case: Case
    compute: Callable[[Case], Tensor]

    def tensor(self) -> Tensor:
        """The derivatives, relative to the sum of the magnitudes of what every entry of the
        direction adds.
        """
        parts = [self._along({key: v}) for key, v in self._direction().items()]
        shaken = [self._shaken(key, amount) for key, amount in _shaken(self.case)]
        like = self.compute(self.case)
        numbers = [self._number(i, parts, shaken) for i in range(len(like.numbers))]
        return replace(like, numbers=numbers)

    def _number(self, i: int, parts: list[list[mpf]], shaken: list[list[mpf]]) -> Exact:
        scale = mp.fsum(abs(part[i]) for part in parts)
        slack = mp.fsum(part[i] for part in shaken)
        units = depth(len(parts)) + _rounded(self.case)
        return Exact(mp.fsum(part[i] for part in parts), scale, slack).looser(units)

    def _direction(self) -> dict[tuple[str, int], mpf]:
        """The entries that move."""
        return {
            (name, place): mpf(v)
            for name, held in self.case.along.items()
            for place, v in enumerate(held.values)
            if v
        }

    def _along(self, direction: Steps, base: Steps | None = None) -> list[mpf]:
        """A central difference; between infinities there is none, and nothing moves."""
        step = mpf(10) ** -PLACES
        up, down = (self._at(direction, sign * step, base or {}) for sign in (1, -1))
        pairs = zip(up, down, strict=True)
        return [ZERO if a == b else (a - b) / (2 * step) for a, b in pairs]

    def _at(self, direction: Steps, size: mpf, base: Steps) -> list[mpf]:
        steps = dict(base)
        for key, v in direction.items():
            steps[key] = steps.get(key, ZERO) + size * v
        return [n.value for n in self.compute(moved(self.case, steps)).numbers]

    def _shaken(self, key: tuple[str, int], amount: mpf) -> list[mpf]:
        """What an error of one entry moves the derivatives by."""
        step, direction = mpf(10) ** -PLACES, self._direction()
        up, down = (self._along(direction, {key: sign * step}) for sign in (1, -1))
        pairs = zip(up, down, strict=True)
        return [abs(a - b) / (2 * step) * amount for a, b in pairs]


def moved(case: Case, steps: Steps) -> Case:
    """The case with some entries elsewhere."""
    arrays = dict(case.arrays)
    for (name, place), step in steps.items():
        values = list(arrays[name].values)
        values[place] = mpf(values[place]) + step
        arrays[name] = replace(arrays[name], values=tuple(values))
    return replace(case, arrays=arrays)


def _shaken(case: Case) -> Iterator[tuple[tuple[str, int], mpf]]:
    """Epsilons that a computation may have every logit off by: its distance to the largest one of
    its row, which is rounded before it is exponentiated, and the exponential's own.
    """
    if case.function in ("nll_loss", "sigmoid", "log_sigmoid"):
        return
    names = [next(iter(case.arrays))]
    if case.options.get("targets_are") == "logits":
        names.append("targets")
    for name in names:
        yield from (((name, place), amount) for place, amount in _distances(case, name))


def _distances(case: Case, name: str) -> Iterator[tuple[int, mpf]]:
    given = Given(case)
    values = given.flat(name)
    if case.function == "binary_cross_entropy" or case.options.get("form") == "sigmoid":
        yield from ((place, mpf(ROUNDED)) for place in range(len(values)))
        return
    scaled = 1 if given.number("temperature", 1.0) == 1 else 2
    kept = given.mask()
    axis = given.option("axis", -1)
    axes = tuple(range(len(given.shape))) if axis is None else axis
    for row in rows(given.shape, (axes,) if isinstance(axes, int) else axes):
        places = [i for i in row if kept[i]]
        top = top_of(pick(values, places))
        apart = _apart(case, values, places) if name == "targets" else {}
        for i in places:
            yield i, scaled * (distance(values[i], top) + apart.get(i, ZERO)) + ROUNDED


def _apart(case: Case, values: list[mpf], places: list[int]) -> dict[int, mpf]:
    """How far logits as targets lie from the logits: their difference is rounded too."""
    logits = Given(case).flat("logits")
    return {i: abs(distance(values[i], logits[i])) for i in places}


def _rounded(case: Case) -> mpf:
    """Units of the focal loss' power."""
    bent = curve(Given(case))
    return bent.rounded if isinstance(bent, Focal) else ZERO
