"""Continuous integration runs exactly the sessions of the noxfile, and nothing it should not."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.packaging


@pytest.fixture(scope="module")
def workflow(root: Path) -> dict[Any, Any]:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((root / ".github/workflows/ci.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def listed(root: Path) -> list[str]:
    """The sessions that nox runs when none is named, as it shows them to a person."""
    run = subprocess.run(["nox", "--list"], capture_output=True, text=True, check=True, cwd=root)
    return re.findall(r"^\* (\S+)", run.stdout, flags=re.MULTILINE)


def test_the_matrix_is_the_list_of_sessions(
    root: Path, workflow: dict[Any, Any], steps: list[dict[str, Any]], tmp_path: Path
) -> None:
    (step,) = (one for one in steps if one.get("id") == "list")
    output = tmp_path / "output"
    environment = os.environ | {"GITHUB_OUTPUT": str(output), "RUNNER_TEMP": str(tmp_path)}
    command = ["bash", "-euo", "pipefail", "-c", step["run"]]
    subprocess.run(command, check=True, cwd=root, env=environment)
    name, _, value = output.read_text(encoding="utf-8").strip().partition("=")
    assert name == "sessions"
    assert json.loads(value) == listed(root)

    jobs = workflow["jobs"]
    assert jobs["list"]["outputs"] == {"sessions": "${{ steps.list.outputs.sessions }}"}
    matrix = jobs["session"]["strategy"]["matrix"]
    assert matrix == {"session": "${{ fromJSON(needs.list.outputs.sessions) }}"}


def test_there_is_a_session_for_every_backend(root: Path, adapters: list[Path]) -> None:
    names = [folder.name.removeprefix("xentropy_") for folder in adapters]
    assert {f"tests({name})" for name in names} <= set(listed(root))


def test_actions_are_pinned_by_commit(steps: list[dict[str, Any]]) -> None:
    used = [step["uses"] for step in steps if "uses" in step]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action)] == []


def test_no_expression_is_pasted_into_a_shell(steps: list[dict[str, Any]]) -> None:
    assert [step["run"] for step in steps if "${{" in step.get("run", "")] == []


def test_jobs_may_only_read_and_end_by_themselves(workflow: dict[Any, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert job["timeout-minutes"] <= 30


def test_ci_runs_every_session_and_the_command_of_the_readme(root: Path) -> None:
    script = (root / ".ci/run").read_text(encoding="utf-8")
    assert "python -m pip install nox && nox -s tests" in script
    run = set(" ".join(re.findall(r"nox -s ([a-z ]+)", script)).split())
    assert run == {name.partition("(")[0] for name in listed(root)}
