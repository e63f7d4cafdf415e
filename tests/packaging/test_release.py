"""The version is written once, what repeats it agrees, and a tag that does not fit is refused."""

from __future__ import annotations

import email
import importlib.util
import re
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytestmark = pytest.mark.packaging

FILES = ("xentropy/__init__.py", "CITATION.cff", "CHANGELOG.md")


@pytest.fixture(scope="module")
def release(root: Path) -> ModuleType:
    """tools/release.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("release", root / "tools/release.py")
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    assert spec.loader is not None
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ready(root: Path, tmp_path: Path) -> Path:
    """The files that have a version, as they are when 1.2.3 is released."""
    version = {
        FILES[0]: (r'^__version__ = ".+"$', '__version__ = "1.2.3"'),
        FILES[1]: (r"^version: .+$", "version: 1.2.3"),
        FILES[2]: (r"^## \[.*$", "## [1.2.3] - 2026-12-01"),
    }
    for name, (pattern, text) in version.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        held = (root / name).read_text(encoding="utf-8")
        changed, count = re.subn(pattern, text, held, count=1, flags=re.MULTILINE)
        assert count == 1
        (tmp_path / name).write_text(changed, encoding="utf-8")
    return tmp_path


def test_the_version_is_written_once(root: Path, pyproject: dict[str, Any], release: Any) -> None:
    assert "version" not in pyproject["project"]
    assert pyproject["project"]["dynamic"] == ["version"]
    version = release.first(r'^__version__ = "(.+)"$', root / FILES[0])
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", version)
    assert release.first(r"^version: (.+)$", root / FILES[1]) == version
    heading = release.first(r"^## \[(.+)$", root / FILES[2])
    assert heading.startswith((f"{version}]", f"Unreleased] - {version.partition('.dev')[0]}"))


def test_the_wheel_has_it(root: Path, wheel: Path, release: Any) -> None:
    version = release.first(r'^__version__ = "(.+)"$', root / FILES[0])
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (file for file in archive.namelist() if file.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
        (scripts,) = (f for f in archive.namelist() if f.endswith(".dist-info/entry_points.txt"))
        assert "xentropy = xentropy.__main__:main" in archive.read(scripts).decode()
    assert metadata["Version"] == version


def test_a_checkout_that_is_ready(ready: Path, release: Any) -> None:
    assert release.problems(ready, "v1.2.3") == []


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        (FILES[0], "1.2.3", "1.2.4", "the tag is v1.2.3, which is not v and 1.2.4"),
        (FILES[0], "1.2.3", "1.2.3.dev0", "is a version of development"),
        (FILES[1], "version: 1.2.3", "version: 1.2.2", "CITATION.cff has the version 1.2.2"),
        (FILES[2], "## [1.2.3] - 2026-12-01", "## [Unreleased] - 1.2.3", "is that of none"),
        (FILES[2], "## [1.2.3] - 2", "## [1.2.2] - 2", "is that of 1.2.2, not 1.2.3"),
    ],
)
def test_what_is_forgotten_is_named(
    ready: Path, release: Any, name: str, old: str, new: str, words: str
) -> None:
    text = (ready / name).read_text(encoding="utf-8")
    assert old in text
    (ready / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    assert any(words in problem for problem in release.problems(ready, "v1.2.3"))


def test_a_tag_that_does_not_fit_gives_exit_status_1(release: Any, capsys: Any) -> None:
    assert release.main("v0.0.0") == 1
    assert "the tag is v0.0.0" in capsys.readouterr().out
