"""The conformance kit takes what is right, and finds whatever a backend may get wrong."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xentropy import _dispatch
from xentropy._backend import Backend

pytest.importorskip("mpmath")
from xentropy.testing import assert_conforms

PLUGIN = Path(__file__).parent / "plugin"
POLICY = "policy"
# What NumPy has no namespace for.
PLAIN = ("bfloat16",)


# --- what conforms --------------------------------------------------------------------------


@pytest.mark.backends("strict")
def test_a_plain_namespace_conforms() -> None:
    import array_api_strict

    without = ("float16", "bfloat16")
    for cases in ("score", "binary", "errors"):
        assert_conforms(
            array_api_strict.asarray, to_numpy=np.from_dlpack, without=without, cases=cases
        )


@pytest.mark.backends("torch")
def test_autograd_of_the_library_conforms() -> None:
    import torch

    def array(x: np.ndarray) -> Any:
        if x.dtype.name == "bfloat16":
            return torch.from_numpy(x.astype(np.float32)).bfloat16()
        return torch.from_numpy(x.copy())

    def to_numpy(x: Any) -> np.ndarray:
        x = x.detach()
        if x.dtype == torch.bfloat16:
            import ml_dtypes

            return x.float().numpy().astype(ml_dtypes.bfloat16)
        return x.numpy()

    def differentiate(function: Any, *arrays: Any) -> tuple[Any, Any]:
        moving = [x.requires_grad_() for x in arrays]
        value = function(*moving)
        return value, torch.autograd.grad(value.sum(), moving)

    for cases in ("worked examples", "score"):
        assert_conforms(array, to_numpy=to_numpy, differentiate=differentiate, cases=cases)

    def wrong(function: Any, *arrays: Any) -> tuple[Any, Any]:
        value, gradients = differentiate(function, *arrays)
        return value, [0.5 * g for g in gradients]

    with pytest.raises(AssertionError, match=r"gradient by logits\[0, 0\]: expected"):
        assert_conforms(array, to_numpy=to_numpy, differentiate=wrong, cases="score")


@pytest.mark.backends("numpy")
def test_the_plugin_says_so_in_one_line() -> None:
    """Its own test, where it is installed: in a process that has its entry point."""
    code = (
        "import importlib.metadata, sys\n"
        f"sys.path[:0] = [{str(PLUGIN)!r}]; sys.path += {sys.path!r}\n"
        "from importlib.metadata import EntryPoint, entry_points\n"
        "point = EntryPoint('listy', 'xentropy_listy:backend', 'xentropy.backends')\n"
        "importlib.metadata.entry_points = lambda **_: [point]\n"
        "from listy import Listy\n"
        "from xentropy.testing import assert_conforms\n"
        "assert_conforms(Listy, without=['bfloat16'], cases='worked examples')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr


# --- what does not --------------------------------------------------------------------------


class Boxed:
    """An array of a library of its own."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)


class Right(Backend):
    """Boxed in, NumPy out, and labels are looked at."""

    def adopt(self, x: Any) -> Any:
        return x.values if isinstance(x, Boxed) else np.asarray(x)

    def make(self, value: object, like: Any, *, floating: bool) -> Any:
        return np.asarray(value, dtype=self.compute_dtype(like) if floating else None)

    def look(self, x: Any) -> Any:
        return np, x


class WrongValue(Right):
    def apply(self, rule: Any, leaves: Any) -> Any:
        return tuple(v * (1 + 1e-5) for v in super().apply(rule, leaves))


class WrongGradient(Right):
    def value_and_grad(self, *args: Any) -> Any:
        values, gradients = super().value_and_grad(*args)
        return values, tuple(None if g is None else -g for g in gradients)


class NoGradient(Right):
    def value_and_grad(self, *args: Any) -> Any:
        values, gradients = super().value_and_grad(*args)
        return values, (None,) * len(gradients)


class NothingIgnored(Right):
    """It drops an option."""

    @staticmethod
    def without(rule: Any) -> Any:
        known = {f.name for f in dataclasses.fields(rule)}
        return dataclasses.replace(rule, ignore_index=None) if "ignore_index" in known else rule

    def apply(self, rule: Any, leaves: Any) -> Any:
        return super().apply(self.without(rule), leaves)

    def value_and_grad(self, rule: Any, *args: Any) -> Any:
        return super().value_and_grad(self.without(rule), *args)


class NarrowDouble(Right):
    def compute_dtype(self, x: Any) -> Any:
        return np.float32


class WideGradient(Right):
    def value_and_grad(self, *args: Any) -> Any:
        values, gradients = super().value_and_grad(*args)
        return values, tuple(None if g is None else g.astype(np.float64) for g in gradients)


class ClippedLabels(Right):
    def look(self, x: Any) -> Any:
        return np, np.clip(x, 0, 0)


class EveryDtype(Right):
    def kind(self, x: Any) -> Any:
        found = super().kind(x)
        return "real floating" if found == "complex floating" else found


BROKEN = {
    WrongValue: (POLICY, "loss of float64 logits: value alone: expected 4.96110297554"),
    WrongGradient: (POLICY, r"shift by 1e\+03: gradient by logits\[0, .\]: expected"),
    NoGradient: (POLICY, "gradient by logits: expected a tensor, got nothing"),
    NothingIgnored: (POLICY, "all ignored, mean: "),
    NarrowDouble: (POLICY, "dtype of the value: expected float64, got float32"),
    WideGradient: (POLICY, "dtype of the gradient by logits: expected float32, got float64"),
    ClippedLabels: (POLICY, "label 3: IndexError expected, numbers came"),
    EveryDtype: ("errors", "complex logits: TypeError expected"),
}


@pytest.fixture
def serve() -> Iterator[Any]:
    """Make a backend the one that serves boxed arrays."""

    def chosen(backend: type[Backend]) -> None:
        _dispatch._known[Boxed] = backend("boxed", np, np.int64)

    yield chosen
    del _dispatch._known[Boxed]


@pytest.mark.backends("numpy")
def test_the_right_one_is_taken(serve: Any) -> None:
    """Else what the broken ones are refused for were not what they break."""
    serve(Right)
    for cases in dict.fromkeys(cases for cases, _ in BROKEN.values()):
        assert_conforms(Boxed, cases=cases, without=PLAIN)


@pytest.mark.backends("numpy")
@pytest.mark.parametrize("backend", BROKEN, ids=lambda cls: cls.__name__)
def test_a_broken_one_is_refused(serve: Any, backend: type[Backend]) -> None:
    serve(backend)
    cases, said = BROKEN[backend]
    with pytest.raises(AssertionError, match=said) as failed:
        assert_conforms(Boxed, cases=cases, without=PLAIN)
    first, *lines = str(failed.value).splitlines()
    assert first.endswith(" cases fail on boxed:")
    assert len(lines) == int(first.split()[0])
    assert max(map(len, lines)) < 250


@pytest.mark.backends("numpy")
def test_a_case_must_have_been_tried() -> None:
    with pytest.raises(ValueError, match=r"cases must be a pattern .* got 'nothing'"):
        assert_conforms(np.asarray, cases="nothing")
    with pytest.raises(AssertionError, match="none of 28 cases can be tried on numpy: no float"):
        assert_conforms(np.asarray, without=["float32", "float64"], cases="worked examples")


@pytest.mark.backends("numpy")
def test_an_array_that_cannot_be_made_is_a_failure(serve: Any) -> None:
    serve(Right)

    def array(x: np.ndarray) -> Boxed:
        if x.dtype == np.float16:
            raise NotImplementedError("no half precision here")
        return Boxed(x)

    with pytest.raises(AssertionError, match="NotImplementedError: no half precision here"):
        assert_conforms(array, cases="*float16*")
    assert_conforms(array, without=["float16"], cases="softmax and kin: softmax, float*")
