"""The most memory that a call held beyond what was there before it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
#: What the memory process is started with: every buffer of note is a mapping of its own, which
#: goes back to the system when it is freed, so that no call finds the memory of an earlier one.
#: TensorFlow's allocator keeps what is freed, but counts.
ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "TF_CPU_ALLOCATOR_USE_BFC": "true",
}
#: The kernel counts pages in batches, one for every core: less than this cannot be told apart.
RESOLUTION = 1 << 20


def lacking() -> str:
    """Why it cannot be measured here; empty where it can."""
    if STATUS.exists() and CLEAR.exists():
        return ""
    return "the peak of a call is read from Linux's /proc, which this system does not have"


def beyond(call: Callable[[], object]) -> int:
    """The bytes at the peak of a call beyond those before it."""
    gc.collect()
    CLEAR.write_text("5", "ascii")  # the peak becomes what is resident now
    before = _status("VmRSS")
    result = call()
    highest = _status("VmHWM")
    del result
    return max(0, highest - before)


def _status(field: str) -> int:
    """A line of the process' status in bytes."""
    for line in STATUS.read_text("ascii").splitlines():
        name, _, rest = line.partition(":")
        if name == field:
            return int(rest.split()[0]) * 1024
    raise OSError(f"{STATUS} has no {field}")
