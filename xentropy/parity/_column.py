"""A column's process: ``python -m xentropy.parity._column BACKEND MODE OUT.json [GLOB]``.

Computes every case on one backend in one mode: the value, the gradients, their dtypes, or the
error; and beside it what the framework's own function gives, where it has one.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import xentropy as xe
from xentropy.parity._case import OPERANDS, Array, Case
from xentropy.parity._cases import identity, select
from xentropy.parity._stream import Stream
from xentropy.parity.columns import adapter
from xentropy.parity.columns._adapter import Adapter, Call

Cell = dict[str, Any]


class Unknown:
    """An object that no backend knows."""


def main(backend: str, mode: str, out: str, pattern: str = "*") -> None:
    """Compute every selected case and write the column."""
    warnings.simplefilter("ignore")
    framework = adapter(backend, mode)
    with Stream(out, backend=backend, mode=mode) as stream:
        for case in select(pattern):
            stream.cell(identity(case), partial(compute, framework, case, mode))


def compute(framework: Adapter, case: Case, mode: str) -> Cell:
    """One cell: ours, and the framework's own beside it."""
    lacking = framework.lacks(case)
    if lacking:
        return {"skipped": f"no {lacking}"}
    with framework.context(case):
        again = mode == "eager" and not case.raises
        ours = _attempt(framework, case, _call(framework, case), again)
        native = framework.native(case) if mode == "eager" or case.policy else None
        if native is None:
            return ours
        name, function = native
        asked = case if framework.autograd else replace(case, wrt=())
        theirs = _attempt(framework, asked, function, again=False)
        return ours | {"native": {"name": name} | theirs}


def _call(framework: Adapter, case: Case) -> Call:
    """The call of our function with everything but the tensors filled in."""
    held = {n: _plain(framework, a) for n, a in case.arrays.items() if a.home != "column"}
    fixed = {**case.options, **held}
    operands, ours = OPERANDS[case.function], getattr(xe, case.function)

    def call(*, function: Call = ours, **tensors: Any) -> Any:
        given = {**fixed, **tensors}
        positional = [given.pop(n) for n in operands]
        return function(*positional, **given)

    return call


def _plain(framework: Adapter, held: Array) -> Any:
    if held.home == "foreign":
        return framework.foreign(held)
    return Unknown() if held.home == "unknown" else held.nested()


def _attempt(framework: Adapter, case: Case, call: Call, again: bool) -> Cell:
    """Quantities, or the error; `again` computes the value once more with no gradient asked for."""
    try:
        quantities = _quantities(framework, case, call, again)
        return {"quantities": {n: _read(framework, t) for n, t in quantities.items()}}
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the cell holds
        classes, message = framework.describe(error)
        return {"error": {"classes": classes, "message": message[:2000]}}


def _quantities(framework: Adapter, case: Case, call: Call, again: bool) -> Mapping[str, Any]:
    if not case.wrt:
        return {"value": framework.forward(case, call, _tensors(framework, case))}
    value, gradients = framework.differentiate(case, call, _tensors(framework, case))
    quantities = {"value": value, **{f"gradient by {n}": gradients[n] for n in case.wrt}}
    if again:
        quantities["value alone"] = framework.forward(case, call, _tensors(framework, case))
    return quantities


def _tensors(framework: Adapter, case: Case) -> dict[str, Any]:
    return {n: framework.tensor(a) for n, a in case.arrays.items() if a.home == "column"}


def _read(framework: Adapter, tensor: Any) -> Cell | None:
    """A tensor as JSON holds it; None for a gradient that is not connected."""
    if tensor is None:
        return None
    dtype, shape, values = framework.read(tensor)
    return {"dtype": dtype, "shape": list(shape), "values": [v.hex() for v in values]}


if __name__ == "__main__":
    main(*sys.argv[1:])
