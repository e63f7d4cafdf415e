"""Losses of logits whose classes devices share, in JAX: by `shard_map` and by the compiler."""

from __future__ import annotations

import functools
import importlib
from pathlib import Path

import pytest
from processes import run

pytest.importorskip("jax")
pytestmark = pytest.mark.backends("jax")

import devices_jax  # noqa: E402 - after the skip

MODULES = ("sharded_jax", "sharded_jax_rows", "partitioned_jax")
# Where there are eight devices, and 64 bits to compare with.
ENVIRONMENT = {
    "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_X64": "1",
}


@functools.cache
def failures(module: str) -> dict[str, str]:
    """What went wrong in each check of a module, all of which run in one process."""
    return run(devices_jax.run_all, 1, module, timeout=900, environment=ENVIRONMENT)[0]


def checks() -> list[tuple[str, str]]:
    return [(module, name) for module in MODULES for name in importlib.import_module(module).CHECKS]


@pytest.mark.parametrize(("module", "name"), checks())
def test_devices(module: str, name: str) -> None:
    failure = failures(module)[name]
    assert not failure, failure


def test_the_page() -> None:
    """Its programs follow one another, and print what it says."""
    page = Path(__file__).parents[1] / "docs" / "scale-out-jax.md"
    found = run(devices_jax.run_page, 1, str(page), environment={"JAX_PLATFORMS": "cpu"})[0]
    assert len(found) > 1
    for printed, said in found:
        assert printed == said
