"""The rule of a value times a power, where what is raised to it is known by its logarithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from xentropy._stats import times
from xentropy._typing import Array, DType, Namespace


class Leaves(NamedTuple):
    """The arrays that the rule takes, all of one shape."""

    value: Array
    log_factor: Array
    power: Array


@dataclass(frozen=True)
class Faded:
    """value * exp(power * log_factor) of every entry, where 0 * inf = 0 in both products."""

    dtype: DType

    names = Leaves._fields
    constant = ()
    outputs = ("value",)
    others = ()

    def forward(
        self, xp: Namespace, leaves: tuple[Array | None, ...], *, again: bool = False
    ) -> tuple[tuple[Array], tuple[()]]:
        """The weighted values."""
        given = self._read(xp, leaves)
        return (times(xp, self._weight(xp, given), given.value),), ()

    def pullback(
        self,
        xp: Namespace,
        leaves: tuple[Array | None, ...],
        residuals: tuple[Array, ...],
        bars: tuple[Array | None, ...],
        wanted: tuple[bool, ...],
        *,
        again: bool = False,
    ) -> tuple[Array | None, ...]:
        """The gradients: the weight by the value, and what it weighs by the exponent's factors."""
        given, want = self._read(xp, leaves), Leaves(*wanted)
        weight = self._weight(xp, given)
        faded = times(xp, weight, given.value)
        by_value = bars[0] * weight if want.value else None
        # What an infinite value is weighed by has stopped to move: its slope is 0, and so is this.
        settled = xp.where(xp.isinf(faded), xp.zeros_like(faded), faded)
        by_log = bars[0] * times(xp, given.power, settled) if want.log_factor else None
        by_power = bars[0] * times(xp, faded, given.log_factor) if want.power else None
        gradients = zip(Leaves(*leaves), (by_value, by_log, by_power), strict=True)
        return Leaves(*(None if g is None else xp.astype(g, x.dtype) for x, g in gradients))

    def _read(self, xp: Namespace, leaves: tuple[Array | None, ...]) -> Leaves:
        return Leaves(*(xp.astype(leaf, self.dtype) for leaf in leaves))

    def _weight(self, xp: Namespace, given: Leaves) -> Array:
        return xp.exp(times(xp, given.power, given.log_factor))
