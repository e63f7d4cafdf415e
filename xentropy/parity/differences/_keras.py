"""In what the drop-ins for Keras differ."""

from __future__ import annotations

from xentropy.parity.differences import Difference, Kind

ONE_HOT = ("categorical_crossentropy", "CategoricalCrossentropy")
SPARSE = ("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy")
BINARY = ("binary_crossentropy", "BinaryCrossentropy")
FOCAL = ("categorical_focal_crossentropy", "CategoricalFocalCrossentropy")
BINARY_FOCAL = ("binary_focal_crossentropy", "BinaryFocalCrossentropy")
GENERALIZED = ("categorical_generalized_cross_entropy", "CategoricalGeneralizedCrossEntropy")
KL = ("kl_divergence", "KLDivergence")
TRAIN = ("tensorflow", "jax", "torch")

_declared: list[Difference] = []


def _declare(
    kind: Kind,
    title: str,
    functions: tuple[str, ...],
    reason: str,
    code: str,
    native: str,
    ours: str | None = None,
    *,
    on: tuple[str, ...] = (),
    cases: tuple[str, ...] = (),
) -> None:
    """Add a difference, which is the same answer twice for a convention."""
    both = native if ours is None else ours
    _declared.append(Difference(title, kind, functions, reason, code, native, both, cases, on))


# Labels.

_declare(
    "defect",
    "labels of a narrow loss",
    SPARSE,
    "Keras casts labels to the dtype of the loss, where 257 becomes 256; here they stay integers.",
    'cast(SparseCategoricalCrossentropy(from_logits=True, dtype="bfloat16")'
    '(tensor([257]), tensor([[0.0] * 257 + [10.0]])), "float32")',
    "10",
    "0.0115967",
)
_declare(
    "defect",
    "labels of a narrow generalized cross-entropy",
    GENERALIZED,
    "The same cast: the row is that of another class.",
    '0.0 + cast(CategoricalGeneralizedCrossEntropy(dtype="bfloat16")'
    '(tensor([257]), tensor([[0.0] * 257 + [1.0]])), "float32")',
    "2",
    "0",
)
_declare(
    "defect",
    "a label that is no class, on JAX",
    SPARSE,
    "It has no place in a one-hot, so the row costs nothing and is never learned. While a "
    "function is traced the row is NaN instead of an error.",
    "0.0 + sparse_categorical_crossentropy(tensor([3]), tensor([[1.0, 2.0, 3.0]]), True)",
    "[0]",
    "IndexError",
    on=("jax",),
)
_declare(
    "defect",
    "the label -1, on JAX and NumPy",
    SPARSE,
    "The row costs nothing. Only `ignore_class` leaves rows out here.",
    "0.0 + sparse_categorical_crossentropy(tensor([-1]), tensor([[1.0, 2.0, 3.0]]), True)",
    "[0]",
    "IndexError",
    on=("jax", "numpy"),
)
_declare(
    "defect",
    "the label -100, on PyTorch",
    SPARSE,
    "PyTorch's own `ignore_index` shows through, although `ignore_class` is None.",
    "sparse_categorical_crossentropy(tensor([-100]), tensor([[1.0, 2.0, 3.0]]), True)",
    "[0]",
    "IndexError",
    on=("torch",),
)
_declare(
    "defect",
    "the error of a label that is no class, on TensorFlow",
    SPARSE,
    "One error on every backend, which names the first such row; TensorFlow has a class of its "
    "own.",
    "sparse_categorical_crossentropy(tensor([3]), tensor([[1.0, 2.0, 3.0]]), True)",
    "InvalidArgumentError",
    "IndexError",
    on=("tensorflow",),
    cases=("policy: label *",),
)
_declare(
    "defect",
    "a label that is no class, generalized",
    GENERALIZED,
    "The row costs 1 / q, whatever is predicted, and moves nothing.",
    "categorical_generalized_cross_entropy(tensor([3]), tensor([[0.2, 0.3, 0.5]]), 0.5)",
    "[2]",
    "IndexError",
    on=("tensorflow", "jax"),
)
_declare(
    "defect",
    "labels of shape (N, 1), generalized",
    GENERALIZED,
    "Documented, but every row is compared with every label: the result is (N, N).",
    "categorical_generalized_cross_entropy(tensor([[0], [1]]), "
    "tensor([[0.25, 0.75], [0.5, 0.5]]), 0.5)",
    "[[1, 0.585786], [0.267949, 0.585786]]",
    "[1, 0.585786]",
)
_declare(
    "extension",
    "lists of labels",
    (*SPARSE, *GENERALIZED),
    "Lists become tensors, as they do in the other losses.",
    "sparse_categorical_crossentropy([0], tensor([[0.25, 0.75]]))",
    "AttributeError",
    "[1.38629]",
)
_declare(
    "extension",
    "labels with another class axis",
    SPARSE,
    "The function computes any axis on every backend.",
    "sparse_categorical_crossentropy(tensor([[0, 2]]), "
    "tensor([[[1.0, 2.0], [2.0, 1.0], [4.0, 0.0]]]), True, axis=1)",
    "ValueError",
    "[[3.16985, 2.40761]]",
    on=("tensorflow", "jax", "numpy"),
)
_declare(
    "defect",
    "the axis in get_config",
    SPARSE,
    "Keras leaves it out, so a loaded model computes along the last one.",
    'SparseCategoricalCrossentropy(axis=1).get_config().get("axis")',
    "None",
    "1",
)

# Logits.

_declare(
    "defect",
    "a confident row",
    (*ONE_HOT, *SPARSE),
    "The loss is lost where it is below the rounding of 1.",
    "0.0 + categorical_crossentropy(tensor([[1.0, 0.0]]), tensor([[20.0, 0.0]]), True)",
    "[0]",
    "[2.06115e-09]",
)
_declare(
    "defect",
    "the gradient of a confident row",
    (*ONE_HOT, *SPARSE),
    "The true class no longer pulls, and a row of the gradient does not sum to 0.",
    "0.0 + grad(lambda x: categorical_crossentropy(tensor([[1.0, 0.0]]), x, True), [[20.0, 0.0]])",
    "[[0, 2.06115e-09]]",
    "[[-2.06115e-09, 2.06115e-09]]",
    on=TRAIN,
)
_declare(
    "defect",
    "a logit of -inf and a one-hot",
    ONE_HOT,
    "0 times infinity: a class that cannot be, and is not, costs nothing.",
    "categorical_crossentropy(tensor([[1.0, 0.0, 0.0]]), tensor([[1.0, 2.0, -inf]]), True)",
    "[nan]",
    "[1.31326]",
    cases=("policy: -inf beside a one-hot", "policy: -inf beside soft targets"),
)
_declare(
    "defect",
    "a logit of -inf and a label, on JAX and NumPy",
    SPARSE,
    "They multiply by a one-hot, where the other backends look a label up.",
    "sparse_categorical_crossentropy(tensor([0]), tensor([[1.0, 2.0, -inf]]), True)",
    "[nan]",
    "[1.31326]",
    on=("jax", "numpy"),
)
_declare(
    "defect",
    "a binary logit of inf",
    BINARY,
    "Infinity minus infinity: a certain and right prediction costs nothing.",
    "0.0 + binary_crossentropy(tensor([[1.0]]), tensor([[inf]]), True)",
    "[nan]",
    "[0]",
    on=TRAIN,
    cases=("policy: binary *inf at *",),
)
_declare(
    "defect",
    "binary logits, on NumPy",
    BINARY,
    "NumPy takes the sigmoid and clips it, so that no loss is above 16.",
    "binary_crossentropy(tensor([[0.0]]), tensor([[1000.0]]), True)",
    "[15.9424]",
    "[1000]",
    on=("numpy",),
)
_declare(
    "defect",
    "a confident negative, on PyTorch",
    BINARY,
    "PyTorch keeps the loss of confident positives, but not that of negatives.",
    "0.0 + binary_crossentropy(tensor([[0.0]]), tensor([[-40.0]]), True)",
    "[0]",
    "[4.24835e-18]",
    on=("torch",),
)
_declare(
    "defect",
    "targets that do not sum to 1, on TensorFlow",
    ONE_HOT,
    "TensorFlow's gradient is softmax - targets, which is that of targets that sum to 1 only.",
    "grad(lambda x: categorical_crossentropy(tensor([[0.25, 0.25]]), x, True), [[1.0, 3.0]])",
    "[[-0.130797, 0.630797]]",
    "[[-0.190399, 0.190399]]",
    on=("tensorflow",),
    cases=(
        "policy: smoothing of soft targets of mass 2",
        "policy: soft targets 0",
        "policy: rows of mass 1.5 and 0*",
        "shapes and axes: 2 x 4 x 3, axis *, soft",
    ),
)
_declare(
    "defect",
    "label_smoothing along another axis",
    (*ONE_HOT, *FOCAL),
    "Keras 3.15 divides by the length of the last axis, whatever `axis` says.",
    "categorical_crossentropy(tensor([[[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]]), "
    "tensor([[[1.0, 2.0], [2.0, 1.0], [4.0, 0.0]]]), True, label_smoothing=0.3, axis=1)",
    "[[3.04532, 2.31875]]",
    "[[2.76985, 2.10761]]",
)
_declare(
    "extension",
    "integer predictions, on TensorFlow",
    (*ONE_HOT, *SPARSE, *BINARY),
    "They are read as `keras.config.floatx()`, as on JAX and NumPy.",
    "categorical_crossentropy(tensor([[1.0, 0.0]]), tensor([[1, 2]]), True)",
    "InvalidArgumentError",
    "[1.31326]",
    on=("tensorflow",),
)
_declare(
    "extension",
    "integer predictions, on PyTorch",
    (*ONE_HOT, *SPARSE, *BINARY),
    "They are read as `keras.config.floatx()`, as on JAX and NumPy.",
    "categorical_crossentropy(tensor([[1.0, 0.0]]), tensor([[1, 2]]), True)",
    "NotImplementedError",
    "[1.31326]",
    on=("torch",),
)

# Narrow dtypes.

_declare(
    "defect",
    "a mean in float16",
    (*ONE_HOT, *SPARSE, *BINARY, *FOCAL, *BINARY_FOCAL, *GENERALIZED, *KL),
    "Keras sums in the dtype of the loss, and the sum overflows. Here only the result is narrow.",
    'CategoricalCrossentropy(from_logits=True, dtype="float16")'
    "(tensor([[1.0, 0.0]] * 2), tensor([[-40000.0, 0.0]] * 2))",
    "inf",
    "40000",
)
_declare(
    "defect",
    "many classes in float16",
    (*ONE_HOT, *SPARSE),
    "The sum of the exponentials overflows.",
    'categorical_crossentropy(tensor([[1.0] + [0.0] * 99999], "float16"), '
    'tensor([[0.0] * 100000], "float16"), True)',
    "[nan]",
    "[11.5156]",
    on=("jax", "torch", "numpy"),
)
_declare(
    "defect",
    "clipping in bfloat16, on TensorFlow and JAX",
    (*BINARY, *BINARY_FOCAL),
    "1 - 1e-7 is 1 there, so that nothing is clipped and 0 times infinity follows.",
    'cast(binary_crossentropy(tensor([[1.0]], "bfloat16"), tensor([[1.0]], "bfloat16")), '
    '"float32")',
    "[nan]",
    "[1.19209e-07]",
    on=("tensorflow", "jax"),
)

# Focal and generalized losses.

_declare(
    "defect",
    "focal loss of a confident row",
    FOCAL,
    "Keras clips the softmax of the logits, which ends at 1 - 1e-7.",
    "1e20 * categorical_focal_crossentropy(tensor([[1.0, 0.0]]), tensor([[20.0, 0.0]]), "
    "from_logits=True)",
    "[0.0423517]",
    "[2.18913e-07]",
    on=("torch", "numpy"),
)
_declare(
    "defect",
    "focal loss of a wrong row",
    FOCAL,
    "The same clipping keeps the loss below alpha times 16.2.",
    "categorical_focal_crossentropy(tensor([[1.0, 0.0]]), tensor([[-100.0, 0.0]]), "
    "from_logits=True)",
    "[4.02952]",
    "[25]",
)
_declare(
    "defect",
    "the focal gradient of a wrong row",
    FOCAL,
    "Where Keras clips there is no gradient: the row that most needs it stays as it is.",
    "0.0 + grad(lambda x: categorical_focal_crossentropy(tensor([[1.0, 0.0]]), x, "
    "from_logits=True), [[-20.0, 0.0]])",
    "[[0, 0]]",
    "[[-0.25, 0.25]]",
    on=TRAIN,
)
_declare(
    "defect",
    "alpha for every class of another axis",
    FOCAL,
    "Keras spreads alpha along the last axis, whatever `axis` says.",
    "categorical_focal_crossentropy(tensor([[[0.0, 1.0], [1.0, 0.0]]]), "
    "tensor([[[0.0, 0.0], [1.0, 1.0]]]), alpha=[0.2, 0.8], from_logits=True, axis=1)",
    "[[0.00453161, 0.561495]]",
    "[[0.0181264, 0.140374]]",
)
_declare(
    "defect",
    "binary focal loss of a wrong logit",
    BINARY_FOCAL,
    "Keras clips the sigmoid of the logits; on TensorFlow it finds them again.",
    "binary_focal_crossentropy(tensor([[0.0]]), tensor([[100.0]]), from_logits=True)",
    "[15.9424]",
    "[100]",
    on=("jax", "torch", "numpy"),
)
_declare(
    "defect",
    "the binary focal gradient of a wrong logit",
    BINARY_FOCAL,
    "Where Keras clips only the factor moves.",
    "grad(lambda x: binary_focal_crossentropy(tensor([[1.0]]), x, from_logits=True), [[-20.0]])",
    "[[-6.64437e-08]]",
    "[[-1]]",
    on=("jax", "torch"),
)
_declare(
    "defect",
    "binary focal loss of a confident logit",
    BINARY_FOCAL,
    "1 - p_t cancels; here it is the sigmoid of the other sign.",
    "1e20 * binary_focal_crossentropy(tensor([[1.0]]), tensor([[20.0]]), from_logits=True)",
    "[0]",
    "[8.75651e-07]",
)
_declare(
    "defect",
    "the binary focal gradient with a gamma below 1",
    BINARY_FOCAL,
    "A root of 0 has an infinite slope, and 0 times infinity is NaN.",
    "0.0 + grad(lambda x: binary_focal_crossentropy(tensor([[1.0]]), x, gamma=0.5, "
    "from_logits=True), [[100.0]])",
    "[[nan]]",
    "[[0]]",
    on=TRAIN,
)
_declare(
    "defect",
    "the generalized gradient at 0",
    GENERALIZED,
    "The slope of p^q is infinite at p = 0, and NaN for every other class of the row; here such a "
    "row has none.",
    "0.0 + grad(lambda p: categorical_generalized_cross_entropy(tensor([0]), p, 0.5), "
    "[[0.0, 1.0]])",
    "[[-inf, nan]]",
    "[[0, 0]]",
    on=TRAIN,
)
_declare(
    "limit",
    "q above 1",
    ("categorical_generalized_cross_entropy",),
    "It is no generalized cross-entropy, and Keras' class refuses it too.",
    "categorical_generalized_cross_entropy(tensor([0]), tensor([[0.25, 0.75]]), 2.0)",
    "[0.46875]",
    "ValueError",
)
_declare(
    "limit",
    "gamma below 0",
    FOCAL,
    "The loss would grow without bounds where a prediction is right.",
    "categorical_focal_crossentropy(tensor([[1.0, 0.0]]), tensor([[0.25, 0.75]]), gamma=-1.0)",
    "[0.462098]",
    "ValueError",
)
_declare(
    "limit",
    "alpha of any shape",
    FOCAL,
    "Alpha is one number, or one for every class; a factor of rows is `sample_weight`.",
    "categorical_focal_crossentropy(tensor([[1.0, 0.0], [1.0, 0.0]]), "
    "tensor([[0.25, 0.75], [0.25, 0.75]]), alpha=[[0.2], [0.4]])",
    "[0.155958, 0.311916]",
    "ValueError",
)

# Probabilities.

_declare(
    "defect",
    "the gradient of a clipped label, on TensorFlow",
    SPARSE,
    "TensorFlow's sparse form clips before it normalizes, and so differs from its own one-hot "
    "form and from the other backends; here it is the same as theirs.",
    "0.0 + grad(lambda p: sparse_categorical_crossentropy(tensor([0]), p), [[1e-9, 0.5, 0.5]])",
    "[[0, 1, 1]]",
    "[[0, 0, 0]]",
    on=("tensorflow",),
    cases=(
        "policy: probability 0 beside the label",
        "policy: p(target) = *",
        "policy: rows of probabilities not summing to 1",
    ),
)
_declare(
    "defect",
    "logits behind a softmax with ignore_class, on TensorFlow",
    SPARSE,
    "Keras finds the logits behind an activation, but not with `ignore_class`.",
    "sparse_categorical_crossentropy(tensor([0, 9]), "
    "softmax(tensor([[-200.0, 0.0, 0.0], [0.0, 0.0, 0.0]])), ignore_class=9)",
    "[16.1181, 0]",
    "[200.693, 0]",
    on=("tensorflow",),
)
_declare(
    "defect",
    "logits behind a softmax in another dtype, on TensorFlow",
    (*ONE_HOT, *SPARSE, *BINARY, *BINARY_FOCAL),
    "Keras loses the logits where it casts predictions to the dtype of the loss, as with mixed "
    "precision.",
    'CategoricalCrossentropy()(tensor([[1.0, 0.0]]), softmax(tensor([[-200.0, 0.0]], "float16")))',
    "16.1181",
    "200",
    on=("tensorflow",),
)
_declare(
    "convention",
    "logits behind a softmax, on TensorFlow",
    (*ONE_HOT, *SPARSE, *BINARY, *BINARY_FOCAL),
    "Keras computes from the logits where it sees that the predictions are an activation of them, "
    "on TensorFlow only: no loss is clipped then.",
    "categorical_crossentropy(tensor([[1.0, 0.0, 0.0]]), softmax(tensor([[-200.0, 0.0, 0.0]])))",
    "[200.693]",
    on=("tensorflow",),
)
_declare(
    "convention",
    "probabilities behind a softmax",
    (*ONE_HOT, *SPARSE, *BINARY, *BINARY_FOCAL),
    "On the other backends they are clipped like any probabilities; `from_logits=True` is better.",
    "categorical_crossentropy(tensor([[1.0, 0.0, 0.0]]), softmax(tensor([[-200.0, 0.0, 0.0]])))",
    "[16.1181]",
    on=("jax", "torch", "numpy"),
)
_declare(
    "convention",
    "probabilities are clipped",
    (*ONE_HOT, *SPARSE, *BINARY, *FOCAL, *BINARY_FOCAL),
    "To [1e-7, 1 - 1e-7], `keras.config.epsilon()`; xentropy's own functions take them as they "
    "are.",
    "categorical_crossentropy(tensor([[1.0, 0.0]]), tensor([[1e-20, 1.0]]))",
    "[16.1181]",
    cases=("policy: p(target) = *", "worked examples: -log p", "policy: probability 0 beside *"),
)
_declare(
    "convention",
    "clipped probabilities have no gradient",
    (*ONE_HOT, *SPARSE, *BINARY, *FOCAL),
    "As the clipping has none.",
    "0.0 + grad(lambda p: categorical_crossentropy(tensor([[1.0, 0.0, 0.0]]), p), "
    "[[1e-9, 0.5, 0.5]])",
    "[[0, 0, 0]]",
    on=TRAIN,
)
_declare(
    "convention",
    "probabilities are normalized",
    (*ONE_HOT, *SPARSE, *FOCAL),
    "A row is divided by its sum.",
    "categorical_crossentropy(tensor([[1.0, 0.0, 0.0]]), tensor([[0.4, 0.6, 1.0]]))",
    "[1.60944]",
    cases=(
        "worked examples: probabilities, one-hot",
        "other gradients: to soft targets, probabilities",
        "options: probabilities, labels",
        "policy: rows of probabilities not summing to 1",
    ),
)
_declare(
    "convention",
    "both sides of a divergence are clipped",
    KL,
    "To [1e-7, 1]; xentropy's own divergence is infinite here.",
    "kl_divergence(tensor([[1.0, 0.0]]), tensor([[0.0, 1.0]]))",
    "[16.1181]",
)

# Targets, weights and reductions.

_declare(
    "convention",
    "smoothing of targets that do not sum to 1",
    (*ONE_HOT, *FOCAL),
    "Every class gets label_smoothing / K; in xentropy the share of a row goes with its sum.",
    "categorical_crossentropy(tensor([[0.5, 0.0]]), tensor([[1.0, 2.0]]), True, 0.2)",
    "[0.687957]",
    cases=("policy: smoothing of soft targets of mass 2",),
)
_declare(
    "convention",
    "what a mean divides by",
    (*ONE_HOT, *SPARSE, *BINARY, *FOCAL, *BINARY_FOCAL, *GENERALIZED, *KL),
    "By the number of entries, whatever `sample_weight` is; `mean_with_sample_weight` divides by "
    "its sum.",
    "SparseCategoricalCrossentropy(from_logits=True)"
    "(tensor([0, 1]), tensor([[1.0, 2.0], [1.0, 2.0]]), [1.0, 0.0])",
    "0.656631",
)
_declare(
    "convention",
    "a sample_weight of 0",
    (*ONE_HOT, *SPARSE, *BINARY, *FOCAL, *BINARY_FOCAL, *GENERALIZED, *KL),
    "It multiplies the loss of the row, which is NaN if that is; `ignore_class` leaves a row out.",
    "SparseCategoricalCrossentropy(from_logits=True)"
    "(tensor([0, 0]), tensor([[1.0, 2.0], [inf, inf]]), [1.0, 0.0])",
    "nan",
    cases=("policy: NaN in a row of weight 0*",),
)
_declare(
    "convention",
    "an empty batch",
    (*ONE_HOT, *SPARSE, *FOCAL, *GENERALIZED, *KL),
    "The loss is empty too, and no number.",
    "CategoricalCrossentropy()(tensor([[0.5, 0.5]])[:0], tensor([[0.5, 0.5]])[:0])",
    "[]",
    cases=("policy: no rows, *", "policy: no entries, binary"),
)
_declare(
    "convention",
    "the dtype of narrow losses",
    (*ONE_HOT, *SPARSE, *BINARY, *FOCAL, *BINARY_FOCAL, *GENERALIZED, *KL),
    "That of the predictions; xentropy's own functions return float32.",
    'dtype_of(kl_divergence(tensor([[0.5, 0.5]]), tensor([[0.5, 0.5]], "float16")))',
    "float16",
)

_declare(
    "defect",
    "one logit of inf",
    (*ONE_HOT, *SPARSE),
    "The softmax is the one-hot of that class, and the loss of its label 0.",
    "0.0 + categorical_crossentropy(tensor([[0.0, 1.0]]), tensor([[0.0, inf]]), True)",
    "[nan]",
    "[0]",
    cases=("policy: loss with +inf*",),
)
_declare(
    "convention",
    "soft targets of the binary focal loss",
    BINARY_FOCAL,
    "The whole loss is multiplied by a power of what its probability lacks; `xentropy.focal_loss` "
    "multiplies the loss of each class by its own. For targets 0 and 1 they are one.",
    "binary_focal_crossentropy(tensor([[0.25]]), tensor([[0.0]]), gamma=1.0, from_logits=True)",
    "[0.346574]",
    cases=("focal_loss, sigmoid: soft, *", "derivatives: focal, sigmoid"),
)
_declare(
    "convention",
    "dtypes of labels and predictions",
    (*ONE_HOT, *SPARSE, *BINARY),
    "The classes cast whatever they are given; xentropy's own functions refuse integers as logits "
    "and fractions as labels.",
    "CategoricalCrossentropy(from_logits=True)(tensor([[1.0, 0.0]]), tensor([[1, 2]]))",
    "1.31326",
    cases=(
        "errors: integer logits",
        "errors: integer logits, binary",
        "errors: complex logits",
        "errors: truth values as labels",
        "errors: floats as labels",
    ),
)
_declare(
    "convention",
    "what is not checked",
    (*BINARY, *BINARY_FOCAL),
    "Targets are broadcast, and any label_smoothing and alpha are computed with; xentropy's own "
    "functions refuse what does not fit.",
    "binary_focal_crossentropy(tensor([[1.0]]), tensor([[0.0]]), apply_class_balancing=True, "
    "alpha=1.5, from_logits=True)",
    "[0.25993]",
    cases=(
        "errors: binary targets that would broadcast",
        "errors: label_smoothing 2, binary",
        "errors: alpha 1.5, sigmoid",
    ),
)
_declare(
    "convention",
    "sample weights of another shape",
    (*ONE_HOT, *SPARSE),
    "Axes of length 1 are dropped or added to fit the losses.",
    "CategoricalCrossentropy(from_logits=True)"
    "(tensor([[1.0, 0.0]]), tensor([[1.0, 2.0]]), tensor([[2.0]]))",
    "2.62652",
    cases=("errors: sample weights with an axis more",),
)

DIFFERENCES: tuple[Difference, ...] = tuple(_declared)
