"""Real processes: a small run in NumPy, columns that die, and the command line."""

import importlib.util
import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import xentropy as xe
from xentropy.__main__ import main
from xentropy.parity import _cli, _column
from xentropy.parity._cases import identity, select
from xentropy.parity._join import judge
from xentropy.parity._matrix import Column
from xentropy.parity._oracle import answer
from xentropy.parity._run import ORACLE, Job, column_job, run, run_one
from xentropy.parity.columns import BACKENDS, adapter

pytestmark = pytest.mark.backends("numpy")

PATTERN = "accuracy: margin [123]?"


def started(_name, _case):
    """Watches nothing."""


def call(*arguments):
    """The exit status of a command line."""
    try:
        return main(["parity", *map(str, arguments)])
    except SystemExit as stopped:
        return stopped.code


# Columns.


def test_columns_stream_their_cases_and_leave_their_cells(tmp_path):
    seen = []
    jobs = [ORACLE, column_job("numpy", "eager")]
    columns = run(jobs, tmp_path, PATTERN, lambda *what: seen.append(what))
    names = [identity(c) for c in select(PATTERN)]
    assert len(names) == 4
    for column in ("oracle", "numpy eager"):
        assert [case for name, case in seen if name == column] == names
        assert list(columns[column].cells) == names
        assert not columns[column].death


def test_a_process_that_dies_leaves_its_last_words(tmp_path, monkeypatch):
    (tmp_path / "dying.py").write_text(
        textwrap.dedent("""
            import os, sys
            print("some case", flush=True)
            print("out of memory", file=sys.stderr, flush=True)
            os._exit(9)
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    column = run_one(Job("torch eager", "dying", ()), tmp_path, "*", started)
    assert not column.cells
    assert "exit status 9 after the case 'some case'" in column.death
    assert "out of memory" in column.death


def test_a_process_that_writes_nothing_has_died(tmp_path, monkeypatch):
    (tmp_path / "silent.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert run_one(Job("jax eager", "silent", ()), tmp_path, "*", started).death


def test_a_process_that_hangs_is_ended(tmp_path, monkeypatch):
    (tmp_path / "hanging.py").write_text("import time; time.sleep(600)")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("xentropy.parity._run.LIMIT", 0.2)
    assert "exit status -9" in run_one(Job("a b", "hanging", ()), tmp_path, "*", started).death


# The core, broken on purpose: the column computes in this process, with a function replaced.

HURT = {
    "the value": lambda loss, gradient: (loss * (1 + 2e-6), gradient),
    "the gradient": lambda loss, gradient: (loss, gradient * (1 + 2e-5)),
    "its sign": lambda loss, gradient: (loss, -gradient),
}


def state_of(case):
    held = _column.Bench(adapter("numpy", "eager"), case, "numpy eager").compute(case)
    oracle = Column("oracle", {identity(case): answer(case)})
    return judge(case, oracle, Column("numpy eager", {identity(case): held})).state


@pytest.mark.parametrize("what", HURT)
def test_a_broken_core_is_red(what, monkeypatch):
    (case,) = select("worked examples: a net's raw scores")
    assert state_of(case) == "good"
    whole = xe.value_and_grad

    def broken(function, *, wrt):
        def both(*args, **options):
            value, (gradient,) = whole(function, wrt=wrt)(*args, **options)
            value, gradient = HURT[what](value, gradient)
            return value, (gradient.astype("float32"),)

        return both

    monkeypatch.setattr(xe, "value_and_grad", broken)
    assert state_of(case) == "bad"


def test_a_label_that_wraps_is_red(monkeypatch):
    (case,) = select("policy: label -1")
    assert state_of(case) == "good"
    numbers = np.zeros(2, "float32"), (np.zeros((2, 3), "float32"),)
    monkeypatch.setattr(xe, "value_and_grad", lambda *_, **__: lambda *_, **__: numbers)
    assert state_of(case) == "bad"


# The command line.


def test_a_run_in_numpy_ends_green(tmp_path, capsys):
    assert call("--backend", "numpy", "--case", PATTERN, "--out", tmp_path / "report") == 0
    assert "All 4 cells are within their budgets." in capsys.readouterr().out
    written = {p.name for p in (tmp_path / "report").iterdir()}
    assert written == {"report.json", "report.md", "report.html"}
    data = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert data["green"] is True
    assert [c["name"] for c in data["columns"]] == ["numpy eager"]


@pytest.mark.backends("numpy", "jax")
def test_one_in_some_of_the_programs_that_are_compiled(backend, tmp_path):
    """Five cases share the first program; the second has one."""
    job = column_job(backend.name, "eager", 2)
    cells = run_one(job, tmp_path, "worked examples: softmax *", started).cells
    skipped = [cell.get("skipped") for cell in cells.values()]
    why = "one program in 2 is compiled" if backend.name == "jax" else None
    assert skipped == [None] * 5 + [why]


def test_a_dead_column_gives_exit_status_1(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "xentropy.parity._run.column_job", lambda *_: Job("numpy eager", "no_such_module", ())
    )
    assert call("--backend", "numpy", "--case", PATTERN, "--out", tmp_path) == 1
    out = capsys.readouterr().out
    assert "No module named no_such_module" in out
    assert "4 of 4 cells are outside their budgets." in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--case", "no such case"], "no case matches 'no such case'"),
        (["--backend", "theano"], "invalid choice: 'theano'"),
        (["--mode", "fast"], "invalid choice: 'fast'"),
        (["--every", "0"], "--every must be at least 1, got 0"),
        (["--backend", "numpy", "--mode", "compiled"], "no column is left"),
        (["--out", __file__], "--out must be a folder to write into, got"),
    ],
)
def test_usage_errors_give_exit_status_2(arguments, words, capsys):
    assert call(*arguments) == 2
    assert words in capsys.readouterr().err


def hide(monkeypatch, *names):
    """Make packages look as if they were not installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name in names else find(name, *rest),
    )
    for module in (_cli, sys.modules["xentropy.parity.columns"]):
        monkeypatch.setattr(module, "find_spec", importlib.util.find_spec)


def test_missing_packages_are_named_with_their_extra(monkeypatch, capsys):
    hide(monkeypatch, "mpmath", "rich")
    assert call() == 2
    err = capsys.readouterr().err
    assert "needs mpmath and rich" in err
    assert '"xentropy-losses[parity]"' in err


def test_a_backend_that_is_asked_for_must_be_there(monkeypatch, capsys):
    hide(monkeypatch, "torch")
    assert call("--backend", "torch") == 2
    assert "torch cannot be imported here" in capsys.readouterr().err


def test_backends_that_are_not_installed_are_named_as_skipped(monkeypatch, capsys):
    hide(monkeypatch, "torch", "jax")
    assert [n for n in _cli._installed() if n in ("torch", "jax")] == []
    (line,) = capsys.readouterr().err.splitlines()
    skipped = line.removeprefix("Skipped, not installed: ").split(", ")
    assert {"torch", "jax"} <= set(skipped)
    assert "numpy" not in skipped


def test_modes_are_those_that_a_backend_has():
    assert {n: b.modes for n, b in BACKENDS.items()} == {
        "numpy": ("eager",),
        "torch": ("eager", "compiled", "sharded", "drop-in"),
        "tensorflow": ("eager", "compiled", "drop-in"),
        "jax": ("eager", "compiled", "sharded", "drop-in"),
        "keras": ("drop-in",),
        "strict": ("eager",),
    }


def test_without_a_command_the_help_is_printed(capsys):
    assert main([]) == 0
    assert "parity" in capsys.readouterr().out


LIGHT = """
import sys
from xentropy.__main__ import main
main([])
heavy = {"numpy", "torch", "tensorflow", "jax", "mpmath", "rich"} & set(sys.modules)
sys.exit(", ".join(sorted(heavy)) or None)
"""
JOIN = """
import sys
from xentropy.parity import _html, _join, _report
heavy = {"numpy", "torch", "tensorflow", "jax", "mpmath"} & set(sys.modules)
sys.exit(", ".join(heavy) or None)
"""


@pytest.mark.parametrize("program", [LIGHT, JOIN], ids=["the help", "the join"])
def test_neither_the_help_nor_the_join_imports_a_framework(program):
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
