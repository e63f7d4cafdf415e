"""The oldest versions that the installed package promises to work with, by its own metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, requires

DISTRIBUTION = "xentropy-losses"
#: What the metadata says of a requirement: its name, whatever extras, and its lower bound.
REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[^]]*\])?\s*\(?>=([\d.]+)")


def older(name: str, version: str) -> str:
    """The bound that a version is below, if it is."""
    bound = promised().get(name, "")
    return bound if bound and _numbers(version) < _numbers(bound) else ""


@cache
def promised() -> dict[str, str]:
    """The lower bounds by name; none in a checkout that is not installed."""
    try:
        return bounds(requires(DISTRIBUTION) or ())
    except PackageNotFoundError:
        return {}


def bounds(requirements: Iterable[str]) -> dict[str, str]:
    """The lower bounds that requirements have."""
    met = map(REQUIREMENT.match, requirements)
    return {found[1]: found[2] for found in met if found}


def _numbers(version: str) -> tuple[int, ...]:
    """The release of a version without the zeros at its end, as numbers that compare."""
    found = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
