"""Arrays of unusual memory, kind and shape: taken for what they hold, or refused by name."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from derivatives import ROWS, SAMPLES, Sample
from fuzzed import options_of
from harness import Framework, public_functions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import xentropy as xe
from xentropy.parity._case import OPERANDS

X = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])
Arrays = dict[str, np.ndarray]


def arrays_of(sample: Sample) -> Arrays:
    """All arrays of a sample, its leaves first."""
    return {**sample.leaves, **sample.constants}


def evaluate(sample: Sample, arrays: dict[str, Any]) -> list[Any]:
    """The value or values, and the gradients by all leaves."""
    both = xe.value_and_grad(getattr(xe, sample.function), wrt=tuple(sample.leaves))
    value, gradients = both(**arrays, **sample.options)
    return [*(value if isinstance(value, tuple) else (value,)), *gradients]


def same(framework: Framework, found: list[Any], wanted: list[Any]) -> None:
    for ours, theirs in zip(found, wanted, strict=True):
        a, b = framework.numpy(ours), framework.numpy(theirs)
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-15)


# Memory.


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


def unaligned(x: np.ndarray) -> np.ndarray:
    """One byte beside where the processor would have it."""
    buffer = bytearray(x.nbytes + 1)
    buffer[1:] = x.tobytes()
    return np.frombuffer(buffer, x.dtype, offset=1).reshape(x.shape)


def mapped(x: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryFile() as file:
        x.tofile(file)
        return np.memmap(file, x.dtype, "r", shape=x.shape)


def every_second(x: np.ndarray) -> np.ndarray:
    wide = np.full((*x.shape[:-1], 2 * x.shape[-1]), 99, x.dtype)
    wide[..., ::2] = x
    return wide[..., ::2]


def backwards(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x[..., ::-1])[..., ::-1]


def spread(x: np.ndarray) -> np.ndarray:
    """One row or number over and over, in the memory of one."""
    return np.broadcast_to(x[:1], x.shape)


def subclass(x: np.ndarray) -> np.ndarray:
    class Mine(np.ndarray):
        def __array_ufunc__(self, *_args: Any, **_kwargs: Any) -> Any:
            raise AssertionError("the operations of a subclass are not used")

    return x.view(Mine)


MEMORY: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "read-only": read_only,
    "unaligned": unaligned,
    "memory-mapped": mapped,
    "every second": every_second,
    "negative strides": backwards,
    "zero strides": spread,
    "Fortran order": np.asfortranarray,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "little-endian": lambda x: x.astype(x.dtype.newbyteorder("<")),
    "subclass": subclass,
}


@pytest.mark.backends("numpy")
@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("name", SAMPLES)
def test_memory_of_numpy(framework: Framework, name: str, memory: str) -> None:
    sample = SAMPLES[name]
    odd = {n: MEMORY[memory](x) for n, x in arrays_of(sample).items()}
    plain = {n: np.array(x, x.dtype.newbyteorder("="), order="C") for n, x in odd.items()}
    plain = {n: np.asarray(x).view(np.ndarray) for n, x in plain.items()}
    before = {n: x.copy() for n, x in plain.items()}
    with xe.options(block_size=2, threads=2):
        same(framework, evaluate(sample, odd), evaluate(sample, plain))
    for n, x in odd.items():
        np.testing.assert_array_equal(np.asarray(x).view(np.ndarray), before[n])


@pytest.mark.backends("numpy")
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_a_gradient_has_the_native_dtype(dtype: str) -> None:
    x = X.astype(f">{dtype}")
    value, grad = xe.value_and_grad(xe.cross_entropy)(x, np.array([0, 1], ">i8"))
    assert grad.dtype == np.dtype(dtype)
    assert value.dtype == np.dtype("f8" if dtype == "f8" else "f4")


def torch_memory() -> dict[str, Callable[[Any], Any]]:
    import torch

    class Mine(torch.Tensor):
        pass

    def every_second(x: Any) -> Any:
        return torch.stack([x, x], dim=-1)[..., 0]

    def inference(x: Any) -> Any:
        with torch.inference_mode():
            return x.clone()

    return {
        "transposed": lambda x: x.T.contiguous().T if x.ndim == 2 else x,
        "every second": every_second,
        "zero strides": lambda x: x[:1].expand(x.shape),
        "subclass": lambda x: x.as_subclass(Mine),
        "inference": inference,
        "parameter": lambda x: torch.nn.Parameter(x, requires_grad=x.is_floating_point()),
        "buffer": lambda x: torch.nn.Buffer(x) if hasattr(torch.nn, "Buffer") else x,
        "NumPy's": lambda x: torch.from_numpy(x.numpy().copy()),
    }


@pytest.mark.backends("torch")
@pytest.mark.parametrize("name", SAMPLES)
def test_memory_of_torch(framework: Framework, name: str) -> None:
    sample = SAMPLES[name]
    tensors = {n: framework.array(x, x.dtype.name) for n, x in arrays_of(sample).items()}
    for make in torch_memory().values():
        odd = {n: make(x) for n, x in tensors.items()}
        plain = {
            n: framework.array(framework.numpy(x), str(x.numpy(force=True).dtype))
            for n, x in odd.items()
        }
        before = {n: x.clone() for n, x in plain.items()}
        with xe.options(block_size=2):
            same(framework, evaluate(sample, odd), evaluate(sample, plain))
        for n, x in odd.items():
            np.testing.assert_array_equal(x.numpy(force=True), before[n].numpy())


@pytest.mark.parametrize("name", SAMPLES)
def test_arguments_are_not_written_to(framework: Framework, name: str) -> None:
    """Nor by autograd: PyTorch's and TensorFlow's plans see the memory of what they are given."""
    sample = SAMPLES[name]
    arrays = arrays_of(sample)
    given = {n: framework.array(x, x.dtype.name) for n, x in arrays.items()}
    fixed = {n: x for n, x in given.items() if n not in sample.leaves}
    leaves = [given[n] for n in sample.leaves]
    with xe.options(block_size=2):
        framework.value_and_grads(
            partial(sample.call, fixed), *leaves
        ) if framework.autograd else None
        evaluate(sample, given)
    for n, x in given.items():
        np.testing.assert_array_equal(framework.numpy(x), arrays[n])


# Shapes.


def by_row(sample: Sample, cut: Callable[[np.ndarray], np.ndarray]) -> Arrays:
    """The arrays with what they have of rows cut."""
    heads = ("weight", "bias", "class_weights", "pos_weight", "alpha")
    return {n: x if n in heads else cut(x) for n, x in arrays_of(sample).items()}


def given_of(framework: Framework, arrays: Arrays) -> dict[str, Any]:
    return {n: framework.array(x, x.dtype.name) for n, x in arrays.items()}


@pytest.mark.parametrize("name", SAMPLES)
def test_one_row_without_an_axis(framework: Framework, name: str) -> None:
    sample = SAMPLES[name]
    alone = evaluate(sample, given_of(framework, by_row(sample, lambda x: x[0])))
    among = evaluate(sample, given_of(framework, by_row(sample, lambda x: x[:1])))
    for found, wanted in zip(alone, among, strict=True):
        a, b = framework.numpy(found), framework.numpy(wanted)
        assert a.size == b.size
        np.testing.assert_allclose(a.ravel(), b.ravel(), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", SAMPLES)
def test_no_rows(framework: Framework, name: str) -> None:
    """Sums of nothing: 0 where there is a number, and gradients of the shape of their argument."""
    sample = SAMPLES[name]
    arrays = by_row(sample, lambda x: x[:0])
    found = [framework.numpy(x) for x in evaluate(sample, given_of(framework, arrays))]
    count = len(sample.leaves)
    assert all(x.size == 0 or x == 0 for x in found[:-count])
    for gradient, leaf in zip(found[-count:], sample.leaves, strict=True):
        np.testing.assert_array_equal(gradient, np.zeros(arrays[leaf].shape))


@pytest.mark.parametrize("function", public_functions())
def test_no_classes(framework: Framework, function: str) -> None:
    """Of none there is no probability; where every entry stands alone there is none at all."""
    none = framework.array(np.zeros((ROWS, 0)), "float64")
    labels = framework.array(np.zeros(ROWS), "int64")
    if function in ("sigmoid", "log_sigmoid"):
        assert framework.numpy(getattr(xe, function)(none)).shape == (ROWS, 0)
    elif function == "binary_cross_entropy":
        assert framework.numpy(xe.binary_cross_entropy(none, none)) == 0
    else:
        shaped = {
            "hidden": framework.array(X, "float64"),
            "weight": framework.array(np.zeros((0, 3)), "float64"),
            "targets": none if function == "kl_divergence" else labels,
        }
        operands = [shaped.get(name, none) for name in OPERANDS[function]]
        with pytest.raises(
            ValueError, match=r"has shape \(2, 0\): there must be at least one class"
        ):
            getattr(xe, function)(*operands)


def test_a_head_of_no_features(framework: Framework) -> None:
    """All logits are the bias."""
    hidden, weight = (framework.array(np.zeros((n, 0)), "float64") for n in (2, 3))
    bias, labels = framework.array(X[0], "float64"), framework.array([0, 1], "int64")
    head = xe.value_and_grad(xe.linear_cross_entropy, wrt=("hidden", "weight", "bias"))
    value, (by_hidden, by_weight, by_bias) = head(hidden, weight, labels, bias=bias)
    p = np.exp(X[0]) / np.exp(X[0]).sum()
    np.testing.assert_allclose(framework.numpy(value), -np.log(p[:2]).mean(), rtol=1e-13)
    np.testing.assert_allclose(framework.numpy(by_bias), p - [0.5, 0.5, 0.0], rtol=1e-13)
    assert framework.numpy(by_hidden).shape == (2, 0)
    assert framework.numpy(by_weight).shape == (3, 0)


# Kinds.


@pytest.mark.backends("numpy")
def test_kinds_that_numpy_has_beside_numbers() -> None:
    labels = np.array([0, 1])
    longer = np.finfo(np.longdouble).bits > 64
    for dtype in ("M8[s]", "m8[s]", "V8", "U3", "S3", "O", *(["longdouble"] if longer else [])):
        with pytest.raises(TypeError, match="logits must be real floating, got dtype"):
            xe.cross_entropy(np.zeros((2, 3), dtype), labels)
        with pytest.raises(TypeError, match="class_weights must be real, got dtype"):
            xe.cross_entropy(X, labels, class_weights=np.zeros(3, dtype))
        with pytest.raises(TypeError, match="targets must be integer labels"):
            xe.cross_entropy(X, np.zeros(2, dtype))
    with pytest.raises(TypeError, match=r"targets is a numpy.ma.*fill it"):
        xe.cross_entropy(X, np.ma.masked_array([0, 1], [True, False]))


@pytest.mark.backends("torch")
def test_kinds_of_tensors_that_hold_no_numbers_here() -> None:
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    labels = torch.tensor([0, 1])
    with pytest.raises(TypeError, match=r"sparse_coo tensor is not supported.*to_dense"):
        xe.cross_entropy(torch.tensor(X), torch.eye(3)[:2].to_sparse())
    meta = xe.cross_entropy(torch.empty(2, 3, device="meta"), labels.to("meta"))
    assert (meta.device.type, meta.shape, meta.dtype) == ("meta", (), torch.float32)
    with FakeTensorMode():
        fake = xe.cross_entropy(torch.empty(2, 3), torch.empty(2, dtype=torch.int64))
    assert type(fake).__name__ == "FakeTensor"


@pytest.mark.backends("torch")
def test_a_tensor_that_requires_a_gradient() -> None:
    import torch

    x = torch.tensor(X, requires_grad=True)
    weights = torch.ones(3, dtype=torch.float64, requires_grad=True)
    value, grad = xe.value_and_grad(xe.cross_entropy)(x, torch.tensor([0, 1]))
    assert not value.requires_grad
    assert not grad.requires_grad
    xe.cross_entropy(x.detach(), torch.tensor([0, 1]), class_weights=weights).backward()
    assert x.grad is None
    assert weights.grad is not None


@pytest.mark.backends("tensorflow")
def test_kinds_of_tensorflow() -> None:
    import tensorflow as tf

    wanted = xe.cross_entropy(tf.constant(X), tf.constant([0, 1]))
    found = xe.cross_entropy(tf.Variable(X), tf.Variable([0, 1]))
    np.testing.assert_array_equal(found, wanted)
    for odd, rule in (
        (tf.ragged.constant(X), "RaggedTensor.*to_tensor"),
        (tf.sparse.from_dense(X), "SparseTensor.*to_dense"),
    ):
        with pytest.raises(TypeError, match=f"targets is a .*{rule}"):
            xe.cross_entropy(tf.constant(X), odd)
    with pytest.raises(TypeError, match=r"logits must be real floating, got dtype.*string"):
        xe.cross_entropy(tf.constant([["a"]]), [0])


@pytest.mark.backends("jax")
def test_kinds_of_jax() -> None:
    import jax

    x = jax.ShapeDtypeStruct((2, 3), "float32")
    labels = jax.ShapeDtypeStruct((2,), "int32")
    with pytest.raises(TypeError, match=r"logits is a jax.*ShapeDtypeStruct: .*eval_shape"):
        xe.cross_entropy(x, [0, 1])
    found = jax.eval_shape(jax.value_and_grad(xe.cross_entropy), x, labels)
    assert [(one.shape, one.dtype) for one in found] == [((), "float32"), ((2, 3), "float32")]
    with pytest.raises(TypeError, match="logits must be real floating, got dtype key"):
        xe.cross_entropy(jax.random.split(jax.random.key(0), 3), 0)


# Whatever is passed for one of the parameters.

ALIENS: list[Any] = [
    None, True, 0, 3, -1, 1.5, 1j, 10**400, -(10**400), float("nan"), float("inf"), -float("inf"),
    "much", "", b"x", object(), [], [1.0], ["a"], [[1.0], [1.0, 2.0]], [None], (), (0, 0), (1.5,),
    {}, {"mean"}, range(2), slice(1), int, np.datetime64("2026-01-01"), np.array(["a"]),
    np.zeros((2, 2, 2, 2)), np.array(None), np.zeros(2, "V3"), np.float16(0.5), np.int8(1),
]  # fmt: skip


@settings(
    deadline=None, derandomize=True, max_examples=200, suppress_health_check=list(HealthCheck)
)
@given(data=st.data())
def test_anything_for_one_parameter(framework: Framework, data: Any) -> None:
    """It is taken, or refused by an error that names the parameter."""
    sample = SAMPLES[data.draw(st.sampled_from(sorted(SAMPLES)))]
    operands, options = OPERANDS[sample.function], options_of(sample.function)
    name = data.draw(st.sampled_from([*operands, *options]))
    place = data.draw(st.integers(0, len(ALIENS) - 1))
    given = {**given_of(framework, arrays_of(sample)), **sample.options, name: ALIENS[place]}
    assert_taken_or_named(sample.function, given)


def assert_taken_or_named(function: str, given: dict[str, Any]) -> None:
    names = "|".join([*OPERANDS[function], *options_of(function)])
    named = rf"\b({names})(\[.*?\])? (must|has|is)\b"
    said = refusal(function, given)
    assert said is None or re.search(named, said), said


def refusal(function: str, given: dict[str, Any]) -> str | None:
    """What a call says if it is refused."""
    positional = [given.pop(name) for name in OPERANDS[function]]
    try:
        getattr(xe, function)(*positional, **given)
    except (TypeError, ValueError, IndexError) as error:
        return str(error)
    return None
