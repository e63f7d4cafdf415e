"""The backends under test: ``--backend NAME``, repeatable; all that are installed by default."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import processes
import pytest
from harness import FRAMEWORKS, Framework
from hypothesis import settings
from shares import draw

# For a run by hand: `pytest --hypothesis-profile=long tests/test_fuzz.py`, see there.
settings.register_profile("long")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend",
        action="append",
        choices=sorted(FRAMEWORKS),
        help="run the tests of this backend only; may be given more than once",
    )
    parser.addoption(
        "--thorough",
        action="store_true",
        help="try all variants of what is compiled, not a fifth of them",
    )


def chosen(config: pytest.Config) -> list[str]:
    """The backends to test; one that is asked for must be installed."""
    asked = config.getoption("--backend")
    if asked is None:
        return [name for name, cls in FRAMEWORKS.items() if cls.installed()]
    missing = [name for name in asked if not FRAMEWORKS[name].installed()]
    if missing:
        raise pytest.UsageError(f"not installed: {', '.join(missing)}")
    return list(dict.fromkeys(asked))


@functools.cache
def make(name: str) -> Framework:
    return FRAMEWORKS[name]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    names = chosen(metafunc.config)
    only = metafunc.definition.get_closest_marker("backends")
    if only is not None:
        names = [name for name in names if name in only.args]
    if "mode" in metafunc.fixturenames:
        pairs = [(name, mode) for name in names for mode in FRAMEWORKS[name].modes]
        metafunc.parametrize(
            ("framework", "mode"),
            pairs,
            indirect=["framework"],
            ids=["-".join(pair) for pair in pairs],
        )
    elif "way" in metafunc.fixturenames:
        from derivatives import chosen as pairs_of

        thorough = metafunc.config.getoption("--thorough")
        found = [(name, *pair) for name in names for pair in pairs_of(name, thorough=thorough)]
        metafunc.parametrize(("framework", "way", "sample"), found, indirect=["framework"])
    elif "framework" in metafunc.fixturenames:
        metafunc.parametrize("framework", names, indirect=True)


@pytest.fixture
def framework(request: pytest.FixtureRequest) -> Iterator[Framework]:
    """The framework under test, see harness.py."""
    # array-api-strict computes with NumPy and passes its warnings of infinities on.
    quiet = {"all": "ignore"} if request.param == "strict" else {}
    with np.errstate(**quiet):
        yield make(request.param)


@pytest.fixture
def backend(framework: Framework) -> Framework:
    """The same by another name, for tests that read better so."""
    return framework


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> processes.Once:
    """What takes many seconds and many tests look at, once for all workers: a name, a function."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    return functools.partial(processes.once, shared)


# Last, so that of what -k and -m choose a share is drawn.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Draw what is tried, and skip what cannot be."""
    if not config.getoption("--thorough"):
        draw(config, items)
    skip_others(config, items)


def skip_others(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what ``needs`` backends or is about ``backends`` that are not among the chosen."""
    names = set(chosen(config))
    for item in items:
        needs = item.get_closest_marker("needs")
        about = item.get_closest_marker("backends")
        if needs is not None and not set(needs.args) <= names:
            item.add_marker(pytest.mark.skip(reason=f"needs {', '.join(needs.args)}"))
        if about is not None and not set(about.args) & names:
            item.add_marker(pytest.mark.skip(reason=f"is about {', '.join(about.args)}"))
