"""The benchmark is part of the checkout and of nothing that is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Last, so that what is installed goes before the checkout's own copy of it.
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))
TOOLS = ROOT / "tools"


@pytest.fixture(scope="session")
def stored():
    """The report that the documentation shows."""
    from benchmarks.report import read

    return read(ROOT / "docs" / "performance.json")
