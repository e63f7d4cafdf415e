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


def test_every_python_is_tested(
    root: Path, workflow: dict[Any, Any], pyproject: dict[str, Any]
) -> None:
    """The oldest by the sessions of the list, the others by a job of their own."""
    named = re.compile(r"Programming Language :: Python :: (3\.\d+)")
    found = (named.fullmatch(line) for line in pyproject["project"]["classifiers"])
    oldest, *others = (match[1] for match in found if match)
    assert pyproject["project"]["requires-python"] == f">={oldest}"
    jobs = workflow["jobs"]
    versions = [
        step["with"]["python-version"]
        for name in ("list", "session", "thorough")
        for step in jobs[name]["steps"]
        if "python-version" in step.get("with", {})
    ]
    assert versions == [oldest] * 3
    assert jobs["python"]["strategy"]["matrix"] == {"python": others}
    run = subprocess.run(["nox", "--list"], capture_output=True, text=True, check=True, cwd=root)
    assert re.findall(r"^- pythons-(\S+)", run.stdout, flags=re.MULTILINE) == others


def test_the_check_of_all_waits_for_every_job(workflow: dict[Any, Any]) -> None:
    jobs = dict(workflow["jobs"])
    last = jobs.pop("passed")
    assert {"list", *last["needs"]} == set(jobs)
    results = {f"${{{{ needs.{name}.result }}}}" for name in last["needs"]}
    (step,) = last["steps"]
    assert set(step["env"].values()) == results
    for verdict, status in (("success", 0), ("failure", 1), ("skipped", 1)):
        for name in step["env"]:
            results = dict.fromkeys(step["env"], "success") | {name: verdict}
            command = ["bash", "-c", step["run"]]
            assert subprocess.run(command, env=results, check=False).returncode == status


@pytest.fixture(scope="module")
def workflows(root: Path) -> dict[str, dict[Any, Any]]:
    yaml = pytest.importorskip("yaml")
    files = sorted((root / ".github/workflows").glob("*.yml"))
    return {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files}


def steps_of(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_actions_are_pinned_by_commit_one_for_each(workflows: dict[str, dict[Any, Any]]) -> None:
    used = {s["uses"] for w in workflows.values() for s in steps_of(w) if "uses" in s}
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action)] == []
    assert len({action.partition("@")[0] for action in used}) == len(used)


def test_no_expression_is_pasted_into_a_shell(workflows: dict[str, dict[Any, Any]]) -> None:
    scripts = [s.get("run", "") for w in workflows.values() for s in steps_of(w)]
    assert [script for script in scripts if "${{" in script] == []


def test_jobs_may_only_read_and_end_by_themselves(workflows: dict[str, dict[Any, Any]]) -> None:
    assert set(workflows) >= {"ci", "release"}
    for name, workflow in workflows.items():
        assert workflow["permissions"] in ({"contents": "read"}, {})
        for job in workflow["jobs"].values():
            if name != "release":
                assert "permissions" not in job
            assert job["timeout-minutes"] <= 30


def test_what_may_publish_runs_nothing_of_the_checkout(
    workflows: dict[str, dict[Any, Any]],
) -> None:
    build, publish = (workflows["release"]["jobs"][name] for name in ("build", "publish"))
    assert build["permissions"] == {"contents": "read"}
    assert publish["permissions"] == {"id-token": "write"}
    assert (publish["needs"], publish["environment"]) == ("build", "pypi")
    names = [step["uses"].partition("@")[0] for step in publish["steps"]]
    assert names == ["actions/download-artifact", "pypa/gh-action-pypi-publish"]
    scripts = [step["run"] for step in build["steps"] if "run" in step]
    assert 'python tools/release.py "$TAG"' in scripts
    assert "nox -s package" in scripts


def test_issue_forms_are_whole_and_bugs_come_with_what_the_doctor_says(root: Path) -> None:
    yaml = pytest.importorskip("yaml")
    files = sorted((root / ".github/ISSUE_TEMPLATE").glob("*.yml"))
    forms = {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files}
    assert forms.pop("config") == {"blank_issues_enabled": False}
    assert set(forms) == {"bug", "feature", "wrong-number"}
    for name, form in forms.items():
        assert {"name", "description", "body"} <= set(form)
        labels = {field["id"]: field["attributes"]["label"] for field in form["body"]}
        assert len(labels) == len(form["body"])
        assert ("xentropy doctor --json" in labels.get("doctor", "")) == (name != "feature")


def test_ci_runs_every_session_and_the_command_of_the_readme(root: Path) -> None:
    script = (root / ".ci/run").read_text(encoding="utf-8")
    assert "python -m pip install nox && nox -s tests" in script
    run = set(" ".join(re.findall(r"nox -s ([a-z ]+)", script)).split())
    assert run == {name.partition("(")[0] for name in listed(root)}
