"""``python -m xentropy score`` as a user runs it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xentropy.__main__ import main

pytestmark = pytest.mark.backends("numpy")
pytest.importorskip("rich", reason="draws the bar")

RNG = np.random.default_rng(5)
X = (RNG.standard_normal((4, 30, 50)) * 3).astype(np.float32)
T = RNG.integers(0, 50, (4, 30))
T[0, :3] = -1


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    return saved(tmp_path / "x.npy", X), saved(tmp_path / "t.npy", T)


def saved(path: Path, x: np.ndarray) -> str:
    np.save(path, x)
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        status = main(["score", *arguments])
    except SystemExit as error:
        status = int(error.code or 0)
    return status, *capsys.readouterr()


def wanted(smoothing: float = 0.0, temperature: float = 1.0) -> dict[str, float]:
    x, t = X.reshape(-1, 50).astype(float) / temperature, T.ravel()
    x, t = x[t >= 0], t[t >= 0]
    log_p = x - np.logaddexp.reduce(x, axis=-1, keepdims=True)
    own = log_p[np.arange(len(t)), t]
    return {
        "loss": -((1 - smoothing) * own + smoothing * log_p.mean(-1)).mean(),
        "perplexity": np.exp(-own.mean()),
        "accuracy": (x.argmax(-1) == t).mean(),
        "entropy": -(np.exp(log_p) * log_p).sum(-1).mean(),
        "rows": 117,
        "ignored": 3,
    }


@pytest.mark.parametrize("size", ["32", "0.001"])
def test_json(capsys: Any, files: tuple[str, str], size: str) -> None:
    status, out, err = run(
        capsys, *files, "--ignore-index", "-1", "--json", "--quiet", "--block-size", size
    )
    assert (status, err) == (0, "")
    assert json.loads(out) == pytest.approx(wanted(), rel=1e-6)


def test_text_and_options(capsys: Any, files: tuple[str, str]) -> None:
    options = ("--label-smoothing", "0.1", "--temperature", "2")
    status, out, _ = run(capsys, *files, "--ignore-index", "-1", *options)
    assert status == 0
    found = dict(line.split(None, 1) for line in out.splitlines())
    exact = wanted(0.1, 2.0)
    assert found.pop("rows") == "117 scored, 3 ignored"
    numbers = {name: float(value) for name, value in found.items()}
    assert numbers == pytest.approx({name: exact[name] for name in numbers}, rel=1e-6)
    assert list(numbers) == ["loss", "perplexity", "accuracy", "entropy"]


def test_probabilities_as_targets(capsys: Any, files: tuple[str, str], tmp_path: Path) -> None:
    soft = np.eye(50, dtype=np.float32)[np.maximum(T, 0)]
    status, out, _ = run(capsys, files[0], saved(tmp_path / "p.npy", soft), "--json")
    hard = run(capsys, files[0], saved(tmp_path / "h.npy", np.maximum(T, 0)), "--json")
    assert status == 0
    assert json.loads(out) == pytest.approx(json.loads(hard[1]), rel=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4"])
def test_dtypes_and_orders(capsys: Any, tmp_path: Path, dtype: str) -> None:
    x = np.asfortranarray(X.reshape(-1, 50)).astype(dtype)
    labels = saved(tmp_path / "flat.npy", T.ravel().astype(np.int16))
    status, out, _ = run(
        capsys, saved(tmp_path / "y.npy", x), labels, "--ignore-index", "-1", "--json"
    )
    assert status == 0
    assert json.loads(out) == pytest.approx(wanted(), rel=2e-3 if dtype == "float16" else 1e-6)


def test_what_is_not_finite_is_null(capsys: Any, tmp_path: Path) -> None:
    x = saved(tmp_path / "n.npy", np.full((2, 3), np.nan))
    status, out, _ = run(capsys, x, saved(tmp_path / "l.npy", np.array([0, 1])), "--json")
    assert status == 0
    assert json.loads(out) == {
        "loss": None, "perplexity": None, "accuracy": 0.5, "entropy": None, "rows": 2, "ignored": 0,
    }  # fmt: skip


def contents(kind: str) -> bytes:
    """Files that hold no array that can be mapped."""
    buffer = io.BytesIO()
    if kind == "objects":
        np.save(buffer, np.array([{}]), allow_pickle=True)
    elif kind == "archive":
        np.savez(buffer, t=T)
    elif kind == "short":
        np.save(buffer, T)
        return buffer.getvalue()[:-8]
    elif kind == "text":
        buffer.write(b"0.1 0.2 0.7\n")
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["objects", "archive", "short", "text", "empty"])
def test_files_that_hold_no_array(capsys: Any, files: Any, tmp_path: Path, kind: str) -> None:
    bad = tmp_path / "bad.npy"
    bad.write_bytes(contents(kind))
    words = "an archive of several arrays" if kind == "archive" else "no array that can be read"
    for arguments in ((bad, files[1]), (files[0], bad)):
        status, out, err = run(capsys, *map(str, arguments))
        assert (status, out) == (2, "")
        assert f"python -m xentropy score: {bad}: {words}" in err
        assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("x", "t", "options", "words"),
    [
        (X, T, [], "rows 0 to 119: targets[0] is -1, but a label must be in 0..49"),
        (X, np.maximum(T, 0) + 1, ["--block-size", "0.01"], "t.npy, rows "),
        (
            X,
            T[:2],
            [],
            "targets have shape (2, 30), which does not fit logits of shape (4, 3",
        ),
        (T, T, [], "logits must be floating, got dtype int64"),
        (X[0], X[0, :, 0], [], "targets must be integer labels"),
        (np.float32(1.0), np.array(1), [], "which does not fit logits of shape ()"),
        (np.asfortranarray(X), T, [], "3 dimensions in Fortran order"),
        (X, X, ["--ignore-index", "3"], "ignore_index must be None where targets are prob"),
        (X, T, ["--temperature", "0"], "temperature must be a finite number above 0, got 0.0"),
        (X.view("V4"), T, [], "save bfloat16 as float32"),
    ],
)
def test_what_does_not_fit(
    capsys: Any, tmp_path: Path, x: Any, t: Any, options: list[str], words: str
) -> None:
    paths = saved(tmp_path / "x.npy", x), saved(tmp_path / "t.npy", t)
    status, out, err = run(capsys, *paths, "--quiet", *options)
    assert (status, out) == (2, "")
    assert words in err
    assert err.startswith("python -m xentropy score: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("size", ["0", "nan", "-1", "inf", "x"])
def test_a_block_of_no_size(capsys: Any, files: Any, size: str) -> None:
    status, _, err = run(capsys, *files, "--block-size", size)
    assert status == 2
    assert "--block-size" in err


def test_files_that_are_not_there(capsys: Any, files: Any, tmp_path: Path) -> None:
    assert run(capsys, str(tmp_path / "no.npy"), files[1])[::2] == (
        2,
        f"python -m xentropy score: {tmp_path / 'no.npy'}: No such file or directory\n",
    )
    assert "Is a directory" in run(capsys, str(tmp_path), files[1])[2]


def test_an_interrupt(capsys: Any, files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("xentropy._row_stream.RowStream.update", stop)
    status, out, err = run(capsys, *files, "--quiet")
    assert (status, out, err) == (130, "", "python -m xentropy score: interrupted\n")


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_a_file_that_no_memory_could_hold(tmp_path: Path) -> None:
    """1.2 GB of logits, most of them 0, by a process that may allocate 600 MB."""
    rows, classes = 300, 1_000_000
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (rows, classes))
    x[:, 7] = np.linspace(0.0, 30.0, rows)
    x.flush()
    labels = saved(tmp_path / "t.npy", np.full(rows, 7))
    code = (
        "import resource, sys; limit = 600 << 20; "
        "resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)); "
        "from xentropy.__main__ import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", code, "score", str(tmp_path / "x.npy"), labels, "--json"]
    few = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **few}, timeout=200
    )
    assert done.returncode == 0, done.stderr
    top = np.linspace(0.0, 30.0, rows).astype(np.float32).astype(float)
    exact = np.log1p((classes - 1) * np.exp(-top)).mean()
    assert json.loads(done.stdout)["loss"] == pytest.approx(exact, rel=1e-6)
