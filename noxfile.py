#!/usr/bin/env -S python -m nox -f
# /// script
# dependencies = ["nox>=2025.2.9"]  # the first with dependency_groups
# ///
"""Every check of the project, each in a virtual environment of its own.

    nox                      all of them, which is what continuous integration runs
    nox -s tests             the test suite, on every backend in turn
    nox -s "tests(torch)"    on one backend; arguments after -- go to pytest
    nox -s pythons           with NumPy, on the other Pythons that are installed
    nox -s parity            all backends against the oracle and each other -> parity-report/
    nox -s docs              the documentation as a site -> docs/_build/
    nox -s bench             ours against each framework's own function -> bench-report/

What a session installs is named once: the dependency groups of pyproject.toml say what,
constraints.txt says which version.
"""

from __future__ import annotations

from pathlib import Path

import nox

# pip, not a faster installer that a machine may happen to have: every machine installs the same.
nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"

ROOT = Path(__file__).parent
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
BACKENDS = ("numpy", "torch", "tensorflow", "jax", "keras", "dask", "strict", "together")
# The sessions run on the oldest of them; `pythons` tries the others.
PYTHONS = nox.project.python_versions(PYPROJECT)
KERAS_BACKENDS = ("tensorflow", "jax", "torch", "numpy")
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}
# Where several processes share the processor, threads of OpenMP that spin while they wait take it
# from those that they wait for.
CROWDED = QUIET | {"OMP_WAIT_POLICY": "passive"}
# Most of the time goes to compilers that use one core; a process takes up to 2 GB.
PARALLEL = ("--numprocesses=auto", "--maxprocesses=4", "--dist=worksteal", "--durations=25")

# What an adapter imports, where its framework is the only one.
IMPORTS = ("tests/packaging/test_import.py", "-k", "adapter")


def install(session: nox.Session, *groups: str, project: str | None = None) -> None:
    """Install dependency groups and, built as a user's pip would build it, the project."""
    requirements = nox.project.dependency_groups(PYPROJECT, *groups)
    built = () if project is None else (project,)
    # Of four frameworks few modules are imported: to compile all takes longer than to install them.
    options = ("--no-compile", "--constraint", str(ROOT / "constraints.txt"))
    session.install(*options, *requirements, *built)


@nox.session
@nox.parametrize("backend", [nox.param(name, id=name) for name in BACKENDS])
def tests(session: nox.Session, backend: str) -> None:
    """Test one backend where no other framework is installed, or what needs several together."""
    install(session, "test", "examples", backend, project=".[parity]")
    if backend == "keras":
        on_keras(session)
        return
    if backend == "dask":
        on_dask(session)
        return
    alone = ["--backend", backend, "-m", "not packaging and not needs"]
    options = ["-m", "needs"] if backend == "together" else alone
    session.run("pytest", *PARALLEL, *options, *session.posargs, env=CROWDED)
    if backend == "numpy" and not session.posargs:
        # The columns of the parity matrix, and what the doctor asks, import one framework each.
        others = (
            f"--ignore-glob=*/xentropy/{p}/*" for p in ("parity/columns", "doctor/frameworks")
        )
        session.run("pytest", "--doctest-modules", *others, "--pyargs", "xentropy")


@nox.session(python=PYTHONS[1:], default=False)
def pythons(session: nox.Session) -> None:
    """Test on newer Pythons, with NumPy."""
    install(session, "test", "examples", "numpy", project=".[parity]")
    options = ["--backend", "numpy", "-m", "not packaging and not needs", *session.posargs]
    session.run("pytest", *PARALLEL, *options)


def on_keras(session: nox.Session) -> None:
    """Test the Keras drop-ins on every backend of Keras, which a process chooses once."""
    for name in KERAS_BACKENDS:
        environment = CROWDED | {"KERAS_BACKEND": name}
        session.run("pytest", *PARALLEL, "tests/on_keras", *session.posargs, env=environment)
    if not session.posargs:
        session.run("pytest", *IMPORTS, env=QUIET)


def on_dask(session: nox.Session) -> None:
    """Test arrays of Dask, which are arrays of NumPy in chunks."""
    options = ["--backend", "numpy", "tests/test_dask.py", *session.posargs]
    session.run("pytest", *PARALLEL, *options, env=CROWDED)
    if not session.posargs:
        session.run("pytest", "--backend", "numpy", *IMPORTS)


@nox.session
def parity(session: nox.Session) -> None:
    """Compare every backend, eager and compiled, with the oracle."""
    install(session, "together", project=".[parity]")
    arguments = session.posargs or ["--out", str(ROOT / "parity-report")]
    # -P: the installed package, not the one in the directory that python -m starts from.
    session.run("python", "-P", "-m", "xentropy", "parity", *arguments, env=CROWDED)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Time ours and each framework's own function; `-- --quick` takes minutes."""
    install(session, "bench", "together", project=".[parity]")
    arguments = session.posargs or ["--out", str(ROOT / "bench-report")]
    # From the checkout, which `benchmarks` is part of and no wheel holds.
    session.run("python", "-m", "benchmarks", *arguments, env=QUIET)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting, imports and workflows; `-- --fix` mends what it can."""
    install(session, "lint")
    fixing = "--fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if fixing else []), ".")
    session.run("ruff", "format", *([] if fixing else ["--check"]), ".")
    session.run("lint-imports", env={"PYTHONPATH": "backends"})
    session.run("zizmor", "--offline", "--persona=auditor", ".github")
    session.run("codespell")
    session.run("repo-review", ".")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation as a site; a warning is an error."""
    install(session, "docs", "together", project=".")
    arguments = session.posargs or ["docs", "docs/_build"]
    session.run("sphinx-build", "-W", "--keep-going", "--fresh-env", *arguments, env=QUIET)


@nox.session
def types(session: nox.Session) -> None:
    """Check the types, strictly, by two checkers; arguments after -- go to mypy."""
    install(session, "types", project=".[parity]")
    session.run("mypy", *session.posargs)
    session.run("pyright", "--warnings", env={"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"})


@nox.session
def package(session: nox.Session) -> None:
    """Build the sdist, the wheel from it, and try both in empty environments."""
    install(session, "package")
    # The other tests' conftest needs a backend; these need none.
    confine = ["--confcutdir", "tests/packaging"]
    session.run("pytest", *confine, "-m", "packaging", "tests/packaging", *session.posargs)


if __name__ == "__main__":
    nox.main()
