"""Says whether the checkout can be released under a tag: ``python tools/release.py v1.2.3``.

The version is `xentropy.__version__`; the tag, the reference and the changelog have to have it too.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main(tag: str) -> int:
    """Print what is not ready; 0 if all is."""
    found = problems(ROOT, tag)
    for problem in found:
        print(problem)
    return 1 if found else 0


def problems(root: Path, tag: str) -> list[str]:
    """What is not ready."""
    version = first(r'^__version__ = "(.+)"$', root / "xentropy/__init__.py")
    cited = first(r"^version: (.+)$", root / "CITATION.cff")
    headed = first(r"^## \[(\d[^]]*)\] - \d{4}-\d\d-\d\d$", root / "CHANGELOG.md")
    said = {
        f"the tag is {tag}, which is not v and {version}": tag != f"v{version}",
        f"{version} is a version of development": "dev" in version,
        f"CITATION.cff has the version {cited}, not {version}": cited != version,
        f"the newest section of CHANGELOG.md with a date is that of {headed or 'none'}, "
        f"not {version}": headed != version,
    }
    return [problem for problem, there in said.items() if there]


def first(pattern: str, file: Path) -> str:
    """What the group of a pattern matches first in a file; empty if nothing does."""
    found = re.search(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
