"""The steps of the cases that hypothesis draws: by themselves, as no process has to draw them."""

from __future__ import annotations

from sharded_random import CASES
from sharded_torch import Step

STEPS = {
    name: Step("sharded_torch_numbers", "cut_anywhere", ("4 even",), example)
    for name, example in CASES.items()
}
