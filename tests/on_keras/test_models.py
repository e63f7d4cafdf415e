"""The Keras drop-ins inside models: compile, fit, evaluate, save and load, masks and policies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras_backend import BACKEND, dtype_of, needs_gradients, numpy, tensor

import xentropy_keras as xk

# TensorFlow's and PyTorch's own machinery warns of itself; NumPy copies what PyTorch holds.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*(sparse|retracing|TensorFloat32|dynamo).*:UserWarning"),
]
RNG = np.random.default_rng(3)
IMAGES = RNG.normal(size=(64, 6)).astype("float32")
LABELS = (IMAGES @ RNG.normal(size=(6, 3))).argmax(-1).astype("int32")
HOT = np.eye(3, dtype="float32")[LABELS]
MANY = (IMAGES[:, :3] > 0).astype("float32")

#: A loss, the last activation of its model, and its targets.
LOSSES = {
    "one-hot": (lambda m: m.CategoricalCrossentropy(from_logits=True), None, HOT),
    "smoothed": (lambda m: m.CategoricalCrossentropy(label_smoothing=0.1), "softmax", HOT),
    "labels": (lambda m: m.SparseCategoricalCrossentropy(from_logits=True), None, LABELS),
    "ignored": (lambda m: m.SparseCategoricalCrossentropy(ignore_class=1), "softmax", LABELS),
    "binary": (lambda m: m.BinaryCrossentropy(), "sigmoid", MANY),
    "focal": (lambda m: m.CategoricalFocalCrossentropy(from_logits=True), None, HOT),
    "binary focal": (lambda m: m.BinaryFocalCrossentropy(from_logits=True), None, MANY),
    "generalized": (lambda m: m.CategoricalGeneralizedCrossEntropy(), "softmax", LABELS),
    "divergence": (lambda m: m.KLDivergence(), "softmax", HOT),
    "function": (lambda m: m.sparse_categorical_crossentropy, "softmax", LABELS),
}


#: Those whose training is compared with that by Keras' own loss.
TRAINED = ["smoothed", "ignored", "binary", "binary focal", "function"]


def model(loss: Any, activation: str | None = None, **options: Any) -> Any:
    """A small model, always with the same weights."""
    keras.utils.set_random_seed(1)
    layers = [keras.Input((6,)), keras.layers.Dense(8, "relu")]
    made = keras.Sequential([*layers, keras.layers.Dense(3, activation)])
    made.compile("adam", loss=loss, **options)
    return made


def train(make: Any, activation: str | None, targets: np.ndarray, **options: Any) -> list[float]:
    """The losses of three epochs."""
    fit = {key: options.pop(key) for key in ("sample_weight", "class_weight") if key in options}
    made = model(make, activation, **options)
    history = made.fit(IMAGES, targets, 32, 3, verbose=0, shuffle=False, **fit)
    losses: list[float] = history.history["loss"]
    return losses


@needs_gradients
@pytest.mark.parametrize("name", TRAINED)
def test_training_is_that_of_keras(name) -> None:
    make, activation, targets = LOSSES[name]
    ours, native = (train(make(module), activation, targets) for module in (xk, keras.losses))
    assert ours[-1] < ours[0]
    np.testing.assert_allclose(ours, native, rtol=1e-4)


@needs_gradients
@pytest.mark.parametrize("compiled", [True, False])
def test_training_compiled_and_eagerly(compiled) -> None:
    make, activation, targets = LOSSES["labels"]
    plain = train(make(xk), activation, targets, jit_compile=False)
    options = {"jit_compile": True} if compiled else {"run_eagerly": True}
    np.testing.assert_allclose(train(make(xk), activation, targets, **options), plain, rtol=1e-4)


@needs_gradients
def test_weights_are_those_of_keras() -> None:
    weights = {"sample_weight": RNG.uniform(1, 4, size=64).astype("float32")}
    weights |= {"class_weight": {0: 1.0, 1: 5.0, 2: 0.5}}
    make, activation, targets = LOSSES["labels"]
    found = []
    for kind, weight in weights.items():
        ours, native = (
            train(make(module), activation, targets, **{kind: weight})
            for module in (xk, keras.losses)
        )
        np.testing.assert_allclose(ours, native, rtol=1e-4)
        found.append(ours)
    assert abs(found[0][0] - found[1][0]) > 1e-2


@needs_gradients
def test_evaluation_is_that_of_keras() -> None:
    make, activation, targets = LOSSES["ignored"]
    ours, native = (
        model(make(module), activation).evaluate(IMAGES, targets, verbose=0)
        for module in (xk, keras.losses)
    )
    np.testing.assert_allclose(ours, native, rtol=1e-5)


@needs_gradients
def test_masks_of_an_embedding() -> None:
    words = RNG.integers(1, 9, size=(16, 5))
    words[:, 3:] = 0
    labels = words % 3
    found = []
    for module in (xk, keras.losses):
        keras.utils.set_random_seed(2)
        layers = [keras.Input((5,)), keras.layers.Embedding(9, 4, mask_zero=True)]
        made = keras.Sequential([*layers, keras.layers.Dense(3)])
        made.compile("adam", module.SparseCategoricalCrossentropy(from_logits=True))
        history = made.fit(words, labels, 16, 2, verbose=0, shuffle=False)
        found.append([*history.history["loss"], made.evaluate(words, labels, verbose=0)])
        logits = numpy(made(tensor(words)))[:, :3]
        losses = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(
            logits, labels[:, :3, None], -1
        ).squeeze(-1)
        np.testing.assert_allclose(found[-1][-1], losses.mean(), rtol=1e-4)
    np.testing.assert_allclose(*found, rtol=1e-4)


@needs_gradients
@pytest.mark.parametrize("name", LOSSES)
def test_a_model_is_saved_and_loaded_with_its_loss(name, tmp_path) -> None:
    make, activation, _ = LOSSES[name]
    made = model(make(xk), activation)
    made.optimizer.build(made.trainable_variables)
    made.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    if name == "function":
        assert loaded.loss is made.loss
    else:
        assert type(loaded.loss) is type(made.loss)
        assert loaded.loss.get_config() == made.loss.get_config()


@needs_gradients
def test_a_loaded_model_evaluates_as_the_saved_one(tmp_path) -> None:
    make, activation, targets = LOSSES["smoothed"]
    made = model(make(xk), activation)
    made.fit(IMAGES, targets, verbose=0)
    made.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    before, after = (one.evaluate(IMAGES, targets, verbose=0) for one in (made, loaded))
    np.testing.assert_allclose(after, before, rtol=1e-6)


CONFIGS = [
    xk.CategoricalCrossentropy(True, 0.1, 1, "sum", "one"),
    xk.SparseCategoricalCrossentropy(True, 3, "none", 1, "two"),
    xk.BinaryCrossentropy(True, 0.2, 0, "mean", "three"),
    xk.CategoricalFocalCrossentropy([0.1, 0.9], 3.0, True, 0.1, 1, "sum", "four"),
    xk.BinaryFocalCrossentropy(True, 0.1, 1.0, True, 0.1, 0, "sum", "five"),
    xk.CategoricalGeneralizedCrossEntropy(0.2, "sum", "six"),
    xk.KLDivergence("sum", "seven"),
]


@pytest.mark.parametrize("loss", CONFIGS, ids=lambda loss: loss.name)
def test_configurations_make_the_same_loss_again(loss) -> None:
    config = loss.get_config()
    assert loss.name == config["name"]
    assert type(loss).from_config(config).get_config() == config
    stored = keras.losses.serialize(loss)
    assert stored["registered_name"] == f"xentropy>{type(loss).__name__}"
    again = keras.losses.deserialize(stored)
    assert type(again) is type(loss)
    assert again.get_config() == config
    assert again._fn_kwargs == loss._fn_kwargs


@pytest.mark.parametrize("name", [name for name in xk.__all__ if name.islower()])
def test_functions_are_registered(name) -> None:
    function = getattr(xk, name)
    assert keras.saving.get_registered_name(function) == f"xentropy>{name}"
    assert keras.losses.deserialize(keras.losses.serialize(function)) is function


@needs_gradients
def test_a_loss_inside_a_functional_model(tmp_path) -> None:
    true, pred = keras.Input((3,), name="true"), keras.Input((3,), name="pred")
    loss = xk.categorical_crossentropy(true, pred, label_smoothing=0.1)
    assert tuple(loss.shape) == (None,)
    made = keras.Model([true, pred], loss)
    made.save(tmp_path / "loss.keras")
    again = keras.models.load_model(tmp_path / "loss.keras")
    probs = np.full((64, 3), [0.2, 0.3, 0.5], "float32")
    wanted = keras.losses.categorical_crossentropy(tensor(HOT), tensor(probs), label_smoothing=0.1)
    for one in (made, again):
        np.testing.assert_allclose(
            numpy(one([tensor(HOT), tensor(probs)])), numpy(wanted), rtol=1e-5
        )


@pytest.mark.parametrize(
    ("name", "rows"), [("binary_crossentropy", (None,)), ("kl_divergence", (None,))]
)
def test_symbolic_shapes_are_those_of_keras(name, rows) -> None:
    true, pred = keras.Input((3,)), keras.Input((3,))
    for module in (xk, keras.losses):
        assert tuple(getattr(module, name)(true, pred).shape) == rows


@needs_gradients
def test_mixed_precision() -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        make, activation, targets = LOSSES["labels"]
        ours, native = (train(make(m), activation, targets) for m in (xk, keras.losses))
        output = model(make(xk), activation)(tensor(IMAGES))
    finally:
        keras.config.set_dtype_policy(before)
    assert dtype_of(output) == "bfloat16"
    assert ours[-1] < ours[0]
    np.testing.assert_allclose(ours, native, rtol=2e-2)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="Keras keeps logits on TensorFlow only")
def test_logits_behind_an_activation_are_found_in_a_graph() -> None:
    import tensorflow as tf

    far, hot = tensor([[-200.0, 0.0, 0.0]]), tensor([[1.0, 0.0, 0.0]])
    for softmax in (keras.activations.softmax, tf.nn.softmax):
        function = tf.function(lambda x, s=softmax: xk.categorical_crossentropy(hot, s(x)))
        np.testing.assert_allclose(numpy(function(far)), [200 + np.log(2)], rtol=1e-5)
    with pytest.warns(UserWarning, match="from_logits=True"):
        xk.categorical_crossentropy(hot, keras.activations.softmax(far), True)
    # Of a focal loss from logits Keras takes the sigmoid, even of what is one already.
    ours, native = (
        module.binary_focal_crossentropy(hot, keras.activations.sigmoid(far), from_logits=True)
        for module in (xk, keras.losses)
    )
    np.testing.assert_allclose(numpy(ours), numpy(native), rtol=1e-5)


IMPORTED = """
import sys
import keras
before = set(sys.modules)
import xentropy_keras
roots = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(roots & {"tensorflow", "jax", "torch"}))
print(sorted(root for root in roots if root.startswith("xentropy_")))
"""


def test_importing_it_imports_no_framework_and_no_other_adapter() -> None:
    paths = os.pathsep.join([str(Path(xk.__file__).parents[1]), *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths}
    command = [sys.executable, "-c", IMPORTED]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines() == ["[]", "['xentropy_keras']"]
