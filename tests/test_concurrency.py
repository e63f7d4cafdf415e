"""Many threads at once, a process that forks, one that ends.

How the pool itself shares blocks, and stops at an error or an interrupt, is in test_plans.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from derivatives import SAMPLES
from harness import Framework

import xentropy as xe

CALLERS = 6
ROOT = Path(xe.__file__).parents[1]
#: A sample of each way that a loss is computed.
CALLS = [
    "cross_entropy, labels",
    "cross_entropy, probabilities",
    "binary_cross_entropy",
    "focal_loss, softmax",
    "score",
    "linear_cross_entropy, labels",
]
SCHEDULES = [(3, 1), (7, 3), (50, 2)]


def problem(framework: Framework, name: str) -> Any:
    """A sample's call, of rows enough for many blocks; it gives the bytes of all results."""
    sample = SAMPLES[name]
    heads = ("weight", "bias", "class_weights", "pos_weight", "alpha")
    arrays = {
        n: framework.array(x if n in heads else np.repeat(x, 12, axis=0), x.dtype.name)
        for n, x in {**sample.leaves, **sample.constants}.items()
    }
    both = xe.value_and_grad(getattr(xe, sample.function), wrt=tuple(sample.leaves))

    def call(block: int, threads: int) -> list[bytes]:
        with xe.options(block_size=block, threads=threads):
            value, gradients = both(**arrays, **sample.options)
        values = value if isinstance(value, tuple) else (value,)
        return [framework.numpy(x).tobytes() for x in (*values, *gradients)]

    return call


def test_threads_get_the_bits_that_each_gets_alone(framework: Framework) -> None:
    """Each with options of its own, all over the same pool."""
    problems = [problem(framework, name) for name in CALLS]
    jobs = [(call, *schedule) for call in problems for schedule in SCHEDULES]
    alone = [call(*schedule) for call, *schedule in jobs]
    start = threading.Barrier(CALLERS, timeout=60)

    def work(seed: int) -> list[tuple[int, list[bytes]]]:
        start.wait()
        order = np.random.default_rng(seed).permutation(len(jobs)).tolist()
        return [(i, jobs[i][0](*jobs[i][1:])) for i in order]

    with ThreadPoolExecutor(CALLERS) as pool:
        for found in pool.map(work, range(CALLERS)):
            for i, bits in found:
                assert bits == alone[i], (CALLS[i // len(SCHEDULES)], jobs[i][1:])


def test_an_error_in_one_thread_is_raised_there_alone(framework: Framework) -> None:
    x = framework.array(np.random.default_rng(0).normal(size=(40, 5)), "float64")
    labels = framework.array(np.arange(40) % 5, "int64")
    wanted = framework.numpy(xe.cross_entropy(x, labels))

    def work(i: int) -> Any:
        with xe.options(block_size=10, threads=2):
            if i % 2:
                with pytest.raises(ValueError, match="temperature must be"):
                    xe.cross_entropy(x, labels, temperature=-1.0)
            return framework.numpy(xe.cross_entropy(x, labels))

    with ThreadPoolExecutor(CALLERS) as pool:
        for found in pool.map(work, range(4 * CALLERS)):
            np.testing.assert_allclose(found, wanted, rtol=1e-13)


SETUP = f"""
import os, sys, threading, time
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "backends")!r}]
import numpy as np, xentropy as xe
x, t = np.random.default_rng(0).normal(size=(400, 300)), np.arange(400) % 300
def loss():
    with xe.options(block_size=600, threads=4):
        return xe.value_and_grad(xe.cross_entropy)(x, t)[0]
before = loss()
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    """A Python process of its own, which has used the pool; it must end by itself."""
    command = [sys.executable, "-c", SETUP + code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.backends("numpy")
def test_a_process_ends_while_its_pool_is_alive() -> None:
    """Also where a thread that nobody waits for still computes."""
    done = run("""
def forever():
    try:
        while True: loss()
    except RuntimeError: pass  # a pool takes no more at the end
threading.Thread(target=forever, daemon=True).start()
time.sleep(0.05)
print("end")
""")
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr


@pytest.mark.backends("numpy")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_while_other_threads_compute() -> None:
    """The child has none of the threads, and whatever lock they held."""
    done = run("""
import warnings
warnings.simplefilter("ignore")  # Python's own, of forks beside threads
stop = []
def forever():
    while not stop: loss()
others = [threading.Thread(target=forever) for _ in range(3)]
for other in others: other.start()
codes = []
for _ in range(10):
    child = os.fork()
    if not child:
        os._exit(0 if loss() == before else 1)
    codes.append(os.waitpid(child, 0)[1])
stop.append(True)
for other in others: other.join()
print(codes == [0] * 10, loss() == before)
""")
    assert done.stdout.split() == ["True", "True"], done.stderr
