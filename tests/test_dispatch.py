"""The type of the array chooses the backend: built in, by entry point, by namespace."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from harness import Framework

import xentropy as xe
from xentropy import _dispatch

PLUGIN = Path(__file__).parent / "plugin"


def in_a_process(code: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter, with a folder of installed distributions before others."""
    setup = f"import sys; sys.path[:0] = {[str(path)] if path else []}; sys.path += {sys.path!r}\n"
    return subprocess.run(
        [sys.executable, "-c", setup + code],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip would leave of the plugin distribution: its packages and its metadata."""
    folder = tmp_path_factory.mktemp("site")
    for package in ("listy", "xentropy_listy"):
        shutil.copytree(PLUGIN / package, folder / package)
    info = folder / "xentropy_listy-0.0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: xentropy-listy\nVersion: 0.0.1\n")
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    entries = project["entry-points"]["xentropy.backends"].items()
    lines = ["[xentropy.backends]", *(f"{name} = {value}" for name, value in entries)]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (folder / "broken").mkdir()
    (folder / "broken" / "__init__.py").write_text("class Broken: pass\n")
    return folder


def test_a_plugin_serves_its_own_arrays(site: Path) -> None:
    done = in_a_process(
        "import listy, xentropy as xe\n"
        "x = listy.Listy([[30.0, 0.0, 0.0]])\n"
        "print(f'{xe.cross_entropy(x, [0]):.6g}')\n"
        "print(xe.value_and_grad(xe.cross_entropy)(x, listy.Listy([0]))[1].shape)\n",
        site,
    )
    assert done.stdout.split("\n")[:2] == ["1.87152e-13", "(1, 3)"], done.stderr


def test_only_the_plugin_of_the_array_is_loaded(site: Path) -> None:
    done = in_a_process(
        "import numpy as np, xentropy as xe, sys\n"
        "xe.softmax(np.ones(3))\n"
        "print('xentropy_listy' in sys.modules, 'xentropy_torch' in sys.modules)\n",
        site,
    )
    assert done.stdout.strip() == "False False", done.stderr


def test_a_broken_plugin_warns_and_is_passed_over(site: Path) -> None:
    done = in_a_process(
        "import broken, warnings, xentropy as xe\n"
        "warnings.simplefilter('always')\n"
        "try: xe.softmax(broken.Broken())\n"
        "except TypeError as error: print(error)\n",
        site,
    )
    assert "x is a broken.Broken, which no backend knows" in done.stdout, done.stderr
    assert "plugin 'xentropy_listy:no_such_name' for broken failed to load" in done.stderr


def test_a_broken_plugin_is_tried_and_warned_of_once(site: Path) -> None:
    done = in_a_process(
        "import broken, warnings, xentropy as xe\n"
        "warnings.simplefilter('always')\n"
        "for function in (xe.softmax, xe.sigmoid, xe.entropy):\n"
        "    try: function(broken.Broken())\n"
        "    except TypeError as error: print(error)\n",
        site,
    )
    assert done.stdout.count("which no backend knows") == 3, done.stderr
    assert done.stderr.count("failed to load") == 1


def test_a_plugin_is_loaded_by_its_entry_point_alone(tmp_path: Path) -> None:
    """Not by the name of a package that happens to be there."""
    for package in ("lonely", "xentropy_lonely"):
        (tmp_path / package).mkdir()
    (tmp_path / "lonely" / "__init__.py").write_text("class Lonely: pass\n")
    (tmp_path / "xentropy_lonely" / "__init__.py").write_text("raise SystemExit('loaded')\n")
    done = in_a_process(
        "import sys, lonely, xentropy as xe\n"
        "try: xe.softmax(lonely.Lonely())\n"
        "except TypeError as error: print(error)\n"
        "print('xentropy_lonely' in sys.modules)\n",
        tmp_path,
    )
    assert "an entry point in the group 'xentropy.backends'" in done.stdout, done.stderr
    assert done.stdout.split()[-1] == "False"


def test_importing_xentropy_imports_no_framework() -> None:
    done = in_a_process(
        "import xentropy\n"
        "print([m for m in ('numpy', 'torch', 'tensorflow', 'jax', 'array_api_compat', "
        "'xentropy_numpy', 'xentropy_torch') if m in sys.modules])\n"
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.backends("numpy")
def test_subclasses_find_their_framework() -> None:
    class Mine(np.ndarray):
        pass

    x = np.ones(3).view(Mine)
    assert float(xe.logsumexp(x)) == pytest.approx(1 + np.log(3))
    assert type(xe.softmax(x)) is np.ndarray


@pytest.mark.backends("numpy")
def test_numpy_scalars() -> None:
    assert xe.sigmoid(np.float32(0.0)) == 0.5
    assert isinstance(xe.sigmoid(np.float64(1.0)), np.float64)


@pytest.mark.backends("torch")
def test_parameters_are_tensors() -> None:
    import torch

    x = torch.nn.Parameter(torch.zeros(2, 3))
    xe.cross_entropy(x, torch.tensor([0, 1])).backward()
    assert x.grad is not None


@pytest.mark.backends("tensorflow")
def test_variables_are_watched() -> None:
    import tensorflow as tf

    x = tf.Variable([[1.0, 2.0, 3.0]])
    with tf.GradientTape() as tape:
        loss = xe.cross_entropy(x, [0])
    grad = tape.gradient(loss, x).numpy()[0]
    p = np.exp([1.0, 2.0, 3.0]) / np.exp([1.0, 2.0, 3.0]).sum()
    np.testing.assert_allclose(grad, p - [1, 0, 0], rtol=1e-6)


def test_a_known_type_is_one_lookup(framework: Framework) -> None:
    x = framework.array([1.0, 2.0])
    backend = _dispatch.backend_of(x, "x")
    assert _dispatch._known[type(x)] is backend
    assert _dispatch.backend_of(x, "x") is backend
