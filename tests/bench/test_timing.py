"""Taking turns, with a clock that only the contenders move; and statistics against NumPy's."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from benchmarks import summary, timing
from benchmarks.summary import Spread
from benchmarks.timing import interleave

pytestmark = pytest.mark.backends("numpy")


class Stage:
    """A clock, and contenders that take so long."""

    def __init__(self):
        self.now, self.played = 0.0, []

    def clock(self):
        return self.now

    def contender(self, name, *seconds):
        """It takes the next of its times at each call, and the last one ever after."""
        times = list(seconds)

        def call():
            self.played.append(name)
            self.now += times.pop(0) if len(times) > 1 else times[0]

        return call


def test_contenders_take_turns_and_another_one_begins_each_round():
    stage = Stage()
    calls = {name: stage.contender(name, 1.0) for name in "abc"}
    samples = interleave(calls, seconds=0.1, clock=stage.clock)
    assert "".join(stage.played) == "abc" + "abcbcacababcbca"  # each alone, then the rounds
    assert samples == {name: [1.0] * timing.LEAST for name in "abc"}


def test_the_first_calls_do_not_count():
    stage = Stage()
    samples = interleave({"a": stage.contender("a", 0.04, 0.03, 0.02, 0.01)}, 1, stage.clock)
    assert samples["a"] == pytest.approx([0.01] * timing.MOST)
    samples = interleave({"a": stage.contender("a", 60.0, 1.0)}, 1, stage.clock)
    assert samples["a"] == [1.0] * timing.LEAST


def test_rounds_fill_the_time_that_they_are_given():
    assert timing.rounds(0.1, 1.0) == 10
    assert timing.rounds(100.0, 1.0) == timing.LEAST
    assert timing.rounds(1e-9, 1.0) == timing.MOST


def test_a_short_call_is_repeated_within_a_sample():
    stage = Stage()
    samples = interleave(
        {"short": stage.contender("s", 1e-4), "long": stage.contender("l", 0.01)}, 1, stage.clock
    )
    assert stage.played.count("s") == 3 + len(samples["short"]) * timing.SAMPLE / 1e-4
    assert samples["short"] == pytest.approx([1e-4] * timing.MOST)
    assert samples["long"] == pytest.approx([0.01] * timing.MOST)


def test_a_rest_comes_before_each_sample_and_does_not_count():
    stage = Stage()
    calls = {name: stage.contender(name, 1.0) for name in "ab"}
    samples = interleave(calls, 0.1, stage.clock, rest=stage.contender("-", 5.0))
    assert "".join(stage.played) == "ab" + "-a-b-b-a" * 2 + "-a-b"
    assert samples == {name: [1.0] * timing.LEAST for name in "ab"}


def test_what_slows_a_round_slows_both_and_leaves_the_ratio():
    ours, theirs = [2.0, 20.0, 2.0], [4.0, 40.0, 4.0]
    assert summary.ratio(ours, theirs) == Spread(0.5, 0.5, 0.5)


def test_nobody_collects_while_the_clock_runs():
    seen = []
    interleave({"a": lambda: seen.append(gc.isenabled())}, 0.01)
    assert seen[0] is True
    assert seen[-1] is False
    assert gc.isenabled()


def test_the_collector_comes_back_after_an_error():
    with pytest.raises(ZeroDivisionError), timing.without_collector():
        1 / 0  # noqa: B018  # the error itself
    assert gc.isenabled()


@pytest.mark.parametrize("count", [2, 5, 6, 41])
def test_quartiles_are_those_of_numpy(count):
    samples = np.random.default_rng(count).exponential(size=count)
    found = summary.spread(list(samples))
    expected = np.quantile(samples, [0.5, 0.25, 0.75])
    np.testing.assert_allclose(found, expected, rtol=10.0 ** (1 - summary.DIGITS))


def test_the_ratio_is_the_median_of_the_rounds_ratios():
    random = np.random.default_rng(0)
    ours, theirs = random.exponential(size=(2, 11))
    expected = np.quantile(ours / theirs, [0.5, 0.25, 0.75])
    found = summary.ratio(list(ours), list(theirs))
    np.testing.assert_allclose(found, expected, rtol=10.0 ** (1 - summary.DIGITS))


def test_a_single_sample_is_its_own_spread():
    assert summary.spread([0.25]) == Spread(0.25, 0.25, 0.25)
    with pytest.raises(ValueError, match="at least one sample"):
        summary.spread([])


def test_a_wide_spread_is_said_to_be_wide():
    assert Spread(1.0, 0.9, 1.3).wide
    assert not Spread(1.0, 0.95, 1.1).wide


def test_apart_is_as_wide_as_both():
    assert summary.apart(Spread(2.0, 1.0, 3.0), Spread(4.0, 2.0, 5.0)) == Spread(0.5, 0.2, 1.5)
