"""The example of a character model runs as a user would run it."""

from __future__ import annotations

import importlib.util
import math
import re
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import Framework

# What XLA's compiler takes differs by 40 MB from run to run: the large step's logits are far more.
WINDOWS = 384
SCRIPT = Path(__file__).parents[1] / "examples" / "characters.py"


def run(*arguments: object, status: int = 0) -> Any:
    """Run the example."""
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == status, done.stderr
    return done


@pytest.fixture
def learner(framework: Framework) -> str:
    """A framework that the example is about."""
    pytest.importorskip("matplotlib", reason="the example draws a plot")
    if framework.name not in {"torch", "jax"}:
        pytest.skip("the example is about PyTorch and JAX")
    return framework.name


def table(printed: str) -> tuple[dict[int, list[float]], dict[str, list[float]]]:
    """The curves by step, and what is told of the text held out."""
    curves, told = {}, {}
    for line in printed.splitlines():
        first, *rest = line.split()
        if first.isdigit() and rest and "." in rest[0]:
            curves[int(first)] = [float(x) for x in rest]
        elif first in {"loss", "perplexity", "accuracy", "entropy"}:
            told[first] = [float(x) for x in rest]
    return curves, told


def entropy_of_pairs() -> float:
    """Of pairs of characters drawn by their counts alone: what knows no context has at least."""
    from pydoc_data.topics import topics

    text = "\n".join(topics[name] for name in sorted(topics))
    counts = np.array(list(Counter(pairwise(text)).values()), float)
    p = counts / counts.sum()
    return float(-(p * np.log(p)).sum())


def peaks(printed: str) -> dict[str, float]:
    """The memory that is told, in MB."""
    found = re.search(r"would have (\d+) MB\n +(\d+) MB +(\d+) MB", printed)
    assert found is not None, printed
    return dict(zip(("logits", "linear", "dense"), map(float, found.groups()), strict=True))


def test_both_losses_learn_the_same_and_one_holds_no_logits(learner: str, tmp_path: Path) -> None:
    picture = tmp_path / "curves.png"
    options = ("--backend", learner, "--steps", 30, "--windows", WINDOWS, "--out", picture)
    done = run(*options)
    assert done.stderr == ""
    classes = int(done.stdout.split()[0])
    curves, told = table(done.stdout)
    memory = peaks(done.stdout)
    assert memory["logits"] == round(WINDOWS * 64 * classes * 4 / 1e6)
    assert sorted(curves) == [1, 2, 3, 5, 7, 10, 14, 21, 30]
    np.testing.assert_allclose(curves[1], math.log(classes), rtol=1e-5)  # a head of 0 knows nothing
    for linear, dense in curves.values():
        assert linear == pytest.approx(dense, rel=1e-4)
    np.testing.assert_allclose(told["perplexity"], np.exp(told["loss"]), rtol=1e-4)
    assert max(told["loss"]) < entropy_of_pairs()  # more than how often each pair is there
    if sys.platform == "linux":  # elsewhere the peak is another one
        assert memory["linear"] < memory["dense"] - memory["logits"] / 2
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 10_000


@pytest.mark.backends("numpy")
def test_options_that_are_refused() -> None:
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("the example draws a plot")
    assert "--steps must be at least 1, got 0" in run("--steps", 0, status=2).stderr
    assert "--seed must be at least 0, got -1" in run("--seed", -1, status=2).stderr
    assert "--out must be in a folder" in run("--out", "no/such/folder.png", status=2).stderr
    assert "invalid choice: 'numpy'" in run("--backend", "numpy", status=2).stderr
