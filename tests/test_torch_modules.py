"""The drop-in modules of PyTorch against PyTorch's own: everything but what forward computes."""

from __future__ import annotations

import copy
import inspect
import itertools
import pickle
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - after the check
from twins_torch import assert_near, error_of  # noqa: E402

import xentropy_torch  # noqa: E402

pytestmark = pytest.mark.backends("torch")

NAMES = [name for name in xentropy_torch.__all__ if name[0].isupper()]
X = torch.linspace(-2, 2, 20, dtype=torch.float64).sin().mul(3).reshape(4, 5)
UNIT = X.sigmoid()
SOFT = (X * 1.7).cos().square()
LABELS = torch.tensor([1, 0, 4, -100])
WEIGHT = torch.linspace(0.5, 2, 5, dtype=torch.float64)
REDUCTIONS = ("mean", "sum", "none")
LOSSES: dict[str, tuple[Any, list[Any], dict[str, tuple[Any, ...]]]] = {
    # The input, the targets, and the values of the constructor's options.
    "Softmax": (X, [], {"dim": (0, 1, -1)}),
    "LogSoftmax": (X, [], {"dim": (0, 1, -1)}),
    "CrossEntropyLoss": (
        X,
        [LABELS, SOFT],
        {"weight": (None, WEIGHT), "reduction": REDUCTIONS, "label_smoothing": (0.0, 0.3)},
    ),
    "NLLLoss": (
        X.log_softmax(1),
        [torch.tensor([1, 0, 4, 1])],
        {"weight": (None, WEIGHT), "reduction": REDUCTIONS, "ignore_index": (-100, 1)},
    ),
    "BCELoss": (UNIT, [SOFT], {"weight": (None, WEIGHT), "reduction": REDUCTIONS}),
    "BCEWithLogitsLoss": (
        X,
        [SOFT],
        {"weight": (None, WEIGHT), "pos_weight": (None, WEIGHT), "reduction": REDUCTIONS},
    ),
    "KLDivLoss": (
        UNIT.log(),
        [SOFT, SOFT.log()],
        {"reduction": (*REDUCTIONS, "batchmean"), "log_target": (False, True)},
    ),
    "LinearCrossEntropyLoss": (
        X,
        [LABELS, SOFT],
        {"weight": (None, WEIGHT), "reduction": REDUCTIONS, "label_smoothing": (0.0, 0.3)},
    ),
}
HEAD = torch.linspace(-1, 1, 5 * 5, dtype=torch.float64).mul(7).cos().reshape(5, 5)
#: Arguments that a constructor needs.
NEEDED: dict[str, dict[str, Any]] = {
    "LinearCrossEntropyLoss": {
        "in_features": 5,
        "num_classes": 5,
        "bias": True,
        "dtype": torch.float64,
    }
}
EACH = pytest.mark.parametrize("name", NAMES)


def made(name: str) -> tuple[Any, Any, tuple[Any, ...]]:
    """Both modules with most of their options, and the arguments of a call."""
    x, targets, options = LOSSES[name]
    given = {key: values[-1] for key, values in options.items() if key != "reduction"}
    given |= {"reduction": "sum"} if "reduction" in options else {}
    return *both(name, given), (x, *targets[-1:])


def both(name: str, given: dict[str, Any]) -> tuple[Any, Any]:
    """PyTorch's module and ours with the same options and parameters."""
    native, ours = (
        getattr(module, name)(**NEEDED.get(name, {}), **given) for module in (nn, xentropy_torch)
    )
    ours.load_state_dict(native.state_dict())
    return native, ours


def test_every_module_is_here() -> None:
    assert sorted(NAMES) == sorted(LOSSES)


@EACH
def test_only_forward_is_ours(name: str) -> None:
    ours, theirs = getattr(xentropy_torch, name), getattr(nn, name)
    assert issubclass(ours, theirs)
    assert inspect.signature(ours) == inspect.signature(theirs)
    assert inspect.signature(ours.forward) == inspect.signature(theirs.forward)
    assert {key for key in vars(ours) if not key.startswith("__")} == {"forward"}


@EACH
def test_values_and_gradients_over_the_options(name: str) -> None:
    x, targets, options = LOSSES[name]
    for values in itertools.product(*options.values()):
        given = dict(zip(options, values, strict=True))
        for target in targets or [None]:
            results = []
            for module in both(name, given):
                leaf = x.clone().requires_grad_()
                rest = () if target is None else (target,)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # the mean of KLDivLoss
                    value = module(leaf, *rest)
                along = (torch.arange(value.numel()) * 7 % 11 / 8.0).reshape(value.shape) + 0.25
                leaves = (leaf, *module.parameters())
                pulled = torch.autograd.grad(value, leaves, along.double())
                results.append((value.detach(), *pulled))
            for theirs, ours in zip(*results, strict=True):
                assert ours.dtype == theirs.dtype
                assert_near(ours, theirs, 1e-12)


@EACH
def test_state_and_words(name: str) -> None:
    native, ours, _ = made(name)
    assert repr(ours) == repr(native)
    assert list(ours.state_dict()) == list(native.state_dict())
    assert [key for key, _ in ours.named_buffers()] == [key for key, _ in native.named_buffers()]
    ours.load_state_dict(native.state_dict())
    half = ours.to(torch.bfloat16)
    assert all(buffer.dtype == torch.bfloat16 for buffer in half.buffers())


@EACH
def test_copies_and_pickles_compute_the_same(name: str) -> None:
    _, ours, args = made(name)
    want = ours(*args)
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):  # noqa: S301 - ours
        assert type(other) is type(ours)
        torch.testing.assert_close(other(*args), want)


@EACH
def test_the_state_moves_between_both(name: str) -> None:
    native, ours, _ = made(name)
    fresh = getattr(xentropy_torch, name)(
        **NEEDED.get(name, {}),
        **{
            key: torch.ones_like(value)
            for key, value in native.named_buffers(remove_duplicate=False)
        },
    )
    fresh.load_state_dict(native.state_dict())
    want = ours.state_dict()
    assert fresh.state_dict().keys() == want.keys()
    assert all(torch.equal(value, want[key]) for key, value in fresh.state_dict().items())
    native.load_state_dict(fresh.state_dict())


@EACH
def test_compile_and_export(name: str) -> None:
    _, ours, args = made(name)
    want = ours(*args)
    torch._dynamo.reset()
    compiled = torch.compile(ours, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(*args), want)
    torch.testing.assert_close(torch.export.export(ours, args).module()(*args), want)


@pytest.mark.parametrize(("name", "args"), [("Softmax", (X,)), ("KLDivLoss", (UNIT.log(), SOFT))])
def test_what_warns_compiles_too(name: str, args: Any) -> None:
    torch._dynamo.reset()
    module = getattr(xentropy_torch, name)()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    with pytest.warns(UserWarning, match="Implicit dimension|divides the total"):
        want = module(*args)
    torch.testing.assert_close(compiled(*args), want)


class Model(nn.Module):
    """A layer and a loss, as they are scripted together."""

    def __init__(self, loss: Any) -> None:
        super().__init__()
        self.layer = nn.Identity()
        self.loss = loss


class One(Model):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.loss(self.layer(x))


class Two(Model):
    def forward(self, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self.loss(self.layer(x), target)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NEEDED])
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_torchscript_calls_back_and_refuses_to_save(name: str, tmp_path: Path) -> None:
    _, ours, args = made(name)
    x = args[0].clone().requires_grad_()
    want = ours(x, *args[1:])
    for module in (ours, (One if len(args) == 1 else Two)(ours)):
        scripted = torch.jit.script(module)
        found = scripted(x, *args[1:])
        torch.testing.assert_close(found, want)
        torch.testing.assert_close(
            torch.autograd.grad(found.sum(), x), torch.autograd.grad(ours(x, *args[1:]).sum(), x)
        )
        with pytest.raises(RuntimeError, match="Could not export Python function call"):
            scripted.save(tmp_path / "scripted.pt")


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_torchscript_takes_neither_loss_of_a_linear_head() -> None:
    native, ours, _ = made("LinearCrossEntropyLoss")
    theirs, mine = (error_of(torch.jit.script, (module,), {}) for module in (native, ours))
    assert theirs is not None
    assert type(mine) is type(theirs)


@EACH
def test_errors_are_those_of_the_module(name: str) -> None:
    native, ours, args = made(name)
    bad = (args[0].long(), *args[1:])
    theirs, mine = error_of(native, bad, {}), error_of(ours, bad, {})
    assert theirs is not None
    assert (type(mine), str(mine)) == (type(theirs), str(theirs))


def test_deprecated_arguments_of_the_constructor() -> None:
    with pytest.warns(UserWarning, match="size_average and reduce"):
        module = xentropy_torch.CrossEntropyLoss(size_average=False)
    assert module.reduction == "sum"
    torch.testing.assert_close(module(X, LABELS), nn.CrossEntropyLoss(reduction="sum")(X, LABELS))


# The example.


EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "drop_in_torch.py"


@pytest.mark.needs("torch")
def test_the_example_trains_both_alike() -> None:
    pytest.importorskip("sklearn")
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), "--epochs", "4"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    curves = [[float(x) for x in row[1:]] for row in lines if row and row[0].isdigit()]
    native, ours, difference = zip(*curves, strict=True)
    assert len(curves) == 4
    assert list(native) == sorted(native, reverse=True)
    assert list(ours) == sorted(ours, reverse=True)
    assert max(map(abs, difference)) < 1e-4
    accuracies = [float(x.rstrip("%")) for x in lines[-1][1:]]
    assert min(accuracies) > 85


def test_the_example_changes_one_import() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    found = re.findall(r"^from (\S+) import CrossEntropyLoss as (\w+)$", text, re.MULTILINE)
    assert found == [("torch.nn", "Native"), ("xentropy_torch", "Ours")]
