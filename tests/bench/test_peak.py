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


def test_memory_of_an_earlier_call_is_not_found_again_in_the_processes_environment():
    """Without that environment a buffer of 1 MB comes out of what was freed before."""
    code = (
        "import numpy as np; from benchmarks import peak\n"
        "call = lambda: [np.ones(1 << 20, np.uint8) for _ in range(16)]\n"
        "print(*(peak.beyond(call) for _ in range(3)))"
    )
    environment = os.environ | peak.ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    for found in map(int, run.stdout.split()):
        assert near(found, 16 * MB)


def test_where_there_is_no_proc_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(peak, "STATUS", tmp_path / "status")
    assert "Linux" in peak.lacking()
