"""The README holds: its commands and links exist, its table is that of a run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def test_it_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) < 150


def test_every_relative_link_exists():
    text = README.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    paths = [link for link in links if not link.startswith("http")]
    assert paths
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_every_extra_and_session_it_names_exists():
    import tomllib

    text = README.read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = set(project["project"]["optional-dependencies"])
    listed = re.search(r"The extras are (.*?)\.", text, re.DOTALL)[1]
    assert set(re.findall(r"`(\w+)`", listed)) == extras
    assert set(re.findall(r'pip install "\.\[(\w+)\]"', text)) <= extras

    noxfile = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    sessions = set(re.findall(r"^def (\w+)\(session", noxfile, re.MULTILINE))
    named = set(re.findall(r"nox -s (\w+)", text))
    assert named == {"parity", "tests"}
    assert named <= sessions


def test_every_public_function_is_on_it():
    import xentropy as xe

    text = README.read_text(encoding="utf-8")
    assert not [name for name in xe.__all__ if f"`{name}`" not in text and f"xe.{name}" not in text]


@pytest.mark.needs("numpy", "torch", "tensorflow", "jax", "strict")
def test_its_tables_are_those_of_a_run():
    """Runs every library; the peers beside the four frameworks have to be installed.

    The parity matrix compiles C++ of every function; what makes most errors is before that.
    """
    for peer in ("keras", "mpmath", "optax", "scipy"):
        pytest.importorskip(peer)
    command = [sys.executable, str(ROOT / "tools" / "readme_table.py"), "--check", "--quick"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
