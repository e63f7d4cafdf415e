"""DTensors: losses of logits whose classes, rows or both are cut over a mesh of processes."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import oracle
import pytest
import spread_torch
from processes import Once, run
from spread_torch import MESHES, OPTIONS, arrays, counts_rows

pytestmark = pytest.mark.backends("torch")

Found = dict[Any, Any]
WHOLE = arrays()
LOGITS = WHOLE["hidden"] @ WHOLE["weight"].T + WHOLE["bias"]
WEIGHTS = {name: WHOLE[name] for name in ("sample_weights", "class_weights")}


@pytest.fixture(scope="module")
def members(once: Once) -> list[Found]:
    return once("spread", computed)


def computed() -> list[Found]:
    """What every process found, of both numbers of processes."""
    made: list[Found] = []
    for count in (2, 4):
        names = tuple(name for name, (ranks, *_) in MESHES.items() if ranks == count)
        made += run(spread_torch.computed, count, names, timeout=240)
    return made


def each(members: list[Found], mesh: str) -> list[Found]:
    """What the processes of a mesh found, which is the same in all."""
    own = [found for found in members if any(key[0] == mesh for key in found)]
    assert len(own) == MESHES[mesh][0]
    return own


def close(got: Any, wanted: Any, rtol: float = 1e-11) -> None:
    assert got.shape == np.shape(wanted)
    np.testing.assert_allclose(got, wanted, rtol=rtol, atol=1e-13 if rtol < 1e-8 else 1e-8)


CASES = [(m, o, t) for m in MESHES for o in OPTIONS for t in ("labels", "probabilities")]


@pytest.mark.parametrize(("mesh", "options", "targets"), CASES)
def test_losses_are_those_of_the_whole(
    members: list[Found], mesh: str, options: str, targets: str
) -> None:
    given, t = OPTIONS[options], WHOLE[targets]
    for found in each(members, mesh):
        if counts_rows(mesh, given):
            assert "normalizer" in found[mesh, options, targets, "refused"]
            continue
        for name, x, more in (
            ("dense", WHOLE["logits"], WEIGHTS),
            ("plain tensors beside", WHOLE["logits"], WEIGHTS),
            ("value_and_grad", WHOLE["logits"], {}),
            ("head", LOGITS, {}),
        ):
            wanted = oracle.cross_entropy(x, t, **given, **more)
            close(found[mesh, options, targets, name, "value"], wanted)


@pytest.mark.parametrize(("mesh", "options", "targets"), CASES)
def test_gradients_are_those_of_the_whole(
    members: list[Found], mesh: str, options: str, targets: str
) -> None:
    given = OPTIONS[options]
    if counts_rows(mesh, given):
        return
    for found in each(members, mesh):
        for name, leaf, wanted in gradients(options, targets):
            close(found[mesh, options, targets, name, leaf], wanted, 1e-6)


@functools.cache
def gradients(options: str, targets: str) -> list[tuple[str, str, np.ndarray]]:
    """The gradients of the sum of a loss, by differences of its definition."""
    return list(_differences(options, targets))


def _differences(options: str, targets: str) -> Iterator[tuple[str, str, np.ndarray]]:
    given, t = OPTIONS[options], WHOLE[targets]

    def dense(x: Any = WHOLE["logits"], t: Any = t, **weights: Any) -> Any:
        return np.sum(oracle.cross_entropy(x, t, **{**WEIGHTS, **weights}, **given))

    def head(hidden: Any, weight: Any, bias: Any) -> Any:
        return np.sum(oracle.cross_entropy(hidden @ weight.T + bias, t, **given))

    h, w, b = WHOLE["hidden"], WHOLE["weight"], WHOLE["bias"]
    yield "dense", "logits", oracle.gradient(dense, WHOLE["logits"])
    for name, value in WEIGHTS.items():

        def by(v: Any, name: str = name) -> Any:
            return dense(**{name: v})

        yield "dense", name, oracle.gradient(by, value)
    if targets == "probabilities":
        yield "dense", "targets", oracle.gradient(lambda v: dense(t=v), t)
    alone = oracle.gradient(lambda x: np.sum(oracle.cross_entropy(x, t, **given)), WHOLE["logits"])
    yield "value_and_grad", "logits", alone
    yield "head", "hidden", oracle.gradient(lambda v: head(v, w, b), h)
    yield "head", "weight", oracle.gradient(lambda v: head(h, v, b), w)
    yield "head", "bias", oracle.gradient(lambda v: head(h, w, v), b)


@pytest.mark.parametrize("mesh", MESHES)
def test_scores_maps_and_second_derivatives(members: list[Found], mesh: str) -> None:
    x, labels = WHOLE["logits"], WHOLE["labels"]
    lse = np.log(np.exp(x).sum(-1))
    p = np.exp(x - lse[:, None])
    picked = np.take_along_axis(p, labels[:, None], -1)[:, 0]
    by = p - np.eye(x.shape[-1])[labels]
    wanted = {
        ("score", "loss"): -np.log(picked),
        ("score", "log_prob"): np.log(picked),
        ("score", "lse"): lse,
        ("score", "entropy"): -(p * np.log(p)).sum(-1),
        ("score", "prediction"): x.argmax(-1),
        ("score", "correct"): x.argmax(-1) == labels,
        ("logsumexp", ""): lse,
        ("logsumexp", "keepdims"): lse[:, None],
        ("focal_loss", ""): -((1 - picked) ** 2) * np.log(picked),
        ("second", ""): 2 * p * (by - (p * by).sum(-1, keepdims=True)),
    }
    for found in each(members, mesh):
        for key, value in wanted.items():
            close(found[(mesh, *key)], value)


@pytest.mark.parametrize("mesh", MESHES)
def test_a_label_that_is_no_class_is_an_error_in_every_process(
    members: list[Found], mesh: str
) -> None:
    for found in each(members, mesh):
        assert "targets[0] is 90" in found[mesh, "label", "no class"]
