"""optax' own tests of its losses, as installed, with its functions replaced by the drop-ins."""

from __future__ import annotations

import importlib.util
import inspect
import unittest
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
from drop_ins import as_installed

from xentropy.parity.differences import differences

optax = pytest.importorskip("optax")
pytest.importorskip("absl.testing", reason="optax' tests are written with absl")
pytestmark = pytest.mark.backends("jax")

import xentropy_jax  # noqa: E402 - after the skip

#: The files of optax' tests, each with the classes that are about what the drop-ins offer. What is
#: left out is about other losses: hinge, perceptron, sparsemax and CTC.
FILES = {
    "_classification": (
        "SoftmaxCrossEntropyTest",
        "SafeSoftmaxCrossEntropyTest",
        "SoftmaxCrossEntropyWithIntegerLabelsTest",
        "SigmoidCrossEntropyTest",
        "PolyLossTest",
        "GeneralizedKLDivergenceTest",
        "KLDivergenceTest",
        "KLDivergenceWithLogTargetsTest",
        "SigmoidFocalLossTest",
    ),
    "_smoothing": ("SmoothLabelsTest",),
}
OTHERS = {"HingeTest", "SparsemaxTest", "PerceptronTest", "CTCTest"}
OFFERED = sorted(set(xentropy_jax.__all__) & set(dir(optax.losses)))

#: Cases that fail on purpose, and the title of the difference that says why.
INTENDED: dict[str, str] = {}


@pytest.fixture(autouse=True)
def thirty_two_bits() -> Iterator[None]:
    """JAX as a user finds it."""
    with as_installed("jax"):
        yield


class Redirected:
    """A module of optax with the drop-ins in place of its functions, and a count of their calls."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        native = getattr(self._module, name)
        return self._counted(getattr(xentropy_jax, name)) if name in OFFERED else native

    def _counted(self, function: Any) -> Any:
        # The signature is the function's: jax.jit looks at it for arguments given by name.
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return function(*args, **kwargs)

        counted.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return counted


class Case(NamedTuple):
    """One test of optax, and the redirection whose calls it makes."""

    test: unittest.TestCase
    losses: Redirected


def load(name: str) -> tuple[ModuleType, Redirected]:
    """A test module of optax with its subject redirected."""
    spec = importlib.util.find_spec(f"optax.losses.{name}_test")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    losses = Redirected(getattr(module, name))
    setattr(module, name, losses)
    return module, losses


def cases() -> Iterator[Case]:
    for name, classes in FILES.items():
        module, losses = load(name)
        for cls in classes:
            for test in unittest.defaultTestLoader.loadTestsFromTestCase(getattr(module, cls)):
                yield Case(test, losses)


CASES = {f"{type(case.test).__name__}.{case.test._testMethodName}": case for case in cases()}


@pytest.mark.parametrize("name", CASES)
def test_a_case_of_optax(name: str) -> None:
    test, losses = CASES[name]
    np.random.seed(7)  # noqa: NPY002 - optax' tests draw from the global generator
    losses.calls = 0
    result = unittest.TestResult()
    test.run(result)
    assert result.testsRun == 1
    assert losses.calls > 0, "the case is not about the drop-ins"
    broken = [text for _, text in (*result.failures, *result.errors)]
    if name in INTENDED:
        assert broken, "it passes: it is no difference any more"
    else:
        assert not broken, broken[0]
        assert not result.skipped


def test_intended_differences_are_declared() -> None:
    titles = {one.title for one in differences("jax")}
    assert set(INTENDED) <= set(CASES)
    assert set(INTENDED.values()) <= titles


def test_every_class_of_optax_is_known() -> None:
    """A new version's tests of new losses are looked at before they are left out."""
    for name, classes in FILES.items():
        module, _ = load(name)
        found = {
            key
            for key, value in vars(module).items()
            if inspect.isclass(value) and issubclass(value, unittest.TestCase)
        }
        assert found == set(classes) | (OTHERS if name == "_classification" else set())


def test_every_loss_is_offered() -> None:
    assert set(xentropy_jax.__all__) - set(OFFERED) == {
        "backend",
        "log_softmax",
        "logsumexp",
        "softmax",
    }
    assert len(CASES) > 60
