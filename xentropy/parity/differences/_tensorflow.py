"""In what the drop-ins for TensorFlow differ."""

from __future__ import annotations

from xentropy.parity.differences import Difference

DIFFERENCES: tuple[Difference, ...] = ()
