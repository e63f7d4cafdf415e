"""Of what a compiler takes long for, a run tries a share, the same each time."""

from __future__ import annotations

import collections
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

@pytest.mark.parametrize("framework", ["numpy", "jax"])
@pytest.mark.parametrize("x", range(12))
def test_frameworks(framework, x): ...

@pytest.mark.parametrize("mode", ["eager", "compiled"])
@pytest.mark.parametrize("x", range(12))
def test_modes(mode, x): ...

@pytest.mark.backends("jax")
@pytest.mark.parametrize("x", range(12))
def test_jax(x): ...

@pytest.mark.backends("jax")
def test_jax_once(): ...

@pytest.mark.backends("torch")
@pytest.mark.parametrize("x", range(12))
def test_torch(x): ...

@pytest.mark.compiles
@pytest.mark.backends("torch")
@pytest.mark.parametrize("x", range(12))
def test_marked(x): ...
"""
CONFTEST = """
import pytest
from shares import draw

def pytest_configure(config):
    config.addinivalue_line("markers", "backends")
    config.addinivalue_line("markers", "compiles")

@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    draw(config, items)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test_them.py").write_text(TESTS, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    return tmp_path


def tried(folder: Path, *arguments: str) -> list[str]:
    """The tests that a run in a folder collects."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments]
    run = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return [line.partition("::")[2] for line in run.stdout.splitlines() if "::" in line]


@pytest.mark.backends("numpy")
def test_a_share_of_what_is_compiled(folder: Path) -> None:
    found = tried(folder)
    parts = collections.Counter(
        (name.partition("[")[0], "jax" in name or "compiled" in name) for name in found
    )
    assert parts == {
        ("test_frameworks", False): 12,
        ("test_frameworks", True): 3,
        ("test_modes", False): 12,
        ("test_modes", True): 3,
        ("test_jax", True): 3,
        ("test_jax_once", True): 1,
        ("test_torch", False): 12,
        ("test_marked", False): 3,
    }
    assert tried(folder) == found
    assert tried(folder, "-k", "test_jax and 11") == ["test_jax[11]"]
