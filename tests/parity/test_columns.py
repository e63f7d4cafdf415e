"""Every backend's adapter: a few cases of each kind, judged as in the matrix, in this process."""

import warnings

import pytest

from xentropy.parity import _column
from xentropy.parity._case import Case
from xentropy.parity._cases import CASES, identity, select
from xentropy.parity._join import judge
from xentropy.parity._matrix import Cell, Column
from xentropy.parity._oracle import answer
from xentropy.parity.columns import BACKENDS, adapter, left_out

# test_sharded.py has those of several processes and devices.
COLUMNS = [
    pytest.param(f"{name} {mode}", marks=pytest.mark.backends(name))
    for name, backend in BACKENDS.items()
    for mode in backend.modes
    if mode not in ("sharded", "drop-in")
]
SAMPLE = [
    "accuracy: margin 30",
    "accuracy: margin 40, float64",
    "policy: label 3",
    "policy: all ignored, mean",
    "other gradients: to soft targets, sum",
    "binary: soft, bfloat16",
    "kl_divergence: 1e-03 apart",
    "focal_loss: everything",
    "score: everything, entropy",
    "derivatives: labels, float32",
    "errors: temperature 0.0",
]
#: What stands beside cross_entropy of labels, and the package that it comes from.
OWN = {
    "numpy": "scipy.special.log_softmax, picked",
    "torch": "F.cross_entropy",
    "tensorflow": "tf.nn.sparse_softmax_cross_entropy_with_logits",
    "jax": "optax.softmax_cross_entropy_with_integer_labels",
}
PEERS = {"numpy": "scipy", "jax": "optax"}


def cell_of(case: Case, column: str) -> Cell:
    """A case on a column, computed here and judged."""
    backend, mode = column.split()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as the column's own process does
        held = _column.bench(adapter(backend, mode), case, column).compute(case)
    oracle = Column("oracle", {identity(case): answer(case)})
    return judge(case, oracle, Column(column, {identity(case): held}))


@pytest.mark.parametrize("name", SAMPLE)
@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_is_green(column, name):
    (case,) = select(name)
    cell = cell_of(case, column)
    lacking = column == "strict eager" and "bfloat16" in case.dtypes
    assert cell.state == ("skipped" if lacking else "good"), cell


@pytest.mark.parametrize(
    ("own", "native"),
    [
        pytest.param(name, native, marks=pytest.mark.backends(name), id=name)
        for name, native in OWN.items()
    ],
)
def test_the_frameworks_own_stands_beside_ours(own, native):
    """At a margin of 30 in float32 every one of them says 0, an error of millions of units."""
    pytest.importorskip(PEERS.get(own, own))
    (case,) = select("accuracy: margin 30")
    cell = cell_of(case, f"{own} eager")
    (value,) = (f for f in cell.findings if f.what == "value")
    assert (cell.native, value.theirs) == (native, "0")
    assert value.their_error > 1e6 > value.budget


@pytest.mark.backends("numpy")
def test_cases_that_share_a_program_come_together_and_none_is_lost():
    groups = list(_column.programs(CASES))
    assert sorted(identity(c) for group in groups for c in group) == sorted(map(identity, CASES))
    assert all(len({c.program for c in group}) == 1 for group in groups)
    margins = next(g for g in groups if "accuracy: margin 5" in map(identity, g))
    assert {"margin 5", "margin 85"} <= {c.name for c in margins}


@pytest.mark.backends("numpy")
def test_lists_are_part_of_a_program_and_tensors_are_not():
    (listed,) = select("options: arguments as lists")
    assert listed.arrays["targets"].fixed == listed.arrays["targets"].values
    assert listed.first.fixed == ()


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_computes_the_derivatives_that_it_does_not_leave_out(column):
    """A column that loses one without a declaration has nothing to be judged by."""
    (case,) = select("derivatives: labels, float32")
    backend, mode = column.split()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        held = _column.bench(adapter(backend, mode), case, column).compute(case)
    assert {"jvp", "hvp"} & set(held["quantities"]) == {"jvp", "hvp"} - set(left_out(column))


@pytest.mark.backends("numpy")
def test_every_output_is_computed_with_and_without_a_gradient():
    (case,) = select("score: labels, float32")
    held = _column.bench(adapter("numpy", "eager"), case, "numpy eager").compute(case)
    outputs = {"loss", "log_prob", "lse", "entropy", "prediction", "correct"}
    alone = {f"{name} alone" for name in outputs}
    assert set(held["quantities"]) == outputs | alone | {"gradient by logits"}
