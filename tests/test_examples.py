"""The examples run as a user would run them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

DIGITS = Path(__file__).parents[1] / "examples" / "digits.py"
ALL = ("numpy", "torch", "tensorflow", "jax")
STEPS = 12


@pytest.fixture(autouse=True)
def needed_packages():
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    pytest.importorskip("matplotlib", reason="the example draws a plot")


def run(*arguments):
    """Run the example; return what it printed."""
    command = [sys.executable, str(DIGITS), "--steps", str(STEPS), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read_curves(printed, names):
    """The loss curves of the printed table, one column per framework."""
    lines = printed.splitlines()
    start = next(i for i, line in enumerate(lines) if line.split() == ["step", *names])
    rows = [line.split() for line in lines[start + 1 :]]
    curves = [[float(value) for value in row[1:]] for row in rows if row and row[0].isdigit()]
    accuracy = next(row[1:] for row in rows if row[0] == "test")
    return np.array(curves), [float(value.rstrip("%")) for value in accuracy]


def assert_learned(curves, accuracies):
    assert len(curves) > 4
    np.testing.assert_allclose(curves[0], np.log(10), rtol=1e-6)  # weights of 0 know nothing
    assert (np.diff(curves, axis=0) < 0).all()
    assert min(accuracies) > 80


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 10_000


def test_digits_on_one_backend(framework, tmp_path):
    if framework.name not in ALL:
        pytest.skip("the example is about the frameworks that have their own adapter")
    plot = tmp_path / "curves.png"
    printed = run("--backend", framework.name, "--out", plot)
    assert_learned(*read_curves(printed, [framework.name]))
    assert "largest difference" not in printed
    assert is_png(plot)


@pytest.mark.needs(*ALL)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 3e-6), ("float64", 3e-14)])
def test_digits_on_all_backends_agree(tmp_path, dtype, tolerance):
    plot, logits = tmp_path / "curves.png", tmp_path / "logits.json"
    printed = run("--out", plot, "--write-logits", logits, "--dtype", dtype)
    curves, accuracies = read_curves(printed, ALL)
    assert_learned(curves, accuracies)
    assert len(set(accuracies)) == 1
    difference = float(re.search(r"loss curves: (\S+)", printed)[1])
    assert 0 < difference < tolerance
    assert np.ptp(curves, axis=1).max() < tolerance + 1e-9
    assert is_png(plot)
    assert_is_a_batch(json.loads(logits.read_text(encoding="utf-8")))


def assert_is_a_batch(data):
    """32 rows of logits that are exact in float32, and labels that most of them predict."""
    logits, labels = np.array(data["logits"]), np.array(data["labels"])
    assert logits.shape == (32, 10)
    assert (logits == logits.astype("float32")).all()
    assert np.mean(logits.argmax(-1) == labels) > 0.8


def test_the_logits_of_the_parity_matrix_are_such_a_batch():
    from importlib.resources import files

    text = files("xentropy.parity").joinpath("data", "digits_logits.json").read_text("utf-8")
    assert_is_a_batch(json.loads(text))


def test_digits_skips_a_framework_that_is_not_installed(monkeypatch, capsys, tmp_path):
    monkeypatch.syspath_prepend(str(DIGITS.parent))
    import digits

    monkeypatch.setattr(digits, "is_installed", lambda name: name == "nothing")
    assert digits.main(["--out", str(tmp_path / "none.png")]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{name}: not installed, skipped" for name in ALL
    ]
    assert not list(tmp_path.iterdir())


CONFIDENT = DIGITS.with_name("confident.py")
CONFIDENT_RUNS = ("PyTorch float32", "xentropy float32", "PyTorch float64")


def read_confident(printed):
    """The printed table as an array: step, run, (loss, share without a pull, test accuracy)."""
    rows = [line.replace("%", "").split() for line in printed.splitlines()]
    numbers = [row[1:] for row in rows if row and row[0].isdigit()]
    return np.array(numbers, float).reshape(len(numbers), len(CONFIDENT_RUNS), 3)


@pytest.mark.needs("torch")
def test_confident_predictions_keep_their_gradients(monkeypatch, capsys, tmp_path):
    monkeypatch.syspath_prepend(str(CONFIDENT.parent))
    import confident

    # A shorter memory of Adam lets the loss fall faster: seconds instead of minutes.
    monkeypatch.setattr(confident, "BETAS", (0.9, 0.9))
    plot = tmp_path / "confident.png"
    small = ["--steps", "340", "--modulus", "13", "--rate", "0.01", "--out", str(plot)]
    assert confident.main(small) == 0
    printed = capsys.readouterr().out
    assert re.split(r"\s{2,}", printed.splitlines()[0].strip()) == list(CONFIDENT_RUNS)
    table = read_confident(printed)
    torch32, xentropy32, torch64 = table[:, :, 0].T
    unpulled = table[:, :, 1].T
    np.testing.assert_allclose(table[0, :, 0], np.log(13), rtol=0.05)  # it knows nothing yet
    assert unpulled[0].max() > 10
    assert (unpulled[1:] == 0).all()
    assert (np.diff(xentropy32) < 0).all()
    np.testing.assert_allclose(xentropy32, torch64, rtol=0.2)
    assert 0 < xentropy32[-1] < torch32[-1] / 10
    assert is_png(plot)
