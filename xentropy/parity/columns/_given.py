"""Arrays of any library, by two functions of its user's: one makes them, one reads them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from xentropy import _dispatch
from xentropy._backend import Backend
from xentropy.parity._case import Array, Case
from xentropy.parity.columns._adapter import Result, output
from xentropy.parity.columns._array import entries, numpy_array
from xentropy.parity.columns._numpy import Numpy
from xentropy.parity.columns._twins import Call, Twin

#: Of a function and arrays: its value, and the gradients of its sum.
Differentiate = Callable[..., tuple[Any, Sequence[Any]]]


class Given(Numpy):
    """A library's arrays, differentiated by itself or, without that, by `value_and_grad`."""

    def __init__(
        self,
        array: Callable[[Any], Any],
        to_numpy: Callable[[Any], Any] | None,
        differentiate: Differentiate | None,
        without: Collection[str],
    ) -> None:
        self.array, self.to_numpy = array, to_numpy or np.asarray
        self.gradients, self.without = differentiate, frozenset(without)
        sample = array(np.zeros(1, np.float32))
        self.backend: Backend = _dispatch.backend_of(sample, "array(...)")
        #: Whether the backend looks at labels, so that a bad one is an error and not a NaN.
        self.inspected = self.backend.look(self.backend.adopt(sample)) is not None

    def lacks(self, case: Case) -> str | None:
        """What the library is said to be without; another framework that it does not take."""
        missing = sorted(case.dtypes & self.without)
        if missing:
            return missing[0]
        mixes = any(a.home == "foreign" for a in case.arrays.values())
        if mixes and self.backend.takes(np.zeros(1)):
            return "framework whose arrays are refused"
        return super().lacks(case)

    def tensor(self, held: Array) -> Any:
        """An array of the library."""
        return self.array(numpy_array(held))

    def foreign(self, held: Array) -> Any:
        """A NumPy array, and for NumPy's own a strict one."""
        own = _dispatch.backend_of(np.zeros(1), "x") is self.backend
        return super().foreign(held) if own else numpy_array(held)

    def differentiate(self, case: Case, call: Call) -> Call:
        """The library's own gradients, where there are some."""
        gradients = self.gradients
        if gradients is None:
            return super().differentiate(case, call)

        def run(**tensors: Any) -> Result:
            def moved(*moving: Any) -> Any:
                return output(case, call(**{**tensors, **dict(zip(case.wrt, moving, strict=True))}))

            value, found = gradients(moved, *(tensors[n] for n in case.wrt))
            if case.of:
                value = call(**tensors)._replace(**{case.of: value})
            return value, dict(zip(case.wrt, found, strict=True))

        return run

    def read(self, tensor: Any) -> tuple[str, tuple[int, ...], list[float]]:
        """An array of the library, or of whatever its backend gives back."""
        plain = np.asarray(self.to_numpy(tensor))
        return str(plain.dtype), tuple(plain.shape), entries(plain)

    def native(self, case: Case) -> Twin | None:
        """The library's own functions are nobody's concern here."""
        return None
