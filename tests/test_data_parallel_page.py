"""docs/data-parallel.md holds: its programs print what it says, its table is the example's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import blocks, printed
from processes import Rank, run

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "data-parallel.md"
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)


def section(name: str) -> str:
    """What is under a heading of the page."""
    parts = SECTION.split(PAGE.read_text(encoding="utf-8"))
    return dict(zip(parts[1::2], parts[2::2], strict=True))[name]


def program(name: str) -> tuple[str, str]:
    """The Python blocks of a section, one after the other, and all that they print."""
    found = [block for block in blocks(section(name)) if block.language == "python"]
    return "\n".join(b.code for b in found), "".join(b.said for b in found)


def printed_by(code: str) -> str:
    """Run a program of the page."""
    return printed(code, str(PAGE), {})


def on_torch(rank: Rank, code: str) -> str:
    """In a process that torchrun would have told who it is; here a file does."""
    from datetime import timedelta
    from unittest import mock

    from torch import distributed

    where: dict[str, Any] = {"init_method": (rank.folder / "store").as_uri()}
    where |= {"rank": rank.number, "world_size": rank.count, "timeout": timedelta(seconds=60)}
    start = distributed.init_process_group
    with mock.patch.object(distributed, "init_process_group", lambda kind: start(kind, **where)):
        return printed_by(code)


def on_jax(_: Rank, code: str) -> str:
    return printed_by(code)


def on_tensorflow(_: Rank, code: str) -> str:
    """With two devices made of one, which are there as two GPUs would be."""
    import functools

    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    half = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [half, half])
    mirrored = functools.partial(tf.distribute.MirroredStrategy, ["CPU:0", "CPU:1"])
    tf.distribute.MirroredStrategy = mirrored
    return printed_by(code)


@pytest.mark.backends("torch")
def test_the_programs_of_pytorch() -> None:
    code, said = program("PyTorch")
    assert said == "True\nTrue\n"
    assert run(on_torch, 2, code) == [said, ""]


@pytest.mark.backends("jax")
def test_the_program_of_jax() -> None:
    code, said = program("JAX")
    assert said == "2 devices\nTrue\nTrue\n"
    two = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    assert run(on_jax, 1, code, environment=two) == [said]


@pytest.mark.backends("tensorflow")
def test_the_program_of_tensorflow() -> None:
    code, said = program("TensorFlow")
    assert said == "2 replicas [True, True]\n"
    assert run(on_tensorflow, 1, code, timeout=240) == [said]


# --- the example --------------------------------------------------------------------------


def table(text: str) -> dict[tuple[str, str], list[float]]:
    """The numbers of the example by dtype and way."""
    rows, dtype = {}, ""
    for line in text.splitlines():
        name, *cells = re.split(r"\s{2,}", line.strip())
        if cells == ["gradient", "parameters", "losses"]:
            dtype = name
        elif len(cells) == 3:
            rows[dtype, name] = [float(cell) for cell in cells]
    return rows


@pytest.mark.backends("torch")
def test_the_table_is_that_of_the_example() -> None:
    """The means that are off to two digits; what is rounding within a factor."""
    command = [sys.executable, str(ROOT / "examples" / "data_parallel.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr
    page = section("PyTorch")
    assert done.stdout.splitlines()[0] in page
    found, said = table(done.stdout), table(page)
    assert list(found) == list(said)
    assert len(found) == 8
    for (dtype, way), numbers in found.items():
        if way.startswith("mean"):
            np.testing.assert_allclose(numbers, said[dtype, way], rtol=0.06, err_msg=way)
            assert min(numbers) > 0.01
        else:
            limit = {"float64": 1e-14, "float32": 1e-5}[dtype]
            assert max(numbers + said[dtype, way]) < limit, way


@pytest.mark.backends("torch")
def test_options_that_are_refused() -> None:
    command = [sys.executable, str(ROOT / "examples" / "data_parallel.py"), "--steps", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 2
    assert "--steps must be at least 1, got 0" in done.stderr
