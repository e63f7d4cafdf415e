"""Real logits: a linear classifier's scores of handwritten digits."""

from __future__ import annotations

import json
from importlib.resources import files

from xentropy.parity._declare import Group

digits = Group("digits")

_fixture = json.loads(files("xentropy.parity").joinpath("data/digits_logits.json").read_text())
LOGITS, LABELS = _fixture["logits"], _fixture["labels"]
CE = "cross_entropy"

for _dtype in ("float16", "bfloat16", "float32", "float64"):
    digits(f"mean, {_dtype}", CE, LOGITS, LABELS, dtype=_dtype)
digits("none", CE, LOGITS, LABELS, reduction="none")
digits("smoothing", CE, LOGITS, LABELS, label_smoothing=0.1)
digits("softcap and z-loss", CE, LOGITS, LABELS, softcap=10.0, z_loss=1e-3)
digits("softmax", "softmax", LOGITS)
digits("logsumexp", "logsumexp", LOGITS, axis=-1)
digits("an even digit", "binary_cross_entropy", [row[0] for row in LOGITS],
       [float(label % 2 == 0) for label in LABELS])  # fmt: skip
