"""What the tests of several processes stand on: tests/processes.py."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import Rank, RankError, once, run

pytestmark = pytest.mark.backends("numpy")


def describe(rank: Rank, word: str) -> tuple[Rank, str, str | None]:
    print("x" * 200_000)  # more than a pipe holds
    return rank, word, os.environ.get("SAID")


def fail_in_one(rank: Rank) -> None:
    if rank.number == 1:
        raise ValueError("one of us cannot")
    time.sleep(60)


def hang(rank: Rank) -> None:
    if rank.number == 0:
        time.sleep(60)


def leave_a_child(rank: Rank, where: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(where).write_text(str(child.pid))
    raise ValueError(rank)


def is_running(pid: int) -> bool:
    """Whether a process is there, and no more than an entry that nobody has asked about."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def test_every_rank_returns_its_own_result() -> None:
    results = run(describe, 3, "word", environment={"SAID": "so"})
    assert [rank.number for rank, *_ in results] == [0, 1, 2]
    assert {rank.count for rank, *_ in results} == {3}
    assert len({rank.folder for rank, *_ in results}) == 1
    assert {(word, said) for _, word, said in results} == {("word", "so")}


def test_a_rank_that_fails_ends_the_others() -> None:
    start = time.monotonic()
    with pytest.raises(RankError, match=r"rank 1 ended with status 1:\n(?s:.*)one of us cannot"):
        run(fail_in_one, 2)
    assert time.monotonic() - start < 30


def test_a_late_rank_is_ended_and_shows_where_it_was() -> None:
    start = time.monotonic()
    with pytest.raises(RankError, match=r"(?s)rank 0 ended.*Timeout.*in hang"):
        run(hang, 2, timeout=2)
    assert time.monotonic() - start < 30


def test_a_rank_that_does_not_end_itself_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processes.GRACE", -99.0)  # sooner than the rank's own watch
    with pytest.raises(RankError, match="rank 0 was still running"):
        run(hang, 1, timeout=100)


def test_what_a_rank_started_ends_with_it(tmp_path: Path) -> None:
    where = tmp_path / "pid"
    with pytest.raises(RankError, match="ValueError"):
        run(leave_a_child, 1, str(where))
    deadline = time.monotonic() + 10
    while is_running(int(where.read_text())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(int(where.read_text()))


def test_what_takes_long_is_made_once_and_fails_once(tmp_path: Path) -> None:
    calls: list[str] = []

    def made() -> int:
        calls.append("made")
        return len(calls)

    def late() -> int:
        calls.append("late")
        raise RankError("rank 0 was still running")

    assert [once(tmp_path, "made", made) for _ in range(2)] == [1, 1]
    for _ in range(2):
        with pytest.raises(RankError, match="rank 0 was still running"):
            once(tmp_path, "late", late)
    assert calls == ["made", "late"]
