"""What workers of a cluster call: they import it by its name, as they cannot a test module."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np


def noted(block: np.ndarray, folder: str, block_id: Any = None) -> np.ndarray:
    """A chunk of logits; a line in a file of the process says that it was made."""
    with (Path(folder) / f"made-{os.getpid()}").open("a") as file:
        file.write(f"{block_id}\n")
    return block * 3.0
