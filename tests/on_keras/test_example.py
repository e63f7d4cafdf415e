"""The example of the Keras drop-ins runs as a user would run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from keras_backend import BACKEND, TRAINS

EXAMPLE = Path(__file__).parents[2] / "examples" / "drop_in_keras.py"
EPOCHS = 4


def run() -> subprocess.CompletedProcess[str]:
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    command = [sys.executable, str(EXAMPLE), "--epochs", str(EPOCHS)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_the_example_learns_and_both_losses_agree() -> None:
    done = run()
    if not TRAINS:
        assert (done.returncode, done.stdout.split()[-1]) == (1, "torch")
        return
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0][-1] == BACKEND
    curves = np.array([row[1:3] for row in lines if row[0].isdigit()], float)
    accuracy = [float(cell.rstrip("%")) for cell in lines[-1][1:]]
    assert len(curves) == EPOCHS
    assert (np.diff(curves, axis=0) < 0).all()
    np.testing.assert_allclose(curves[:, 1], curves[:, 0], rtol=1e-4)
    assert min(accuracy) > 80
    assert abs(accuracy[0] - accuracy[1]) < 1
