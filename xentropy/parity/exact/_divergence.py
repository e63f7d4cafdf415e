"""kl_divergence, ``sum(t * (log t + nat))``, with its three kinds of targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Protocol

from mpmath import mp, mpf

from xentropy.parity._case import Case
from xentropy.parity._formats import compute_dtype
from xentropy.parity.exact._given import Given
from xentropy.parity.exact._number import (
    INFINITY,
    NOTHING,
    ONE,
    UNDEFINED,
    ZERO,
    Exact,
    Tensor,
    depth,
    sure,
    total,
)
from xentropy.parity.exact._reduction import Reduction, reduction
from xentropy.parity.exact._rows import LogitRow, Warp


class Pair(Protocol):
    """A row of logits and the row of targets that it is compared with."""

    @property
    def mass(self) -> mpf:
        """The sum of the targets."""
        ...

    @property
    def loss(self) -> Exact:
        """The divergence."""
        ...

    def by_logits(self) -> list[Exact]:
        """Its gradient by the logits."""
        ...

    def by_targets(self) -> list[tuple[Exact, mpf]]:
        """Its gradient by the targets as they were given, and that of the mass."""
        ...


class GivenPair:
    """Targets that are probabilities, or the logarithms of some, as they are."""

    def __init__(self, student: LogitRow, targets: Sequence[mpf], logs: bool) -> None:
        self.student, self.logs = student, logs
        self.log_t = list(targets) if logs else [_log(t) for t in targets]
        self.t = [mp.exp(t) for t in targets] if logs else list(targets)

    @property
    def mass(self) -> mpf:
        """Any number: targets need not sum to 1."""
        return mp.fsum(self.t)

    @property
    def loss(self) -> Exact:
        """Of terms of both signs, so that it is judged relative to the sum of their magnitudes."""
        return total(self._term(j).times(t) for j, t in enumerate(self.t))

    def _term(self, j: int) -> Exact:
        """``log t + nat``."""
        return _plus(sure(self.log_t[j]), self.student.nats[j])

    def by_logits(self) -> list[Exact]:
        """``w * p - t``."""
        return self.student.pull([sure(t) for t in self.t], ZERO)

    def by_targets(self) -> list[tuple[Exact, mpf]]:
        """``log t + nat + 1``, times t where the logarithm was given."""
        return [self._by_target(j) for j in range(len(self.t))]

    def _by_target(self, j: int) -> tuple[Exact, mpf]:
        if not self.student.kept[j]:
            return NOTHING, ZERO
        slope = _plus(self._term(j), sure(ONE))
        return (slope.times(self.t[j]), self.t[j]) if self.logs else (slope, ONE)


class LogitPair:
    """Targets that are logits: two softmaxes over the same classes.

    What a computation gets of their difference is ``D_j = y_j - x_j``, each off by an epsilon of
    its magnitude, and exponentials as in any softmax. The terms are ``t * (l - 1 + exp(-l))`` with
    ``l = log(t / p)``, of one sign: the value and the gradients are judged relative to themselves.
    """

    def __init__(self, student: LogitRow, teacher: LogitRow) -> None:
        self.student, self.teacher = student, teacher
        self.p, self.t = student.softmax.p, teacher.softmax.p
        self.defined = student.softmax.defined and teacher.softmax.defined
        units = 1 if student.warp.temperature == 1 else 2
        pairs = zip(student.softmax.z, teacher.softmax.z, strict=True)
        self.apart = [units * _apart(x, y) for x, y in pairs]

    @property
    def mass(self) -> mpf:
        """Softmaxes sum to 1."""
        return ONE

    @cached_property
    def logs(self) -> list[mpf]:
        """l_j, where both probabilities are above 0."""
        pairs = zip(self.t, self.p, strict=True)
        return [mp.log(t / p) if t and p else ZERO for t, p in pairs]

    @cached_property
    def log_slack(self) -> mpf:
        """Epsilons that the common part of every l_j may be off by, ``log(sum(p * exp(D)))``.

        Its terms are rounded, and so is their sum, once for each level of a tree over them.
        """
        moved = mp.fsum(t * d for t, d in zip(self.t, self.apart, strict=True))
        pairs, sums = enumerate(zip(self.p, self.t, strict=True)), depth(len(self.p))
        unsure = (abs(t - p) * (self._unsure(j) + sums) for j, (p, t) in pairs if t != p)
        return moved + mp.fsum(unsure)

    def _unsure(self, j: int) -> mpf:
        """Epsilons of what a class moves between the two; one that one of them lacks, all of it."""
        if self.p[j] and self.t[j]:
            return self.student.softmax.sensitivity(j)
        has = self.student if self.p[j] else self.teacher
        return ONE + has.softmax.sensitivity(j)

    @cached_property
    def near(self) -> bool:
        """Whether the two agree about the logits' top class to a factor of 2."""
        own = self.student.softmax.z.index(self.student.softmax.top)
        return bool(self.t[own]) and abs(self.logs[own]) < mp.log(2)

    def _log_slack(self, j: int) -> mpf:
        """Epsilons that l_j may be off by.

        Where the two are not near it is the difference of two nats, each as far off as what was
        exponentiated: then an entry that both think equally unlikely has no digits of its own.
        """
        slack = self.apart[j] + self.log_slack
        sides = () if self.near else (self.student, self.teacher)
        return slack + mp.fsum(side.softmax.shaken[j] for side in sides)

    @property
    def loss(self) -> Exact:
        """Never negative."""
        return self._loss

    @cached_property
    def _loss(self) -> Exact:
        if not self.defined:
            return UNDEFINED
        if any(t and not p for t, p in zip(self.t, self.p, strict=True)):
            return Exact(INFINITY, ZERO)
        value = mp.fsum(t * log for t, log in zip(self.t, self.logs, strict=True))
        return Exact(value, value, mp.fsum(self._moved(j, value) for j in range(len(self.t))))

    def _moved(self, j: int, value: mpf) -> mpf:
        """What a class' D and exponential may move the value by."""
        t, log = self.t[j], self.logs[j]
        of_difference = (abs(log - value) + abs(mp.expm1(-log))) * self.apart[j]
        of_power = self.teacher.softmax.sensitivity(j) * (log + mp.expm1(-log))
        return t * (of_difference + of_power)

    def by_logits(self) -> list[Exact]:
        """``p - t``."""
        return [self.student.through(j, self._residual(j)) for j in range(len(self.p))]

    def _residual(self, j: int) -> Exact:
        if not self.defined:
            return UNDEFINED
        p, t = self.p[j], self.t[j]
        softmaxes = (self.student.softmax, self.teacher.softmax)
        of_power = max(s.sensitivity(j) for s in softmaxes) * abs(p - t)
        moved = max(p, t) * self._log_slack(j) if p and t else ZERO
        return Exact(p - t, abs(p - t), of_power + moved)

    def by_targets(self) -> list[tuple[Exact, mpf]]:
        """``t * (l - value)``."""
        slopes = (self._by_target(j) for j in range(len(self.t)))
        return [(self.teacher.through(j, slope), ZERO) for j, slope in enumerate(slopes)]

    def _by_target(self, j: int) -> Exact:
        if not self.defined:
            return UNDEFINED
        if not self.t[j]:
            return NOTHING
        log = self.logs[j]
        own = Exact(log, abs(log), self._log_slack(j))
        return self.teacher.softmax.share(j).product(total((own, self.loss.negated())))


class Divergence:
    """The rows reduced, and every gradient."""

    def __init__(self, case: Case) -> None:
        self.case, self.given = case, Given(case)
        self.weights = self.given.spread("sample_weights", 1.0, self.given.rest)

    @cached_property
    def pairs(self) -> list[Pair]:
        """The rows."""
        kind = self.given.option("targets_are", "probabilities")
        students, targets = self._rows("logits"), self.given.split("targets")
        if kind == "logits":
            teachers = self._rows("targets")
            return [LogitPair(x, y) for x, y in zip(students, teachers, strict=True)]
        logs = kind == "log_probabilities"
        return [GivenPair(x, y, logs) for x, y in zip(students, targets, strict=True)]

    def _rows(self, name: str) -> list[LogitRow]:
        warp = Warp(self.given.number("temperature", 1.0))
        rows = zip(self.given.split(name), self.given.masks, strict=True)
        return [LogitRow(x, mask, warp) for x, mask in rows]

    @cached_property
    def losses(self) -> list[Exact]:
        """Every row's divergence; a row of weight 0 adds nothing, whatever it holds."""
        pairs = zip(self.pairs, self.weights, strict=True)
        return [pair.loss.times(s) if s else NOTHING for pair, s in pairs]

    @cached_property
    def reduction(self) -> Reduction:
        """How the rows are reduced."""
        pairs = zip(self.pairs, self.weights, strict=True)
        masses = [s * pair.mass if s else ZERO for pair, s in pairs]
        return reduction(self.given, masses, sum(s != 0 for s in self.weights))

    def value(self) -> Tensor:
        """The reduced divergence."""
        shape, numbers = self.reduction.value(self.losses, self.given.rest)
        return Tensor(compute_dtype(self.case.first.dtype), shape, numbers)

    def gradient(self, name: str) -> Tensor:
        """The gradient by one of the arguments."""
        held = self.case.arrays[name]
        if name == "sample_weights":
            each = [self._total(pair.loss, pair.mass) for pair in self.pairs]
            return Tensor(held.dtype, held.shape, each)
        by: Callable[[Pair], list[tuple[Exact, mpf]]] = (
            (lambda pair: pair.by_targets()) if name == "targets" else _by_logits
        )
        rows = [
            [self._total(g.times(s), s * n) for g, n in by(pair)] if s else [NOTHING] * self.classes
            for pair, s in zip(self.pairs, self.weights, strict=True)
        ]
        return Tensor(held.dtype, held.shape, self.given.scatter(rows))

    @property
    def classes(self) -> int:
        """K."""
        return self.given.shape[self.given.axis]

    def _total(self, direct: Exact, of_count: mpf) -> Exact:
        return self.reduction.gradient(self.losses, direct, of_count)


def _by_logits(pair: Pair) -> list[tuple[Exact, mpf]]:
    return [(g, ZERO) for g in pair.by_logits()]


def _log(t: mpf) -> mpf:
    return mp.log(t) if t else -INFINITY


def _plus(first: Exact, second: Exact) -> Exact:
    """A sum of two; an infinity carries no rounding."""
    if mp.isinf(first.value) or mp.isinf(second.value):
        return Exact(first.value + second.value, ZERO)
    return total((first, second))


def _apart(x: mpf, y: mpf) -> mpf:
    """Epsilons that ``y - x`` may be off by; an infinite one carries no rounding."""
    return ZERO if mp.isinf(x) or mp.isinf(y) or mp.isnan(x + y) else abs(y - x)
