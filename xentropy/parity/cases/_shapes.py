"""Axes, leading dimensions, single classes, and every integer dtype of labels."""

from __future__ import annotations

from xentropy.parity._declare import Group, filled, integers, normal, of, plain, simplex

shapes = Group("shapes and axes")
labels = Group("label dtypes")

CE = "cross_entropy"
CUBE = normal(51, 2, 4, 3)

shapes("one row without a batch", CE, [1.0, 2.0, 3.0], plain(0, "int32"),
       reduction="none")  # fmt: skip
shapes("one row without a batch, mean", CE, [1.0, 2.0, 3.0], of(0, "int64"))
shapes("one row without a batch, soft", CE, [1.0, 2.0, 3.0], [0.25, 0.25, 0.5])
shapes("one class", CE, [[5.0], [-2.0]], [0, 0])
shapes("one row of one class", CE, [[5.0]], [[1.0]])
for _axis, _rest in ((0, (4, 3)), (1, (2, 3)), (-3, (4, 3))):
    _k = CUBE.shape[_axis]
    shapes(f"2 x 4 x 3, axis {_axis}, labels", CE, CUBE, integers(52, _k, *_rest), axis=_axis)
    shapes(f"2 x 4 x 3, axis {_axis}, soft", CE, CUBE, simplex(53, 2, 4, 3), axis=_axis,
           reduction="none")  # fmt: skip
shapes("axis 1, weights and a mask", CE, CUBE, [[0, 1, 3], [3, 0, 1]], axis=1,
       class_weights=[1.0, 2.0, 0.5, 0.25], where=[True, True, False, True],
       sample_weights=[[1.0, 0.5, 2.0], [0.0, 1.0, 3.0]], label_smoothing=0.1)  # fmt: skip
shapes("axis 1, a mask of ones and classes", CE, CUBE, [[0, 1, 3], [3, 0, 1]], axis=1,
       where=[[[True], [True], [False], [True]]])  # fmt: skip
shapes("axis 1 of five dimensions", CE, normal(54, 2, 3, 2, 1, 2), integers(55, 3, 2, 2, 1, 2),
       axis=1, reduction="none")  # fmt: skip
shapes("axis 0, ignored", CE, normal(56, 3, 5), [0, -1, 2, 1, -1], axis=0, ignore_index=-1)
shapes("as many rows as classes, axis 0", CE, normal(57, 3, 3), [0, 2, 1], axis=0)
shapes("as many rows as classes, axis 1", CE, normal(57, 3, 3), [0, 2, 1], axis=1)
shapes("no rows, two leading dimensions", CE, filled(0.0, 2, 0, 3), filled(0.0, 2, 0, 3),
       reduction="none")  # fmt: skip
shapes("nll, axis 1", "nll_loss", normal(58, 2, 3, 2, scale=0.5, shift=-3.0), [[0, 1], [2, 2]],
       axis=1)  # fmt: skip

for _dtype in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
    labels(f"labels as {_dtype}", CE, normal(59, 4, 5), of([0, 4, 2, 1], _dtype))
labels("ignore_index -1 as int8", CE, normal(59, 4, 5), of([0, -1, 2, 1], "int8"), ignore_index=-1)
labels("ignore_index 255 as uint8", CE, normal(59, 4, 5), of([0, 255, 2, 1], "uint8"),
       ignore_index=255)  # fmt: skip
labels("ignore_index -100 with uint8", CE, normal(59, 4, 5), of([0, 4, 2, 1], "uint8"),
       ignore_index=-100)  # fmt: skip
labels("label 200 as uint8", CE, normal(60, 2, 256), of([200, 255], "uint8"))
labels("label 127 of 300 as int8", CE, normal(60, 1, 300), of([127], "int8"))
labels("one-hot as int64", CE, normal(61, 2, 3), of([[1, 0, 0], [0, 0, 1]], "int64"))
labels("one-hot as bool", CE, normal(61, 2, 3), of([[1, 0, 0], [0, 0, 1]], "bool"))
labels("one-hot as uint8, smoothing", CE, normal(61, 2, 3), of([[1, 0, 0], [0, 0, 1]], "uint8"),
       label_smoothing=0.1)  # fmt: skip
UNEVEN = [[0.3, 0.3, 0.4]] * 2
labels("float32 targets, bfloat16 logits", CE, normal(62, 2, 3), of(UNEVEN, "float32"),
       dtype="bfloat16", wrt=("logits", "targets"), reduction="sum")  # fmt: skip
labels("float16 targets, float32 logits", CE, normal(62, 2, 3), of(UNEVEN, "float16"),
       wrt=("logits", "targets"), reduction="sum")  # fmt: skip
