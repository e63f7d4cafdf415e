"""The parity matrix: every case on every backend, eager and compiled, against a high-precision
oracle.

Run it with ``python -m xentropy parity``. A case is declared once (`cases`); each column, and the
oracle, computes it in a process of its own (`_column`, `_oracle`); the join (`_join`) compares them
and imports no framework.
"""
