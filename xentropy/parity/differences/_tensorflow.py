"""In what the drop-ins for TensorFlow differ."""

from __future__ import annotations

from xentropy.parity.differences import Difference

_MAPS = ("softmax", "log_softmax")
_DENSE = "softmax_cross_entropy_with_logits"
_SPARSE = "sparse_softmax_cross_entropy_with_logits"
_BINARY = ("sigmoid_cross_entropy_with_logits", "weighted_cross_entropy_with_logits")
_ALL = (*_MAPS, "reduce_logsumexp", _DENSE, _SPARSE, *_BINARY)

DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "a confident row",
        "defect",
        ("log_softmax", _DENSE, _SPARSE),
        "TensorFlow rounds 1 + exp(-30) to 1: the loss is 0. The drop-in sums what is beside "
        "the largest entry, and keeps every digit.",
        "sparse_softmax_cross_entropy_with_logits([0], [[30.0, 0.0]])",
        "[0]",
        "[9.35762e-14]",
    ),
    Difference(
        "the gradient of a confident row",
        "defect",
        (_DENSE, _SPARSE),
        "The probability of the true class rounds to 1, and TensorFlow's gradient to 0.",
        "grad(lambda x: sparse_softmax_cross_entropy_with_logits([0], x), [[30.0, 0.0]])",
        "[[0, 9.35762e-14]]",
        "[[-9.35762e-14, 9.35762e-14]]",
    ),
    Difference(
        "a small logsumexp",
        "defect",
        ("reduce_logsumexp",),
        "The logarithm of 1 + exp(-40) is taken of a sum that has rounded to 1.",
        "reduce_logsumexp([0.0, -40.0])",
        "0",
        "4.24835e-18",
    ),
    Difference(
        "soft rows that do not sum to 1",
        "defect",
        (_DENSE,),
        "TensorFlow's gradient is softmax - labels whatever the labels sum to, which is not the "
        "gradient of the loss that it returns; its documentation warns of it.",
        "grad(lambda x: softmax_cross_entropy_with_logits([[0.2, 0.2]], x), [[0.0, 0.0]])",
        "[[0.3, 0.3]]",
        "[[0, 0]]",
    ),
    Difference(
        "rows of zeros",
        "defect",
        (_DENSE,),
        "A row without a label has the loss 0, but TensorFlow pulls its logits together.",
        "grad(lambda x: softmax_cross_entropy_with_logits([[0.0, 0.0]], x), [[2.0, 2.0]])",
        "[[0.5, 0.5]]",
        "[[0, 0]]",
    ),
    Difference(
        "second derivatives to labels",
        "defect",
        (_DENSE,),
        "The derivative of the gradient by the labels is silently 0 in TensorFlow; meta-learning "
        "of labels needs it.",
        "mixed(softmax_cross_entropy_with_logits, [[0.5, 0.5]], [[0.0, 0.0]])",
        "[[0, 0]]",
        "[[-0.5, 0.5]]",
    ),
    Difference(
        "a class without probability and without a label",
        "defect",
        (_DENSE,),
        "The product of the label 0 and the infinite surprisal is NaN in TensorFlow; it counts 0.",
        "softmax_cross_entropy_with_logits([[0.0, 1.0]], [[-inf, 0.0]])",
        "[nan]",
        "[0]",
    ),
    Difference(
        "one logit of +inf",
        "defect",
        (*_MAPS, _DENSE, _SPARSE),
        "The softmax is the one-hot of that class. TensorFlow subtracts inf from inf.",
        "softmax([inf, 0.0])",
        "[nan, nan]",
        "[1, 0]",
    ),
    Difference(
        "infinite logits of the binary losses",
        "defect",
        _BINARY,
        "A certain and right answer has the loss 0, a wrong one inf. TensorFlow has NaN.",
        "sigmoid_cross_entropy_with_logits([1.0, 0.0, 0.0], [inf, -inf, inf])",
        "[nan, nan, nan]",
        "[0, 0, inf]",
    ),
    Difference(
        "the gradient of the logsumexp of -inf alone",
        "defect",
        ("reduce_logsumexp",),
        "Nothing moves the sum: the gradient is 0. TensorFlow divides 0 by 0.",
        "grad(reduce_logsumexp, [-inf, -inf])",
        "[nan, nan]",
        "[0, 0]",
    ),
    Difference(
        "half precision",
        "defect",
        ("reduce_logsumexp", *_BINARY),
        "TensorFlow computes in float16, where a sum of 70000 ones overflows. The drop-ins compute "
        "in float32 and round the result.",
        "reduce_logsumexp(zeros([70000], float16))",
        "inf",
        "11.1562",
    ),
    Difference(
        "bfloat16 logits with labels",
        "defect",
        (_SPARSE,),
        "TensorFlow takes float16 to float32 here, but computes bfloat16 in bfloat16: its eight "
        "bits lose losses below 1/256.",
        "sparse_softmax_cross_entropy_with_logits([0], cast([[6.0, 0.0]], bfloat16))",
        "[0]",
        "[0.00247192]",
    ),
    Difference(
        "gradients to labels that are broadcast",
        "extension",
        (_DENSE,),
        "TensorFlow broadcasts labels in the value, and fails in the gradient by them.",
        "grad(lambda t: softmax_cross_entropy_with_logits(t, zeros([2, 2])), [1.0, 0.0])",
        "InvalidArgumentError",
        "[1.38629, 1.38629]",
    ),
    Difference(
        "negative axes",
        "extension",
        (_DENSE,),
        "Of these TensorFlow takes -1 alone.",
        "softmax_cross_entropy_with_logits([[1.0], [0.0]], [[0.0], [0.0]], axis=-2)",
        "InvalidArgumentError",
        "[0.693147]",
    ),
    Difference(
        "labels of other integer dtypes",
        "extension",
        (_SPARSE,),
        "TensorFlow takes int32 and int64 alone.",
        "sparse_softmax_cross_entropy_with_logits(constant([1], uint8), [[0.0, 0.0]])",
        "InvalidArgumentError",
        "[0.693147]",
    ),
    Difference(
        "binary labels of other dtypes",
        "extension",
        _BINARY,
        "TensorFlow wants them in the dtype of the logits. Integers must be 0 or 1.",
        "sigmoid_cross_entropy_with_logits([1, 0], [0.0, 0.0])",
        "InvalidArgumentError",
        "[0.693147, 0.693147]",
    ),
    Difference(
        "a positive weight of another dtype, or a list",
        "extension",
        ("weighted_cross_entropy_with_logits",),
        "TensorFlow subtracts 1 from what it is given, before it is a tensor of the logits' dtype.",
        "weighted_cross_entropy_with_logits([1.0, 1.0], [0.0, 0.0], [1, 2])",
        "TypeError",
        "[0.693147, 1.38629]",
    ),
    Difference(
        "a label out of range in a graph",
        "extension",
        (_SPARSE,),
        "A graph on a CPU raises InvalidArgumentError, XLA and accelerators give NaN. The drop-in "
        "gives NaN in every graph; eagerly, on a CPU, it raises TensorFlow's error.",
        "graph(lambda x: sparse_softmax_cross_entropy_with_logits([0, 2], x), "
        "[[0.0, 0.0], [0.0, 0.0]])",
        "InvalidArgumentError",
        "[0.693147, nan]",
    ),
    Difference(
        "ragged tensors",
        "limit",
        ("softmax", "reduce_logsumexp", "sigmoid_cross_entropy_with_logits"),
        "Pad them with `to_tensor`, logits with -inf. The other four functions refuse them in "
        "TensorFlow too.",
        "softmax(ragged.constant([[0.0, 0.0], [0.0]])).to_tensor()",
        "[[0.5, 0.5], [1, 0]]",
        "TypeError",
    ),
    Difference(
        "tensors of unknown rank",
        "limit",
        _ALL,
        "In a graph the number of axes must be known; their lengths need not be.",
        "rank(softmax, [0.0, 0.0])",
        "[0.5, 0.5]",
        "ValueError",
    ),
    Difference(
        "no classes",
        "limit",
        (*_MAPS, _DENSE),
        "There is no softmax over nothing: it cannot sum to 1. Batches may be empty.",
        "softmax_cross_entropy_with_logits(zeros([2, 0]), zeros([2, 0]))",
        "[0, 0]",
        "ValueError",
    ),
    Difference(
        "an axis that is no integer",
        "limit",
        _MAPS,
        "TensorFlow takes a number that equals the last axis. A tensor is taken where its value "
        "is known.",
        "softmax([[0.0, 0.0]], axis=1.0)",
        "[[0.5, 0.5]]",
        "ValueError",
    ),
    Difference(
        "labels that repeat the logits in a graph",
        "limit",
        (_DENSE,),
        "Labels are broadcast to the rows of the logits, never the other way. So it is eagerly in "
        "TensorFlow; in a graph with unknown lengths an optimiser may drop its check.",
        "unknown(softmax_cross_entropy_with_logits, [[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0]])",
        "[0.693147, 0.693147]",
        "InvalidArgumentError",
    ),
    Difference(
        "a label out of range",
        "convention",
        (_SPARSE,),
        "Eagerly on a CPU the error is TensorFlow's, where xentropy's own function raises "
        "IndexError; that one is its cause.",
        "sparse_softmax_cross_entropy_with_logits([2], [[0.0, 0.0]])",
        "InvalidArgumentError",
        "InvalidArgumentError",
    ),
    Difference(
        "narrow results",
        "convention",
        _ALL,
        "The result has the dtype of the logits; xentropy's own losses of float16 are float32.",
        "reduce_logsumexp(constant([0.0, 0.0], float16)).dtype.name",
        "float16",
        "float16",
    ),
    Difference(
        "labels are broadcast",
        "convention",
        (_DENSE,),
        "One row of labels serves all rows of logits, and one column all classes. xentropy's own "
        "function wants equal shapes.",
        "softmax_cross_entropy_with_logits([1.0, 0.0], zeros([2, 2]))",
        "[0.693147, 0.693147]",
        "[0.693147, 0.693147]",
    ),
    Difference(
        "a positive weight is broadcast",
        "convention",
        ("weighted_cross_entropy_with_logits",),
        "It may even make the result larger than the logits are; xentropy's own function wants it "
        "to fit them.",
        "weighted_cross_entropy_with_logits([1.0], [0.0], constant([1.0, 2.0]))",
        "[0.693147, 1.38629]",
        "[0.693147, 1.38629]",
    ),
    Difference(
        "no axis",
        "convention",
        ("reduce_logsumexp",),
        "None sums over all axes, an empty list over none: each entry is returned. The softmax "
        "takes None for the last axis.",
        "(reduce_logsumexp([[1.0, 2.0]], axis=[]), reduce_logsumexp([[0.0], [0.0]]))",
        "[[1, 2]], 0.693147",
        "[[1, 2]], 0.693147",
    ),
)
