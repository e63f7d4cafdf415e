"""The declared differences of the Keras drop-ins, on the backend of this process."""

from __future__ import annotations

import pytest
from drop_ins import answer
from keras_backend import BACKEND
from names_keras import LOSSES

from xentropy.parity.differences import Difference, differences

HERE = [one for one in differences("keras") if not one.backends or BACKEND in one.backends]


# NumPy warns of infinities and NaN in Keras' own losses.
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("one", HERE, ids=lambda one: one.title)
def test_a_difference_is_what_both_do(one: Difference) -> None:
    assert answer("keras", one.code, ours=False) == one.native
    assert answer("keras", one.code, ours=True) == one.ours


def test_every_function_is_declared_by_its_name() -> None:
    names = {name for one in differences("keras") for name in one.functions}
    assert names == set(LOSSES)
