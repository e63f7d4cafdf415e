"""The memory probe sees what is allocated, and not what was there before."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import peak

pytestmark = [
    pytest.mark.backends("numpy"),
    pytest.mark.skipif(bool(peak.lacking()), reason=peak.lacking() or "it can be measured"),
]
MB = 1 << 20


def near(found, expected):
    return abs(found - expected) <= peak.RESOLUTION


def test_a_known_allocation_is_seen():
    assert near(peak.beyond(lambda: np.ones(64 * MB, np.uint8)), 64 * MB)


def test_what_is_freed_within_the_call_is_seen():
    def call():
        np.ones(64 * MB, np.uint8)
        return np.ones(16 * MB, np.uint8)

    assert near(peak.beyond(call), 64 * MB)


def test_what_was_there_before_is_not_seen():
    held = np.ones(64 * MB, np.uint8)
    np.ones(96 * MB, np.uint8)  # an earlier peak
    assert peak.beyond(held.sum) <= 2 * peak.RESOLUTION


def test_two_at_once_are_two():
    assert near(peak.beyond(lambda: [np.ones(32 * MB, np.uint8) for _ in range(2)]), 64 * MB)


#: What an allocator keeps: it has seen a large buffer freed, and something lies above the others.
KEPT = """
import numpy as np
from benchmarks import peak
np.ones(16 << 20, np.uint8)
call = lambda: [np.ones(1 << 20, np.uint8) for _ in range(16)]
held = call()
above = np.ones(1 << 12, np.uint8)
del held
print(peak.beyond(call))
"""


def found_again(environment):
    """Bytes that a call is seen to take after an earlier one."""
    environment = os.environ | environment | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KEPT]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return int(run.stdout)


def test_memory_of_an_earlier_call_is_not_found_again_in_the_processes_environment():
    assert near(found_again(peak.ENVIRONMENT), 16 * MB)


def test_where_there_is_no_proc_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(peak, "STATUS", tmp_path / "status")
    assert "Linux" in peak.lacking()
