"""In what the drop-ins for JAX and optax differ."""

from __future__ import annotations

from xentropy.parity.differences import Difference

_MAPS = ("softmax", "log_softmax", "logsumexp")
_LABELS = ("softmax_cross_entropy_with_integer_labels",)
_SOFT = ("softmax_cross_entropy", "safe_softmax_cross_entropy", "poly_loss_cross_entropy")
_ROWS = (*_SOFT, *_LABELS)
_BINARY = ("sigmoid_binary_cross_entropy", "sigmoid_focal_loss")
_KL = ("kl_divergence", "kl_divergence_with_log_targets", "generalized_kl_divergence")

DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        title="A confident row has a loss",
        kind="defect",
        functions=(*_ROWS, "log_softmax"),
        reason=(
            "The loss of a row that is classified well is about `exp(-margin)`; `x - "
            "logsumexp(x)` rounds it to 0 from a margin of 17 on."
        ),
        code="softmax_cross_entropy_with_integer_labels(array([20.0, 0.0]), array(0))",
        native="0",
        ours="2.06115e-09",
    ),
    Difference(
        title="A confident row has a gradient",
        kind="defect",
        functions=_ROWS,
        reason=(
            "The gradient of the true class is `-r / (1 + r)`; as `softmax - labels` it rounds to"
            " 0 while the other classes still have theirs, so that the row no longer sums to 0."
        ),
        code=(
            "grad(lambda x: softmax_cross_entropy_with_integer_labels(x, array(0)), array([20.0, "
            "0.0]))"
        ),
        native="[0, 2.06115e-09]",
        ours="[-2.06115e-09, 2.06115e-09]",
    ),
    Difference(
        title="Large logits keep their differences",
        kind="defect",
        functions=_LABELS,
        reason=(
            "optax takes the logsumexp off the raw logit, which rounds to the logit's own "
            "precision: the loss of shifted logits is another."
        ),
        code=(
            "softmax_cross_entropy_with_integer_labels(array([1000001.0, 1000002.0, 1000003.0]), "
            "array(0))"
        ),
        native="2.4375",
        ours="2.40761",
        cases=("policy: shift by -1e6",),
    ),
    Difference(
        title="A small logsumexp keeps its digits",
        kind="defect",
        functions=("logsumexp",),
        reason=(
            "`log(1 + exp(-20))` is not 0: the sum of all but the largest term goes through log1p."
        ),
        code="logsumexp(array([0.0, -20.0]))",
        native="0",
        ours="2.06115e-09",
    ),
    Difference(
        title="Gradient of an empty logsumexp",
        kind="defect",
        functions=("logsumexp",),
        reason="A sum over nothing is -inf whatever moves: its gradient is 0, where JAX has 0 / 0.",
        code="grad(logsumexp, array([-inf, -inf]))",
        native="[nan, nan]",
        ours="[0, 0]",
        cases=("policy: logsumexp of a -inf row",),
    ),
    Difference(
        title="A label of -1",
        kind="defect",
        functions=_LABELS,
        reason=(
            "A negative label wraps to the last classes. Here it is an IndexError where it can be"
            " looked at, and a NaN loss with a NaN gradient where it is traced."
        ),
        code="softmax_cross_entropy_with_integer_labels(array([1.0, 2.0, 3.0]), array(-1))",
        native="0.407606",
        ours="IndexError",
        cases=("policy: label -*",),
    ),
    Difference(
        title="A label beyond the classes",
        kind="defect",
        functions=_LABELS,
        reason=(
            "optax gives a NaN loss with a finite gradient, which trains on. Here it is an "
            "IndexError where it can be looked at, and NaN in both where it is traced."
        ),
        code=(
            "grad(lambda x: softmax_cross_entropy_with_integer_labels(x, array(3)), array([1.0, "
            "2.0, 3.0]))"
        ),
        native="[0.0900306, 0.244728, 0.665241]",
        ours="IndexError",
        cases=("policy: label 3*", "policy: label 255 as uint8"),
    ),
    Difference(
        title="Labels where there are no classes",
        kind="limit",
        functions=_LABELS,
        reason="With no class no label is one: optax gives -inf.",
        code="softmax_cross_entropy_with_integer_labels(jnp.zeros((1, 0)), array([0]))",
        native="[-inf]",
        ours="ValueError",
        cases=("errors: no classes",),
    ),
    Difference(
        title="A label at a class that is masked",
        kind="defect",
        functions=_LABELS,
        reason=(
            "optax takes the logit of the label off a logsumexp that leaves it out: the loss can "
            "be negative without bound, and training raises the masked logit. Such a label "
            "cannot come true: its loss is infinite."
        ),
        code=(
            "softmax_cross_entropy_with_integer_labels(array([1.0, 2.0, 3.0]), array(2), "
            "where=array([True, True, False]))"
        ),
        native="-0.686738",
        ours="inf",
        cases=("policy: label on a masked class",),
    ),
    Difference(
        title="A one-hot beside a logit of -inf",
        kind="defect",
        functions=("softmax_cross_entropy", "poly_loss_cross_entropy"),
        reason="`0 * -inf` is 0 in a sum of target times log-probability.",
        code="softmax_cross_entropy(array([1.0, 2.0, -inf]), array([1.0, 0.0, 0.0]))",
        native="nan",
        ours="1.31326",
        cases=("policy: -inf beside a one-hot", "policy: -inf beside soft targets"),
    ),
    Difference(
        title="Forward mode beside a logit of -inf",
        kind="defect",
        functions=("safe_softmax_cross_entropy",),
        reason="The derivative of optax' rule multiplies a zero by -inf.",
        code=(
            "push(lambda x: safe_softmax_cross_entropy(x, array([1.0, 0.0, 0.0])), array([1.0, "
            "2.0, -inf]), array([1.0, 0.0, 0.0]))"
        ),
        native="nan",
        ours="-0.731059",
    ),
    Difference(
        title="Integer labels of the safe loss",
        kind="extension",
        functions=("safe_softmax_cross_entropy",),
        reason=(
            "optax' rule of the derivative multiplies by the labels' tangent, which integers have"
            " not."
        ),
        code=(
            "grad(lambda x: safe_softmax_cross_entropy(x, array([1, 0, 0])), array([1.0, 2.0, "
            "3.0]))"
        ),
        native="TypeError",
        ours="[-0.909969, 0.244728, 0.665241]",
    ),
    Difference(
        title="Infinite logits of the binary losses",
        kind="defect",
        functions=_BINARY,
        reason="`0 * inf` is 0: a logit of inf is sure of the label 1.",
        code="sigmoid_binary_cross_entropy(array([inf, -inf]), array([1.0, 0.0]))",
        native="[nan, nan]",
        ours="[0, 0]",
        cases=("policy: binary *inf at *", "focal_loss, sigmoid: infinities, *"),
    ),
    Difference(
        title="Labels keep their digits",
        kind="defect",
        functions=_BINARY,
        reason=(
            "optax rounds the labels to the dtype of the logits; here they are rounded with the "
            "loss, once."
        ),
        code="sigmoid_binary_cross_entropy(array([64.0], dtype=jnp.bfloat16), array([0.501]))",
        native="[32]",
        ours="[31.875]",
    ),
    Difference(
        title="Gradient of the focal loss by labels of 0 and 1",
        kind="defect",
        functions=("sigmoid_focal_loss",),
        reason=(
            "A label moves what its probability lacks. optax leaves out the part that a label of 0 "
            "or 1 does not weigh yet."
        ),
        code="grad(lambda y: sigmoid_focal_loss(array([1.0]), y), array([1.0]))",
        native="[-0.0270134]",
        ours="[-0.150195]",
    ),
    Difference(
        title="A target of 0 on a probability of 0",
        kind="defect",
        functions=_KL,
        reason="`0 * log(0 / 0)` is 0, as `0 log 0` is.",
        code="kl_divergence(array([0.0, -inf]), array([1.0, 0.0]))",
        native="nan",
        ours="0",
        cases=("kl_divergence: probability 0 on -inf",),
    ),
    Difference(
        title="Log-targets of -inf",
        kind="defect",
        functions=("kl_divergence_with_log_targets",),
        reason="A target of probability 0 adds nothing, where optax has `0 * -inf`.",
        code="kl_divergence_with_log_targets(array([-0.5, -1.0]), array([0.0, -inf]))",
        native="nan",
        ours="0.5",
    ),
    Difference(
        title="Nearly equal distributions",
        kind="defect",
        functions=("generalized_kl_divergence",),
        reason=(
            "The divergence of close distributions is about half the square of their difference; "
            "as a difference of larger numbers it loses its digits, or its sign."
        ),
        code="generalized_kl_divergence(jnp.log(array([0.3, 0.7])), array([0.30001, 0.70001]))",
        native="3.02789e-08",
        ours="2.38747e-10",
    ),
    Difference(
        title="Half precision is rounded once",
        kind="defect",
        functions=(*_MAPS, *_ROWS, *_BINARY, *_KL),
        reason=(
            "Narrow dtypes are computed and summed in float32 and rounded at the end. JAX sums in"
            " float16, where 100000 classes overflow."
        ),
        code="logsumexp(jnp.zeros(100000, jnp.float16))",
        native="inf",
        ours="11.5156",
        cases=(
            "softmax and kin: softmax, *float16",
            "vocabularies: 100000 zeros, float16",
            "policy: label 257 in bfloat16",
        ),
    ),
    Difference(
        title="One infinite logit",
        kind="defect",
        functions=(*_MAPS[:2], *_ROWS),
        reason=(
            "jax.nn documents NaN wherever a logit is inf. One such logit has a limit, which is "
            "given here: its class has the probability 1."
        ),
        code="softmax(array([1.0, inf, 2.0]))",
        native="[nan, nan, nan]",
        ours="[0, 1, 0]",
        cases=(
            "policy: *softmax with +inf",
            "policy: loss with +inf*",
            "policy: loss with two +inf",
        ),
    ),
    Difference(
        title="A mask with more dimensions than x",
        kind="defect",
        functions=("log_softmax", "softmax"),
        reason=(
            "JAX looks for the axis in the dimensions of x before the mask adds one, and "
            "subtracts maxima over another axis."
        ),
        code="log_softmax(array([1.0, 2.0]), where=array([[True, True], [True, True]]))",
        native="[[-0.693147, -0.693147], [-0.693147, -0.693147]]",
        ours="[[-1.31326, -0.313262], [-1.31326, -0.313262]]",
    ),
    Difference(
        title="A mask of rows for the poly loss",
        kind="extension",
        functions=("poly_loss_cross_entropy",),
        reason="optax takes it in softmax_cross_entropy alone.",
        code=(
            "poly_loss_cross_entropy(array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]), array([0.0, 0.0, "
            "1.0]), where=array([True, False]))"
        ),
        native="ValueError",
        ours="[1.07712, 0]",
    ),
    Difference(
        title="Numbers as logits",
        kind="extension",
        functions=_BINARY,
        reason="A Python number is an array without dimensions.",
        code="sigmoid_binary_cross_entropy(1.0, 1)",
        native="AttributeError",
        ours="0.313262",
    ),
    Difference(
        title="Complex numbers",
        kind="limit",
        functions=_MAPS,
        reason="The core is about real logits.",
        code="logsumexp(array([1.0 + 1.0j, 2.0])).real",
        native="2.21357",
        ours="TypeError",
        cases=("errors: complex logits, softmax",),
    ),
    Difference(
        title="Labels that add classes",
        kind="limit",
        functions=_SOFT,
        reason=(
            "Classes come from the logits: one logit is not spread over the labels of several, "
            "which is a mistake more often than not."
        ),
        code="softmax_cross_entropy(jnp.zeros((2, 1)), jnp.ones((2, 3)) / 3)",
        native="[-0, -0]",
        ours="ValueError",
    ),
    Difference(
        title="Axes of labels with more dimensions",
        kind="limit",
        functions=_SOFT,
        reason=(
            "Where labels have more dimensions than logits, an axis that is counted from the "
            "front names another one in each: it must be negative."
        ),
        code="softmax_cross_entropy(array([[1.0, 2.0], [3.0, 4.0]]), jnp.ones((3, 2, 2)), axis=1)",
        native="[[2.62652, 0.626523], [2.62652, 0.626523], [2.62652, 0.626523]]",
        ours="ValueError",
    ),
    Difference(
        title="A masked target adds nothing",
        kind="convention",
        functions=("softmax_cross_entropy", "poly_loss_cross_entropy"),
        reason=(
            "`where` says what is summed. xentropy's own `where` says which classes exist, and a "
            "target on one that does not makes the loss inf."
        ),
        code=(
            "softmax_cross_entropy(array([1.0, 2.0, 3.0]), array([0.5, 0.0, 0.5]), "
            "where=array([True, True, False]))"
        ),
        native="0.656631",
        ours="0.656631",
        cases=("policy: soft target on a masked class",),
    ),
    Difference(
        title="Softmax of no class",
        kind="convention",
        functions=("softmax", "log_softmax"),
        reason=(
            "Where everything is masked the result is that of the masked classes, 0 or -inf; "
            "xentropy's own is NaN at a row of -inf alone."
        ),
        code="softmax(array([1.0, 2.0]), where=array([False, False]))",
        native="[0, 0]",
        ours="[0, 0]",
        cases=("policy: softmax of a row masked whole",),
    ),
    Difference(
        title="Rows without a class",
        kind="convention",
        functions=_ROWS,
        reason="Their loss is 0, and so is their gradient.",
        code=(
            "softmax_cross_entropy_with_integer_labels(array([1.0, 2.0]), array(1), "
            "where=array([False, False]))"
        ),
        native="0",
        ours="0",
    ),
    Difference(
        title="A negative sum",
        kind="convention",
        functions=("logsumexp",),
        reason=(
            "Without return_sign it is NaN and has no gradient, where xentropy's own function "
            "refuses factors below 0."
        ),
        code=(
            "logsumexp(array([1.0, 2.0]), b=array([1.0, -1.0])), jnp.abs(grad(lambda x: "
            "logsumexp(x, b=array([1.0, -1.0])), array([1.0, 2.0])))"
        ),
        native="nan, [0, 0]",
        ours="nan, [0, 0]",
    ),
    Difference(
        title="Smoothing over no class",
        kind="convention",
        functions=("smooth_labels",),
        reason="The share of every class is alpha over 0.",
        code="smooth_labels(array([1.0, 0.0]), 0.1, where=array([False, False]))",
        native="[inf, inf]",
        ours="[inf, inf]",
    ),
    Difference(
        title="Smoothing of masked classes",
        kind="convention",
        functions=("smooth_labels",),
        reason=(
            "The share is counted over the unmasked classes but added to all; xentropy's own "
            "label_smoothing adds it to the unmasked ones."
        ),
        code="smooth_labels(array([1.0, 0.0, 0.0]), 0.3, where=array([True, True, False]))",
        native="[0.85, 0.15, 0.15]",
        ours="[0.85, 0.15, 0.15]",
    ),
    Difference(
        title="Labels are broadcast",
        kind="convention",
        functions=(*_SOFT, *_BINARY, *_KL),
        reason=(
            "Whatever broadcasts with the logits is taken; xentropy's own functions want their "
            "shape."
        ),
        code="softmax_cross_entropy(array([[0.0, 0.0], [0.0, 0.0]]), array([1.0, 0.0]))",
        native="[0.693147, 0.693147]",
        ours="[0.693147, 0.693147]",
        cases=(
            "errors: labels with a class axis",
            "errors: soft targets *",
            "errors: binary targets that would broadcast",
            "errors: targets that would broadcast, kl_divergence",
        ),
    ),
    Difference(
        title="A mean is the user's own",
        kind="convention",
        functions=(*_ROWS, *_BINARY, *_KL),
        reason=(
            "The losses come row by row. `jnp.mean` divides by their number, whatever weighs them, "
            "and over none it is NaN; xentropy's own means divide by the weights."
        ),
        code="jnp.mean(softmax_cross_entropy(array([[0.0, 0.0]]), array([[1.0, 1.0]])))",
        native="1.38629",
        ours="1.38629",
        cases=(
            "policy: no entries, binary",
            "policy: no rows, *",
            "kl_divergence: no rows",
            "kl_divergence: probabilities, *",
        ),
    ),
    Difference(
        title="Log-probabilities as given",
        kind="convention",
        functions=_KL,
        reason=(
            "What `log_softmax` has rounded away stays lost, and entries that `where` leaves out "
            "add nothing; `xentropy.kl_divergence` starts from the logits."
        ),
        code="kl_divergence(array([0.0, 0.0]), array([0.5, 0.5]), where=array([True, False]))",
        native="-0.346574",
        ours="-0.346574",
        cases=(
            "kl_divergence: float32 probabilities, bfloat16 logits",
            "kl_divergence: one-hot",
            "kl_divergence: 1 x 32000, bfloat16",
            "kl_divergence: probability on a masked class",
        ),
    ),
    Difference(
        title="Integers are promoted",
        kind="convention",
        functions=(*_MAPS, *_KL),
        reason="JAX makes them floating; xentropy's own functions refuse them.",
        code="logsumexp(array([0, 0]))",
        native="0.693147",
        ours="0.693147",
        cases=(
            "errors: integer logits, logsumexp",
            "errors: integer logits, softmax",
            "errors: integer logits, kl_divergence",
        ),
    ),
    Difference(
        title="Soft labels of the focal loss",
        kind="convention",
        functions=("sigmoid_focal_loss",),
        reason=(
            "The whole loss is multiplied by a power of what its probability lacks; "
            "`xentropy.focal_loss` multiplies the loss of each class by its own. For labels 0 and 1"
            " they are one."
        ),
        code="sigmoid_focal_loss(array(0.0), array(0.25), gamma=1.0)",
        native="0.346574",
        ours="0.346574",
        cases=("focal_loss, sigmoid: soft, *", "derivatives: focal, sigmoid"),
    ),
    Difference(
        title="Labels and alpha of the binary losses are not checked",
        kind="convention",
        functions=_BINARY,
        reason="Any number is taken as it is; xentropy's own functions check integers and alpha.",
        code="sigmoid_binary_cross_entropy(array(1.0), array(2.0))",
        native="-0.686738",
        ours="-0.686738",
        cases=(
            "policy: label 2, binary",
            "focal_loss, sigmoid: label 2",
            "errors: alpha 1.5, sigmoid",
        ),
    ),
)
