"""The checkout becomes an sdist, the sdist a wheel, and the wheel a package that works."""

from __future__ import annotations

import email
import subprocess
import sys
import tarfile
import zipfile
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

pytestmark = pytest.mark.packaging


def files_of(folder: Path, base: Path) -> set[str]:
    """The files of an import package as paths in the wheel."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {p.relative_to(base).as_posix() for p in found if "__pycache__" not in p.parts}


@pytest.fixture(scope="module")
def wheel_files(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def metadata(wheel: Path, wheel_files: set[str]) -> email.message.Message:
    (name,) = (file for file in wheel_files if file.endswith(".dist-info/METADATA"))
    with zipfile.ZipFile(wheel) as archive:
        return email.message_from_bytes(archive.read(name))


def test_the_wheel_is_to_hold_every_adapter(
    root: Path, pyproject: dict[str, Any], adapters: list[Path]
) -> None:
    packages = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    folders = [folder.relative_to(root).as_posix() for folder in adapters]
    assert sorted(packages) == sorted(["xentropy", *folders])


def test_the_wheel_holds_the_packages_whole_and_nothing_else(
    root: Path, adapters: list[Path], wheel_files: set[str]
) -> None:
    expected = files_of(root / "xentropy", root)
    for folder in adapters:
        expected |= files_of(folder, folder.parent)
    assert {file for file in wheel_files if ".dist-info/" not in file} == expected


def test_every_package_is_typed_and_the_license_goes_along(
    adapters: list[Path], wheel_files: set[str]
) -> None:
    for package in ["xentropy", *(folder.name for folder in adapters)]:
        assert f"{package}/py.typed" in wheel_files
    assert any(file.endswith(".dist-info/licenses/LICENSE") for file in wheel_files)


def test_the_sdist_can_run_the_checks(root: Path, sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = ["LICENSE", "README.md", "constraints.txt", "noxfile.py", "pyproject.toml"]
    needed += [path.name for path in root.glob("*.md")]
    needed += sorted(path.relative_to(root).as_posix() for path in root.glob("tests/**/*.py"))
    assert not set(needed) - names
    assert not [name for name in names if "__pycache__" in name or name.startswith(".nox")]


def test_one_requirement_at_run_time(metadata: email.message.Message) -> None:
    requirements = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    assert [one.name for one in requirements if one.marker is None] == ["array-api-compat"]
    assert metadata["Requires-Python"] == ">=3.11"


def test_the_extras(metadata: email.message.Message) -> None:
    extras = {"all", "dask", "jax", "keras", "numpy", "parity", "score", "tensorflow", "torch"}
    assert set(metadata.get_all("Provides-Extra", [])) == extras


def test_the_tested_versions_are_among_those_promised(
    root: Path, pyproject: dict[str, Any]
) -> None:
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    tested = {pin.name: str(pin.specifier).removeprefix("==") for pin in pins}
    tested["tensorflow"] = tested["tensorflow-cpu"]
    extras = pyproject["project"]["optional-dependencies"]
    promised = [*pyproject["project"]["dependencies"], *chain.from_iterable(extras.values())]
    ranges = {one.name: one.specifier for one in map(Requirement, promised)}
    del ranges["xentropy-losses"]  # The extra `all` is made of the others.
    assert {name for name in ranges if tested[name] not in ranges[name]} == set()
    assert SpecifierSet() not in ranges.values()


def test_an_index_would_take_the_files(sdist: Path, wheel: Path) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", sdist, wheel]
    subprocess.run(command, check=True)


def test_nothing_else_is_installed(empty_python: Path) -> None:
    command = [empty_python, "-m", "pip", "list", "--format=freeze", "--exclude=pip"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    installed = {line.partition("==")[0] for line in run.stdout.splitlines()}
    assert installed - {"setuptools"} == {"array-api-compat", "xentropy-losses"}


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--help"], 0, "usage: xentropy [-h]"),
        (["doctor"], 1, '"xentropy-losses[numpy]"'),
        (["score", "x.npy", "t.npy"], 2, '"xentropy-losses[score]"'),
        (["parity"], 2, '"xentropy-losses[parity]"'),
    ],
)
def test_the_script_runs_and_names_the_extra_that_is_missing(
    empty_python: Path, tmp_path: Path, arguments: list[str], status: int, words: str
) -> None:
    command = [empty_python.parent / "xentropy", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == status, run.stderr
    assert words in run.stdout + run.stderr


def test_it_imports_far_from_the_checkout(empty_python: Path, tmp_path: Path) -> None:
    code = "import xentropy; print(xentropy.__file__); print(sorted(xentropy.__all__))"
    command = [empty_python, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    file, names = run.stdout.splitlines()
    assert Path(file).is_relative_to(empty_python.parents[1])
    assert "cross_entropy" in names


def test_a_type_checker_sees_the_types(empty_python: Path, tmp_path: Path) -> None:
    lines = [
        "from typing import assert_type",
        "import xentropy as xe",
        "class Tensor: ...",
        "assert_type(xe.cross_entropy(Tensor(), 0), Tensor)",
        "assert_type(xe.score(Tensor(), 0), xe.Score[Tensor])",
        "xe.cross_entropy(Tensor(), 0, reduction='avg')  # type: ignore[call-overload]",
    ]
    (tmp_path / "use.py").write_text("\n".join(lines), encoding="utf-8")
    python = f"--python-executable={empty_python}"
    command = [sys.executable, "-m", "mypy", "--strict", python, "use.py"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == 0, run.stdout


def test_each_adapter_asks_for_its_framework(
    empty_python: Path, adapters: list[Path], tmp_path: Path
) -> None:
    for adapter in (folder.name for folder in adapters):
        command = [empty_python, "-c", f"import {adapter}"]
        run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        framework = adapter.removeprefix("xentropy_")
        assert f"ModuleNotFoundError: No module named '{framework}'" in run.stderr
