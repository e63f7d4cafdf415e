"""The oracle's mathematics: every function straight from its definition, in arbitrary precision.

Nothing here is taken from the core: no shift by the maximum, no log1p, no merged sums. What a
textbook writes is computed with enough digits (`xentropy.parity._oracle` chooses them) that its
cancellations do no harm.
"""
