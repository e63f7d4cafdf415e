"""The command line: its names, its help, its exit statuses, and every line of its page."""

from __future__ import annotations

import importlib.util
import io
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xentropy as xe
from xentropy import __main__ as command
from xentropy.doctor import frameworks

pytestmark = pytest.mark.backends("numpy")

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "command-line.md"
COMMANDS = ("doctor", "parity", "score")
LINES = re.findall(r"^\$ xentropy (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the files of the page are, and of all frameworks NumPy alone."""
    x = np.random.default_rng(1).standard_normal((40, 7)).astype("float32")
    np.save(tmp_path / "logits.npy", x)
    np.save(tmp_path / "targets.npy", x.argmax(-1))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(frameworks, "find_spec", alone)
    return tmp_path


def alone(name: str) -> Any:
    return importlib.util.find_spec(name) if name == "numpy" else None


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        status = command.main(list(arguments))
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    return status, *capsys.readouterr()


def test_the_page_shows_every_command() -> None:
    assert {line.split()[0] for line in LINES} == set(COMMANDS)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("line", LINES)
def test_every_line_of_the_page_runs(line: str, capsys: Any) -> None:
    pytest.importorskip("mpmath")
    pytest.importorskip("rich")
    status, out, _ = run(capsys, *shlex.split(line))
    assert status == 0
    assert out
    if "--json" in line:
        assert len(out.splitlines()) == 1
        assert json.loads(out)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples_that_are_understood_and_every_exit_status(
    name: str, capsys: Any
) -> None:
    status, out, _ = run(capsys, name, "--help")
    assert status == 0
    examples = re.findall(rf"^  python -m xentropy ({name}.*)$", out, re.MULTILINE)
    assert len(examples) == 3
    assert "exit status: 0 if" in out
    assert re.findall(r"(\d+) if", out.partition("exit status:")[2]) == (
        ["0", "2", "130"] if name == "score" else ["0", "1", "2", "130"]
    )
    for example in examples:
        assert parsed(shlex.split(example)).command == name


def parsed(arguments: list[str]) -> Any:
    """What the parser makes of a command line, without running it."""
    held = []
    with pytest.MonkeyPatch.context() as patch:
        for module in (command.doctor, command.parity, command._score_cli):
            patch.setattr(module, "main", lambda _, given: held.append(given) or 0)
        assert command.main(arguments) == 0
    return held[0]


@pytest.mark.usefixtures("folder")
def test_the_page_names_every_field_of_the_json(capsys: Any) -> None:
    text = PAGE.read_text(encoding="utf-8")
    found = json.loads(run(capsys, "doctor", "--json")[1])
    fields = {*found, *found["backends"]["numpy"], *found["backends"]["numpy"]["eager"]}
    fields |= {*json.loads(run(capsys, "score", "logits.npy", "targets.npy", "--json")[1])}
    assert fields - set(re.findall(r"`([\w-]+)`", text)) == set()


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("/usr/bin/xentropy", "xentropy"),
        ("xentropy.exe", "xentropy"),
        ("/lib/xentropy/__main__.py", "python -m xentropy"),
    ],
)
def test_it_calls_itself_what_the_user_called(
    program: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(sys, "argv", [program])
    status, out, _ = run(capsys)
    assert (status, out.splitlines()[0]) == (0, f"usage: {name} [-h] [--version] COMMAND ...")
    assert f"\n  {name} doctor\n" in out
    assert run(capsys, "doctor", "--timeout", "x")[2].startswith(f"usage: {name} doctor ")


def test_the_module_and_the_version() -> None:
    line = [sys.executable, "-P", "-m", "xentropy", "--version"]
    run = subprocess.run(line, capture_output=True, text=True, check=True)
    assert run.stdout == f"xentropy {xe.__version__}\n"


def test_an_unknown_command_is_a_usage_error(capsys: Any) -> None:
    status, _, err = run(capsys, "heal")
    assert status == 2
    assert "invalid choice: 'heal'" in err


@pytest.mark.parametrize("name", COMMANDS)
def test_an_interrupt_is_130(name: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    module = {"doctor": command.doctor, "parity": command.parity, "score": command._score_cli}
    monkeypatch.setattr(module[name], "main", stop)
    files = ["x.npy", "t.npy"] if name == "score" else []
    said = f"python -m xentropy {name}: interrupted\n"
    assert run(capsys, name, *files) == (130, "", said)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(command._score_cli, "find_spec", lambda _: None)
    monkeypatch.setattr(command.parity, "find_spec", lambda _: None)
    monkeypatch.setattr(frameworks, "find_spec", lambda _: None)
    for name, files, status in (("score", ["x", "t"], 2), ("parity", [], 2), ("doctor", [], 1)):
        found, out, err = run(capsys, name, *files)
        assert found == status
        extra = "numpy" if name == "doctor" else name
        assert f'"xentropy-losses[{extra}]"' in " ".join((out + err).split())


@pytest.mark.usefixtures("folder")
def test_an_encoding_that_lacks_a_sign_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert command.main(["doctor", "--backend", "numpy"]) == 0
    sys.stdout.flush()
    assert b"? numpy" in written.getvalue()


@pytest.mark.usefixtures("folder")
def test_scores_need_no_rich(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(command._score_cli, "find_spec", alone)
    status, out, err = run(capsys, "score", "logits.npy", "targets.npy", "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["accuracy"] == 1.0
