"""JAX on several devices that hold some classes each: ``jax.shard_map`` in a user's ``jax.jit``.

The devices are made of the host's processor, which has to be asked for before JAX starts.
"""

from __future__ import annotations

import os
from typing import Any

from xentropy.parity._case import Case
from xentropy.parity.columns import _slices
from xentropy.parity.columns._twins import Call, Twin

DEVICES, AXIS = 8, "classes"
os.environ["XLA_FLAGS"] = (
    f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={DEVICES}"
)

import jax  # noqa: E402 - after the flags
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax.sharding import Mesh  # noqa: E402

from xentropy.parity.columns._array import numpy_array  # noqa: E402
from xentropy.parity.columns._jax import Jax  # noqa: E402


def holders(classes: int) -> int:
    """How many devices can hold equally many classes: as few as can, but two; 0 if none can."""
    return next((n for n in range(2, DEVICES + 1) if classes % n == 0), 0)


class Sharded(Jax):
    """JAX's arrays, spread over devices."""

    def lacks(self, case: Case) -> str | None:
        """Whether devices can hold equal parts of its classes."""
        count = _slices.classes(case)
        if not holders(count):
            return f"number of at most {DEVICES} devices for equal parts of the classes"
        if any(0 in held.shape for held in case.arrays.values()):
            return "program for arrays without rows: XLA cannot partition one"
        if case.raises and count == holders(count):
            return "slices of more than one class, beside which labels cannot be probabilities"
        if case.function == "linear_score" and case.first.dtype in ("float16", "bfloat16"):
            return "sum over the devices before JAX rounds the gradient by hidden to half precision"
        return _slices.lacking(case)

    def forward(self, case: Case, call: Call) -> Call:
        """The call on slices."""
        return COMPILED.forward(case, self._spread(case, call))

    def differentiate(self, case: Case, call: Call) -> Call:
        """Its derivative, taken from outside."""
        return COMPILED.differentiate(case, self._spread(case, call))

    def derivatives(self, case: Case, call: Call) -> Call:
        """Forward mode, from outside."""
        return COMPILED.derivatives(case, self._spread(case, call))

    def native(self, case: Case) -> Twin | None:
        """None: no function of others knows of slices."""
        return None

    def _spread(self, case: Case, call: Call) -> Call:
        """A call of whole arrays, of which every device has its slice."""
        cut = _slices.axes(case)
        mesh: Any = Mesh(np.array(jax.devices()[: holders(_slices.classes(case)) or 2]), (AXIS,))
        # What a user passes as a list has to be cut as well; an error is that of what is passed.
        passed = {} if case.raises else case.arrays
        held = {n: a for n, a in passed.items() if n in cut and a.home != "column"}

        def run(**tensors: Any) -> Any:
            given = {n: jnp.asarray(numpy_array(a)) for n, a in held.items()} | tensors
            specs = {n: _spec(cut.get(n)) for n in given}
            local: Any = jax.shard_map(
                lambda slices: call(**slices, group=AXIS),
                mesh=mesh,
                in_specs=(specs,),
                out_specs=_spec(None),
            )
            return local(given)

        return run


COMPILED = Jax(compiled=True)


def _spec(axis: int | None) -> Any:
    """How an array lies on the mesh."""
    form: Any = jax.sharding.PartitionSpec
    return form() if axis is None else form(*(None,) * axis, AXIS)


def make() -> Sharded:
    """The adapter."""
    return Sharded(compiled=True)
