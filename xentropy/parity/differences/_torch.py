"""In what the drop-ins for PyTorch differ."""

from __future__ import annotations

from xentropy.parity.differences import Difference

DIFFERENCES: tuple[Difference, ...] = ()
