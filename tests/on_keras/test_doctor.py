"""``xentropy doctor`` on the backend that Keras is set to."""

from __future__ import annotations

import keras

from xentropy.doctor._health import Told, judged
from xentropy.doctor._probe import facts


def test_keras_agrees() -> None:
    held = {name: fact for found in facts("keras", compiling=False) for name, fact in found.items()}
    health = judged("keras", Told(held, held.pop("step")))
    assert health.wrong == ()
    assert health.modes["eager"].fine
    assert (health.modes["eager"].gradient is None) == (keras.config.backend() == "numpy")
    assert next(iter(health.versions)) == "keras"
