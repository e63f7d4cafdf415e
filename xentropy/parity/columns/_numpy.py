"""NumPy, whose gradients come from `xentropy.value_and_grad`; beside it SciPy's functions."""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib.util import find_spec
from typing import Any

import xentropy as xe
from xentropy.parity._case import Array, Case
from xentropy.parity.columns._adapter import Result, described
from xentropy.parity.columns._array import entries, numpy_array
from xentropy.parity.columns._twins import Call, Twin


class Numpy:
    """NumPy's arrays."""

    autograd = False

    def context(self, case: Case) -> AbstractContextManager[Any]:
        """NumPy's warnings about infinities are not the matrix's concern."""
        import numpy as np

        return np.errstate(all="ignore")

    def lacks(self, case: Case) -> str | None:
        """bfloat16 where ml_dtypes is missing; another framework to mix with."""
        if "bfloat16" in case.dtypes and find_spec("ml_dtypes") is None:
            return "bfloat16 (ml_dtypes is not installed)"
        mixes = any(a.home == "foreign" for a in case.arrays.values())
        if mixes and find_spec("array_api_strict") is None:
            return "another framework to mix with"
        return None

    def tensor(self, held: Array) -> Any:
        """A NumPy array."""
        return numpy_array(held)

    def foreign(self, held: Array) -> Any:
        """An array of array-api-strict."""
        import array_api_strict

        return array_api_strict.asarray(numpy_array(held))

    def start(self) -> None:
        """Nothing is compiled."""

    def forward(self, case: Case, call: Call) -> Call:
        """The call itself."""
        return call

    def differentiate(self, case: Case, call: Call) -> Call:
        """The call of `value_and_grad`."""
        several = {"of": case.of} if case.of else {}
        both = xe.value_and_grad(getattr(xe, case.function), wrt=case.wrt, **several)

        def run(**tensors: Any) -> Result:
            value, gradients = call(**tensors, function=both)
            return value, dict(zip(case.wrt, gradients, strict=True))

        return run

    def derivatives(self, case: Case, call: Call) -> Call:
        """None."""
        return lambda _tensors, _directions: {}

    def read(self, tensor: Any) -> tuple[str, tuple[int, ...], list[float]]:
        """A NumPy array or scalar."""
        return str(tensor.dtype), tuple(tensor.shape), entries(tensor)

    def describe(self, error: Exception) -> tuple[list[str], str]:
        """The error as it is."""
        return described(error)

    def native(self, case: Case) -> Twin | None:
        """SciPy's function."""
        if find_spec("scipy") is None:
            return None
        from xentropy.parity.columns._scipy import twin

        return twin(case)


def make(_compiled: bool) -> Numpy:
    """The adapter; NumPy has no compiler."""
    return Numpy()
