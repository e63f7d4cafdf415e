"""``xentropy doctor``: whole backends, broken ones, and what is said of them."""

from __future__ import annotations

import json
import math
import textwrap
import time
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from harness import Framework

from xentropy.__main__ import main
from xentropy.doctor import _bounds, _show, frameworks
from xentropy.doctor._exact import LABELS, LOGITS, Exact, gradients, losses
from xentropy.doctor._health import Agreement, Health, Told, agreement, examine, judged
from xentropy.doctor.frameworks import FRAMEWORKS

#: The numbers that every backend should give.
RIGHT = [[float(x) for x in exact.numbers] for exact in (losses(), gradients())]
HOSTILE = "<script>alert(1)</script> [bold]x[/nothing]"


def unwatched(_: str) -> None:
    """Nobody looks."""


# What is installed.


def test_a_backend_that_works_is_fine(framework: Framework, capsys: Any) -> None:
    if framework.name not in FRAMEWORKS:
        pytest.skip("the doctor looks at frameworks that have an adapter")
    # Inductor takes most of a minute when it is cold.
    options = ["--eager"] if framework.name == "torch" else []
    assert main(["doctor", "--backend", framework.name, "--json", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    held = found["backends"][framework.name]
    assert found["fine"]
    assert list(found["backends"]) == [framework.name]
    assert (held["wrong"], held["notes"]) == ([], [])
    assert framework.name in held["versions"]
    assert held["devices"]
    compiles = framework.name in ("tensorflow", "jax")
    for mode in ["eager", "compiled"] if compiles else ["eager"]:
        assert held[mode]["fine"]
        assert 0 <= held[mode]["value"] < 3
        assert 0 < held[mode]["gradient"] < 3


@pytest.mark.backends("numpy")
def test_every_framework_that_has_an_adapter_is_known() -> None:
    folders = Path(__file__).parents[1].glob("backends/*/__init__.py")
    assert set(FRAMEWORKS) == {file.parent.name.removeprefix("xentropy_") for file in folders}


# The exact numbers.


@pytest.mark.backends("numpy")
def test_the_exact_numbers_are_exact() -> None:
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(60):
        for place, (row, label) in enumerate(zip(LOGITS, LABELS, strict=True)):
            exps = [mpmath.exp(x) for x in row]
            loss = mpmath.log(sum(exps)) - row[label]
            slopes = [e / sum(exps) - (k == label) for k, e in enumerate(exps)]
            wanted, found = [loss, *slopes], [losses().numbers[place]]
            found += gradients().numbers[3 * place : 3 * place + 3]
            for x, y in zip(wanted, found, strict=True):
                assert abs(mpmath.mpf(str(y)) / x - 1) < 1e-30


@pytest.mark.backends("numpy")
def test_errors_are_in_units_in_the_last_place() -> None:
    one = Exact((losses().numbers[1],), (6.0,))
    near = 0.40760597586631775  # a float32 below 1/2, where a unit is 2**-25
    (error,), (more,) = one.errors([near]), one.errors([near + 3 * 2**-25])
    assert abs(error) < 1
    assert abs(more - error) == pytest.approx(3, abs=2 * error + 1e-9)


@pytest.mark.backends("numpy")
@pytest.mark.parametrize(
    ("place", "spoil"),
    [
        ((0, 0), lambda _: 0.0),  # as frameworks do
        ((0, 1), lambda x: x * (1 + 1e-6)),
        ((1, 0), lambda _: 0.0),
        ((1, 4), lambda x: -x),
        ((1, 8), lambda _: math.nan),
        ((0, 2), lambda _: math.inf),
    ],
)
def test_wrong_numbers_are_found(place: tuple[int, int], spoil: Callable[[float], float]) -> None:
    assert agreement(*RIGHT).fine
    hurt = [list(part) for part in RIGHT]
    hurt[place[0]][place[1]] = spoil(hurt[place[0]][place[1]])
    assert not agreement(*hurt).fine
    health = judged("numpy", Told({"eager": {"result": hurt}}, "eager"))
    assert "in the call: the numbers are farther" in health.wrong[0]
    assert not _show.is_fine([health], asked=False)
    json.loads(_show.as_json([health], asked=False))


@pytest.mark.backends("numpy")
def test_numbers_that_are_missing_are_wrong() -> None:
    assert not agreement([], RIGHT[1]).fine
    assert agreement(RIGHT[0], None) == Agreement(agreement(*RIGHT).value, None, True)


# Broken installations: a framework's name stands for a module that does what it should not.

BROKEN = {
    "raise": ("raise ImportError('no such symbol: [bold]')", "ImportError: no such symbol: [bold]"),
    "exit": ("import os, sys; print('out of luck', file=sys.stderr, flush=True); os._exit(9)",
             "died with exit status 9\nout of luck"),
    "crash": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "died of SIGSEGV"),
}  # fmt: skip


@pytest.mark.backends("numpy")
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_framework_is_reported(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = BROKEN[kind]
    (tmp_path / "jax.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    (health,) = examine(["jax"], 60, False, unwatched)
    assert health.installed
    assert health.wrong == (f"when it was imported: {said}",)


@pytest.mark.backends("numpy")
def test_nothing_is_left_of_what_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that a framework started goes with it, and does not hold the doctor up."""
    pid = tmp_path / "pid"
    (tmp_path / "jax.py").write_text(
        textwrap.dedent(f"""
            import pathlib, subprocess, sys, time
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            pathlib.Path({str(pid)!r}).write_text(str(child.pid))
            time.sleep(600)
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    (health,) = examine(["jax"], 3, False, unwatched)
    assert health.wrong == ("when it was imported: no answer within 3 s",)
    for _ in range(100):
        if not alive(int(pid.read_text())):
            return
        time.sleep(0.05)
    pytest.fail("the child is still there")


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.backends("numpy")
def test_one_broken_framework_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (tmp_path / "jax.py").write_text(f"raise RuntimeError({HOSTILE!r})")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["doctor", "--backend", "numpy", "jax"]) == 1
    out = capsys.readouterr().out
    assert "✓ numpy" in out
    assert "✗ jax" in out
    assert f"RuntimeError: {HOSTILE}" in out
    assert "Something is wrong with jax." in out


# What is said.


def named(name: str) -> Health:
    """A backend that is fine."""
    facts = {"versions": {"result": {name: "99.0"}}, "devices": {"result": ["cpu"]}}
    return judged(name, Told(facts | {"eager": {"result": RIGHT}}, "eager"))


@pytest.mark.backends("numpy")
def test_a_compiler_that_is_not_there_is_a_note_and_no_fault() -> None:
    told = Told(
        {"eager": {"result": RIGHT}, "compiled": {"error": "X: no C++ compiler\n\nSet A=1"}},
        "compiled",
    )
    health = judged("torch", told)
    assert health.wrong == ()
    assert health.notes == ("torch.compile is not available: X: no C++ compiler",)
    assert _show.is_fine([health], asked=True)
    died = judged("torch", Told(told.facts, "compiled", "died of SIGSEGV"))
    assert died.wrong == ("in the compiled call: died of SIGSEGV",)


@pytest.mark.backends("numpy")
def test_a_call_that_raises_is_wrong() -> None:
    health = judged(
        "jax", Told({"devices": {"error": "E: no"}, "eager": {"error": "F: on"}}, "eager")
    )
    assert health.wrong == ("when it looked for devices: E: no", "in the call: F: on")


@pytest.mark.backends("numpy")
def test_what_is_not_installed_is_a_fault_where_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(frameworks, "find_spec", lambda _: None)
    assert main(["doctor", "--backend", "torch", "jax"]) == 1
    assert "Not installed: torch, jax." in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["backends"] == {name: {"installed": False} for name in FRAMEWORKS}
    some = [named("numpy"), Health("torch", installed=False)]
    assert _show.is_fine(some, asked=False)
    assert _show.verdict(some, asked=False).startswith("numpy agrees")
    assert not _show.is_fine(some, asked=True)
    assert '"xentropy-losses[torch]"' in _show.verdict(some, asked=True)


@pytest.mark.backends("numpy")
def test_without_rich_there_is_the_same_in_aligned_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    pytest.importorskip("rich")
    found = [named("numpy"), Health("torch", installed=False),
             Health("jax", versions={"jax": HOSTILE}, wrong=(HOSTILE,))]  # fmt: skip
    monkeypatch.setenv("COLUMNS", "200")
    _show.show(found, asked=False)
    styled = capsys.readouterr().out
    monkeypatch.setattr(_show, "find_spec", lambda _: None)
    _show.show(found, asked=False)
    plain = capsys.readouterr().out
    assert plain == _show.as_text(found, asked=False) + "\n"
    table = plain.split("\n\n")[1].splitlines()[:-1]
    cells = ("version", "99.0", "not installed", HOSTILE)
    assert len({line.index(cell) for line, cell in zip(table, cells, strict=True)}) == 1
    assert words(styled) == words(plain)
    assert HOSTILE in plain
    assert HOSTILE in styled


def words(text: str) -> list[str]:
    """The words without what draws a table."""
    return [word for word in text.split() if set(word) - set("─━")]


@pytest.mark.backends("numpy")
def test_plugins_are_named_and_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("mylib", "no_such_module:backend", "xentropy.backends")
    monkeypatch.setattr(_show, "entry_points", lambda group: [entry] * (group == entry.group))
    assert json.loads(_show.as_json([], asked=False))["plugins"] == {"mylib": entry.value}
    assert _show.heading().endswith("\nplugins: mylib (no_such_module:backend)")
    monkeypatch.setattr(_show, "entry_points", lambda group: [])  # noqa: ARG005
    assert len(_show.heading().splitlines()) == 1


@pytest.mark.backends("numpy")
def test_a_version_that_is_too_old_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["numpy>=2.1; extra == 'numpy'", "dask[array]>=2025.1; extra == 'dask'", "rich"]
    assert _bounds.bounds(lines) == {"numpy": "2.1", "dask": "2025.1"}
    monkeypatch.setattr(_bounds, "promised", lambda: {"numpy": "2.10.0"})
    assert [_bounds.older("numpy", v) for v in ("2.9", "2.10", "2.10.1rc1+cpu", "3")] == [
        "2.10.0", "", "", "",
    ]  # fmt: skip
    assert _bounds.older("jax", "0.1") == ""
    told = Told({"versions": {"result": {"numpy": "2.9", "other": "0"}}}, "eager")
    (said,) = judged("numpy", told).wrong
    assert said == "version 2.9 is older than 2.10.0, which the package needs"


@pytest.mark.backends("numpy")
@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_a_time_that_is_none_is_a_usage_error(seconds: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["doctor", f"--timeout={seconds}"])
    assert stopped.value.code == 2
    assert "--timeout" in capsys.readouterr().err
