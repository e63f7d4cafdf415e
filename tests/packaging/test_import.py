"""What an import of the installed package costs and brings along."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FRAMEWORKS = {"dask", "jax", "keras", "numpy", "scipy", "tensorflow", "torch"}
ADAPTERS = sorted(
    file.parent.name for file in Path(__file__).parents[2].glob("backends/*/__init__.py")
)
# The processor's time, so that other work on the machine does not count.
IMPORT = """
import json, sys, time
before = set(sys.modules)
start = time.process_time()
import {name}
seconds = time.process_time() - start
roots = {{module.partition(".")[0] for module in set(sys.modules) - before}}
print(json.dumps({{"seconds": seconds, "roots": sorted(roots)}}))
"""


def importing(name: str) -> subprocess.CompletedProcess[str]:
    """Import a module in a fresh interpreter that sees installed packages only."""
    command = [sys.executable, "-I", "-c", IMPORT.format(name=name)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def observed(name: str) -> dict[str, Any]:
    run = importing(name)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_xentropy_imports_no_framework() -> None:
    roots = set(observed("xentropy")["roots"])
    assert "xentropy" in roots
    assert not roots & FRAMEWORKS
    assert not roots & set(ADAPTERS)


def test_xentropy_imports_faster_than_asyncio() -> None:
    """About 0.4 of its time, some 20 ms; beside it, as machines and what else they do differ."""
    observed("xentropy")  # Writes the bytecode, where the installer did not.
    seconds: dict[str, list[float]] = {"xentropy": [], "asyncio": []}
    for _ in range(7):
        for name, found in seconds.items():
            found.append(observed(name)["seconds"])
    assert min(seconds["xentropy"]) < 0.6 * min(seconds["asyncio"]), seconds


def test_there_are_adapters() -> None:
    assert {"xentropy_jax", "xentropy_numpy", "xentropy_tensorflow", "xentropy_torch"} <= set(
        ADAPTERS
    )


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_needs_its_own_framework_and_no_other_adapter(adapter: str) -> None:
    framework = adapter.removeprefix("xentropy_")
    if importlib.util.find_spec(framework) is None:
        run = importing(adapter)
        assert run.returncode != 0
        assert f"ModuleNotFoundError: No module named '{framework}'" in run.stderr
    else:
        roots = set(observed(adapter)["roots"])
        assert framework in roots
        assert roots & set(ADAPTERS) == {adapter}
