"""Losses of logits whose classes devices share, in JAX: by `shard_map` and by the compiler."""

from __future__ import annotations

import functools
import importlib
from pathlib import Path

import pytest
from processes import Once, run

pytest.importorskip("jax")
pytestmark = pytest.mark.backends("jax")

import devices_jax  # noqa: E402 - after the skip

DEVICES = "--xla_force_host_platform_device_count=8"
# Most of the time goes to LLVM, and derivatives to ten digits need none of its optimisation.
PLAIN = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
MODULES = {
    "sharded_jax": f"{DEVICES} {PLAIN}",
    "sharded_jax_rows": DEVICES,
    "partitioned_jax": DEVICES,
}


def failures(module: str, chosen: list[str]) -> dict[str, str]:
    """What went wrong in each check of a module, which run in one process, in 64 bits."""
    environment = {"XLA_FLAGS": MODULES[module], "JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "1"}
    return run(devices_jax.run_all, 1, module, chosen, timeout=900, environment=environment)[0]


def checks() -> list[tuple[str, str]]:
    return [(module, name) for module in MODULES for name in importlib.import_module(module).CHECKS]


@pytest.fixture(scope="session")
def chosen(request: pytest.FixtureRequest) -> dict[str, list[str]]:
    """The checks of each module that are tried in this run."""
    found: dict[str, list[str]] = {module: [] for module in MODULES}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.function is test_devices:
            found[item.callspec.params["module"]].append(item.callspec.params["name"])
    return found


@pytest.mark.parametrize(("module", "name"), checks())
def test_devices(once: Once, chosen: dict[str, list[str]], module: str, name: str) -> None:
    failure = once(module, functools.partial(failures, module, chosen[module]))[name]
    assert not failure, failure


def test_the_page() -> None:
    """Its programs follow one another, and print what it says."""
    page = Path(__file__).parents[1] / "docs" / "scale-out-jax.md"
    found = run(devices_jax.run_page, 1, str(page), environment={"JAX_PLATFORMS": "cpu"})[0]
    assert len(found) > 1
    for printed, said in found:
        assert printed == said
