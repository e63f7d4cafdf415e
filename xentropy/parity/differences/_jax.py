"""In what the drop-ins for JAX and optax differ."""

from __future__ import annotations

from xentropy.parity.differences import Difference

DIFFERENCES: tuple[Difference, ...] = ()
