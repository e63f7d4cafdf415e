"""A column's process: ``python -m xentropy.parity._column BACKEND MODE EVERY OUT.json [GLOB]``.

Computes every case on one backend in one mode: the value, the gradients, their dtypes, or the
error; and beside it what the framework's own function gives, where it has one. Of programs that a
compiler has to make it makes one in EVERY.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from importlib import import_module
from typing import Any

import xentropy as xe
from xentropy.parity._case import OPERANDS, Array, Case
from xentropy.parity._cases import identity, select
from xentropy.parity._stream import Stream
from xentropy.parity.columns import adapter, compiles, drop_in
from xentropy.parity.columns._adapter import Adapter, Together
from xentropy.parity.columns._twins import Call, Twin

Cell = dict[str, Any]


class Unknown:
    """An object that no backend knows."""


def main(backend: str, mode: str, every: str, out: str, pattern: str = "*") -> None:
    """Compute every selected case and write the column."""
    warnings.simplefilter("ignore")
    framework, column = adapter(backend, mode), f"{backend} {mode}"
    share = int(every) if compiles(column) else 1
    with Stream(out, backend=backend, mode=mode) as stream:
        for number, cases in enumerate(programs(select(pattern))):
            place = None if number % share else bench(framework, cases[0], column)
            for case in cases:
                compute = partial(place.compute, case) if place else partial(left_out, share)
                stream.cell(identity(case), compute)


def left_out(share: int) -> Cell:
    """No numbers of a program that is not compiled, and why."""
    return {"skipped": f"one program in {share} is compiled"}


def programs(cases: Iterable[Case]) -> Iterable[list[Case]]:
    """The cases, those that share a program together: it is compiled once for all of them."""
    shared: dict[Hashable, list[Case]] = {}
    for case in cases:
        shared.setdefault(case.program, []).append(case)
    return shared.values()


def bench(framework: Adapter | Together, case: Case, column: str) -> Bench | Shared:
    """Where the cases of one program are computed in a column."""
    if isinstance(framework, Together):
        return Shared(framework)
    return (DropIns if drop_in(column) else Bench)(framework, case, column)


def computed(framework: Adapter, case: Case) -> Cell:
    """A cell of ours alone."""
    return Program(framework, case, _call(framework, case)).attempt(case, again=not case.raises)


class Bench:
    """Where the cases of one program are computed, ours and the framework's own."""

    def __init__(self, framework: Adapter, case: Case, column: str) -> None:
        self.framework, self.case, self.column = framework, case, column
        framework.start()

    @cached_property
    def ours(self) -> Program | None:
        """Our function's program."""
        return Program(self.framework, self.case, _call(self.framework, self.case))

    @cached_property
    def twin(self) -> Twin | None:
        """The framework's own function."""
        return self.framework.native(self.case)

    @cached_property
    def asked(self) -> Case:
        """What can be asked of the framework's own function."""
        return replace(self.case, along={}, wrt=self.case.wrt if self.framework.autograd else ())

    @cached_property
    def native(self) -> Program | None:
        """The program of the framework's own function."""
        return self.twin and Program(self.framework, self.asked, self.twin.own())

    @property
    def beside(self) -> bool:
        """Whether the framework's own function is computed too; compiled, only for a policy."""
        return not self.traced or bool(self.case.policy)

    @property
    def traced(self) -> bool:
        """Whether programs are compiled, which takes time."""
        return self.column.endswith((" compiled", " sharded"))

    def compute(self, case: Case) -> Cell:
        """One cell."""
        lacking = self.framework.lacks(case)
        if lacking or self.ours is None:
            return {"skipped": f"no {lacking or 'function of the framework for it'}"}
        again = not self.traced and not case.raises
        with self.framework.context(case):
            cell = self.ours.attempt(case, again=again)
            if self.native is None or self.twin is None or not self.beside:
                return cell
            theirs = self.native.attempt(case, again=False)
            return cell | {"native": {"name": self.twin.name} | theirs}


class Shared:
    """The same of processes that hold slices: they compute it among themselves."""

    def __init__(self, framework: Together) -> None:
        self.framework = framework
        framework.start()

    def compute(self, case: Case) -> Cell:
        """One cell."""
        lacking = self.framework.lacks(case)
        return {"skipped": f"no {lacking}"} if lacking else self.framework.cell(case)


class DropIns(Bench):
    """The same of a drop-in: the framework's own function is called, by our import."""

    def compute(self, case: Case) -> Cell:
        """One cell; that of a case about slices is measured where there are some."""
        if case.group == "sharded":
            return {"skipped": "no drop-in takes slices of the classes"}
        return super().compute(case)

    @cached_property
    def ours(self) -> Program | None:
        """The drop-in's program, where there is one."""
        package = import_module(f"xentropy_{drop_in(self.column)}")
        call = self.twin and self.twin.of(package)
        return Program(self.framework, self.asked, call) if call else None


class Program:
    """A call made ready for its framework, once for all the cases that share it."""

    def __init__(self, framework: Adapter, case: Case, call: Call) -> None:
        self.framework, self.case, self.call = framework, case, call

    @cached_property
    def forward(self) -> Call:
        """To the value alone."""
        return self.framework.forward(self.case, self.call)

    @cached_property
    def differentiate(self) -> Call:
        """To the value and the gradients."""
        return self.framework.differentiate(self.case, self.call)

    @cached_property
    def derivatives(self) -> Call:
        """To the derivatives in a direction."""
        return self.framework.derivatives(self.case, self.call)

    def attempt(self, case: Case, again: bool) -> Cell:
        """Quantities, or the error; `again` computes the value with no gradient asked for too."""
        try:
            quantities = self._quantities(case, again)
            return {"quantities": {n: _read(self.framework, t) for n, t in quantities.items()}}
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what the cell holds
            classes, message = self.framework.describe(error)
            return {"error": {"classes": classes, "message": message[:2000]}}

    def _quantities(self, case: Case, again: bool) -> Mapping[str, Any]:
        if not self.case.wrt:
            return _outputs(self.forward(**_tensors(self.framework, case)))
        value, gradients = self.differentiate(**_tensors(self.framework, case))
        quantities = _outputs(value) | {f"gradient by {n}": g for n, g in gradients.items()}
        if again:
            alone = _outputs(self.forward(**_tensors(self.framework, case)))
            quantities |= {f"{n} alone": v for n, v in alone.items()}
        return quantities | (self._derived(case) if self.case.along else {})

    def _derived(self, case: Case) -> dict[str, Any]:
        directions = {n: self.framework.tensor(a) for n, a in case.along.items()}
        return dict(self.derivatives(_tensors(self.framework, case), directions))


def _outputs(value: Any) -> dict[str, Any]:
    """A function's value, or its values by their names."""
    return dict(value._asdict()) if hasattr(value, "_asdict") else {"value": value}


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
