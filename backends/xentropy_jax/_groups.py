"""Groups of devices that hold slices of the classes: an axis of `jax.shard_map`.

Every device runs one program, and what travels in it are sums over the axis that JAX transposes
by itself. There are two ways how it does. With ``check_vma=True`` the types say which arrays vary
over the axis; the transpose of a sum is then free, and an array that does not vary has one
gradient. With ``check_vma=False``, and under ``vmap`` with a name, every device has a copy of what
is alike and a value of its own to differentiate, and the transpose of a sum is a sum.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from xentropy._typing import Array

_lax: Any = jax.lax  # some of its functions have no types


class JaxGroup(NamedTuple):
    """The devices along an axis of a mesh, which hold equally many classes each."""

    name: str

    @property
    def size(self) -> int:
        """How many devices there are."""
        return int(jax.lax.axis_size(self.name))

    def first(self, count: int) -> Array:
        """The number of the first class of this device."""
        return jax.lax.axis_index(self.name) * count

    def total(self, count: int) -> int:
        """How many classes there are."""
        return self.size * count

    def widest(self, count: int) -> int:
        """The largest number of classes that a device holds: all hold equally many."""
        return count

    def max(self, x: Array) -> Array:
        """The largest entry of all devices."""
        return _lax.pmax(jax.lax.stop_gradient(x), self.name)

    def least(self, x: Array) -> Array:
        """The smallest entry of all devices."""
        return _lax.pmin(x, self.name)

    def sum(self, x: Array) -> Array:
        """The sum over the devices."""
        return _lax.psum(x, self.name)

    def enter(self, x: Array) -> Array:
        """What all devices have alike: JAX itself adds up its gradients."""
        return x

    def leave(self, x: Array) -> Array:
        """What all devices give out alike: JAX itself knows that it is one."""
        return x

    @property
    def typed(self) -> bool:
        """Whether types tell what varies over the devices."""
        return self.varies(jax.lax.axis_index(self.name))

    def varies(self, x: Array) -> bool:
        """Whether the type of an array says that it differs from device to device."""
        return self.name in varying(x)

    def of_first(self, x: Array) -> Array:
        """What the first device has; 0 on all others."""
        return jnp.where(jax.lax.axis_index(self.name) == 0, x, jnp.zeros_like(x))


def varying(x: Array) -> frozenset[str]:
    """The axes over which an array differs by its type."""
    kind: Any = jax.typeof(x)
    return frozenset(kind.vma if hasattr(kind, "vma") else kind.manual_axis_type.varying)


def group_of(group: object) -> JaxGroup:
    """An axis by its name, which must be bound where this is called."""
    if not isinstance(group, str):
        raise TypeError(f"group must be the name of an axis of jax.shard_map, got {group!r}")
    try:
        jax.lax.axis_size(group)
    except NameError:
        raise ValueError(
            f"group must be the name of an axis of the jax.shard_map that this is called in, "
            f"got {group!r}, which names none here"
        ) from None
    return JaxGroup(group)
