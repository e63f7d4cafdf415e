"""A framework of one class: an array that hides a NumPy array and has no namespace."""

from __future__ import annotations

import numpy as np


class Listy:
    """An array that nothing but its own plugin understands."""

    def __init__(self, values: object) -> None:
        self.values = np.asarray(values)
