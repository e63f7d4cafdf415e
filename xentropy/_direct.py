"""One visit to rows with labels, in the exponentials of the logits themselves.

Of the row of a label l count e = exp(x_l) and o, the sum of all the other exponentials:

    loss = w log1p(o / e),   p_j = exp(x_j) / (e + o),   gradient w p_j, and -w o / (e + o) at l.

Those are the four numbers of `_stats` with the label's logit in the place of the maximum: all terms
have one sign, so nothing cancels. No maximum is looked for and nothing is subtracted from the
logits, so that two passes are spared, and an exponential has no error but its own. A factor that
all of a row have in common changes nothing, so a framework may take a softmax for exp where that is
its quicker way: then e + o is about 1.

What it asks for is a range. Sums must not overflow; e must be a normal number, and so must be what
all of a row is multiplied by, w / (e + o). An exponential that is too small to be normal has lost
digits, and its probability must not have them: it has none where e + o >= 1. Below, o must be large
beside such, for the loss, and e + o no less than w, for the gradient; or there is none such.
`in_range` says so of all rows, `flags` of each.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from xentropy._inplace import Numbers, Ops
from xentropy._typing import Array, DType, Namespace

# Of what a sum is no less where it is 1 but for rounding.
_ONE = 0.99


class Sums(NamedTuple):
    """What a visit finds out about every row: e and o."""

    own: Array
    others: Array


class Range(NamedTuple):
    """What fits: the least normal number, the largest number and sum, the largest factor of rows.

    ``many`` is the least sum in which errors of numbers that are not normal do not show.
    """

    tiny: float
    huge: float
    most: float
    many: float
    factor: float


def range_of(xp: Namespace, dtype: DType, factor: Numbers) -> Range | None:
    """What fits, or None if factors of rows, those of 0 aside, do not.

    Sums have seven tenths of the exponents of a dtype, and factors the quarter around 1.
    """
    info = xp.finfo(dtype)
    tiny, huge = float(info.smallest_normal), float(info.max)
    if isinstance(factor, float):
        low = high = abs(factor)
    else:
        size = xp.abs(factor)
        high = float(xp.max(size))
        low = float(xp.min(xp.where(size == 0, xp.zeros_like(size) + 1, size)))
    if not (high == 0 or (low >= huge**-0.25 and high <= huge**0.25)):
        return None
    return Range(tiny, huge, huge**0.7, tiny / float(info.eps), high)


def visit(ops: Ops, scores: Array, label: Array, axis: int, *, buffer: Array, sums: Sums) -> None:
    """Visit a block of rows once, and write their sums.

    The exponentials fill the buffer, 0 at the labels' places.
    """
    exp = ops.shares(scores, axis, out=buffer)
    exp = ops.exp(scores, out=buffer) if exp is None else exp
    ops.pick(exp, label, axis, out=sums.own)
    ops.put(exp, label, 0.0, axis)
    ops.sum(exp, axis, out=sums.others)


def in_range(ops: Ops, known: Range, sums: Sums, logits: Array) -> bool:
    """Whether all rows are in range; rarely False where they are."""
    (own, most), (others, more) = ops.extremes(sums.own), ops.extremes(sums.others)
    # Written so that it is False of NaN.
    if not (own >= known.tiny and most + more <= min(known.most, own * known.huge)):
        return False
    # No row has less than the two have apart, and as a rule that is enough.
    low = own + others
    if low >= _ONE:
        return True
    low = ops.smallest(sums.own + sums.others)
    if low >= _ONE or (low >= known.factor and others >= known.many):
        return True
    return low >= known.most**-1 and ops.smallest(logits) >= math.log(known.tiny)


def flags(xp: Namespace, known: Range, sums: Sums, logits: Array, axis: int) -> Array:
    """Which rows are in range; each is judged alone, whatever rows are visited with it."""
    own, others = sums
    total = own + others
    fine = (own >= known.tiny) & (total <= known.most) & (others / own <= known.huge)
    deep = xp.min(logits, axis=axis, keepdims=True) >= math.log(known.tiny)
    deep = deep & (total >= known.most**-1)
    return fine & ((total >= _ONE) | ((total >= known.factor) & (others >= known.many)) | deep)


def losses(ops: Ops, sums: Sums, mass: Numbers) -> Array:
    """w log1p(o / e) of every row, over its o."""
    out = sums.others
    out /= sums.own
    ops.log1p(out, out=out)
    if not (isinstance(mass, float) and mass == 1.0):
        ops.multiply(out, mass, out=out)
    return out


def gradient(ops: Ops, exp: Array, sums: Sums, label: Array, factor: Numbers, axis: int) -> None:
    """Write the gradient of the losses times a factor over the exponentials."""
    ops.put(exp, label, -sums.others, axis)
    ops.multiply(exp, ops.reciprocal(sums.own + sums.others) * factor, out=exp)
