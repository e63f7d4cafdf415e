"""Left out where Keras is not installed or has no backend named.

A process has one backend of Keras, and the other tests must not choose it.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

READY = "KERAS_BACKEND" in os.environ and find_spec("keras") is not None
collect_ignore_glob = [] if READY else ["test_*.py"]
