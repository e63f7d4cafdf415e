"""The machine and the versions of a run, without its name or any path."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("numpy", "scipy", "torch", "tensorflow", "tensorflow-cpu", "jax", "optax", "ml-dtypes")
CPU = Path("/proc/cpuinfo")


def machine() -> dict[str, str | float]:
    """What a reader has to know to compare two runs; `load` is what ran beside the first."""
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _cores(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else "unknown",
        "system": platform.system(),
        "architecture": platform.machine(),
        "huge pages": huge_pages(),
        "python": platform.python_version(),
        **{name: found for name in PACKAGES if (found := _version(name))},
    }


def _cores() -> int:
    return os.cpu_count() or 1


def processor() -> str:
    """The model of the processor."""
    if CPU.exists():
        for line in CPU.read_text("utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or "unknown"


def huge_pages() -> str:
    """When the system gives huge pages: it decides what fresh memory costs."""
    policy = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not policy.exists():
        return "unknown"
    chosen = policy.read_text("ascii").partition("[")[2]
    return chosen.partition("]")[0]


def _version(package: str) -> str:
    """Without the build, which says for which device it is."""
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return ""
