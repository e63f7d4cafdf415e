"""Calls that a type checker refuses and that raise: each function is one, run by test_typed.py."""
# An accepted mistake leaves an ignore without a use, which both checkers report.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import xentropy as xe

x: NDArray[np.float32] = np.ones((2, 3), np.float32)
y: NDArray[np.int64] = np.asarray([0, 1])


def reduction() -> None:
    xe.cross_entropy(x, y, reduction="avg")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def normalizer() -> None:
    xe.nll_loss(x, y, normalizer="rows")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def unknown_option() -> None:
    xe.cross_entropy(x, y, smoothing=0.1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def passed_on() -> None:
    xe.poly_loss(x, y, reduction="avg")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def unknown_passed_on() -> None:
    xe.score(x, y, reduction="none")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def form() -> None:
    xe.focal_loss(x, y, form="tanh")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def kind_of_targets() -> None:
    xe.kl_divergence(x, x, targets_are="labels")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def not_keyword_only() -> None:
    xe.softmax(x, 0)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def axis() -> None:
    xe.logsumexp(x, axis="rows")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def smoothing_of_a_head() -> None:
    xe.linear_cross_entropy(x, x, y, label_smoothing="some")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def threads() -> None:
    with xe.options(threads="all"):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        pass


def gradient_of() -> None:
    xe.value_and_grad(xe.score, of=1)(x, y)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
