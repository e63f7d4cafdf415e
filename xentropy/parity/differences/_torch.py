"""In what the drop-ins for PyTorch differ."""

from __future__ import annotations

from xentropy.parity.differences import Difference

DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        title="Loss of a confident row",
        kind="defect",
        functions=(
            "log_softmax",
            "logsumexp",
            "cross_entropy",
            "linear_cross_entropy",
        ),
        reason=(
            "PyTorch's log(sum) rounds what the other classes add to 0 from a margin of about 17 "
            "on in float32; log1p keeps it."
        ),
        code="cross_entropy(tensor([[30.0, 0.0, 0.0]]), tensor([0]))",
        native="0",
        ours="1.87152e-13",
    ),
    Difference(
        title="Gradient of a confident row",
        kind="defect",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
        ),
        reason=(
            "p - 1 is 0 once p rounds to 1; the sum of the other classes' probabilities is not."
        ),
        code="grad(lambda x: cross_entropy(x, tensor([0])), tensor([[20.0, 0.0]]))",
        native="[[0, 2.06115e-09]]",
        ours="[[-2.06115e-09, 2.06115e-09]]",
    ),
    Difference(
        title="Loss of a confident negative",
        kind="defect",
        functions=("binary_cross_entropy_with_logits",),
        reason="PyTorch's form is exact on the positive side only.",
        code=(
            "binary_cross_entropy_with_logits(tensor([-40.0], dtype=float64), tensor([0.0], "
            "dtype=float64))"
        ),
        native="0",
        ours="4.24835e-18",
    ),
    Difference(
        title="Gradient of a confident positive",
        kind="defect",
        functions=("binary_cross_entropy_with_logits",),
        reason=(
            "The sigmoid rounds to 1 and the gradient to 0; the probability of the other class is"
            " computed by itself."
        ),
        code=("grad(lambda x: binary_cross_entropy_with_logits(x, tensor([1.0])), tensor([20.0]))"),
        native="[0]",
        ours="[-2.06115e-09]",
    ),
    Difference(
        title="Many classes in float16",
        kind="defect",
        functions=(
            "log_softmax",
            "logsumexp",
            "cross_entropy",
            "linear_cross_entropy",
        ),
        reason=(
            "PyTorch sums the exponentials in float16 on a CPU and overflows; half precision is "
            "computed in float32 here."
        ),
        code="cross_entropy(zeros(1, 100000, dtype=float16), tensor([3]))",
        native="inf",
        ours="11.5156",
        cases=("vocabularies: 100000 zeros, float16",),
    ),
    Difference(
        title="Many rows in float16",
        kind="defect",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
            "nll_loss",
            "binary_cross_entropy_with_logits",
            "kl_div",
        ),
        reason=(
            "The sum of a mean overflows float16; it is reduced in float32 here and rounded once,"
            " at the end."
        ),
        code="cross_entropy(zeros(65536, 16, dtype=float16), zeros(65536).long())",
        native="nan",
        ours="2.77344",
    ),
    Difference(
        title="A target of 0 on a class at -inf",
        kind="defect",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
            "kl_div",
        ),
        reason="0 * inf is 0: a masked class that no target is on adds nothing.",
        code="cross_entropy(tensor([[1.0, 2.0, -inf]]), tensor([[0.5, 0.5, 0.0]]))",
        native="nan",
        ours="0.813262",
        cases=(
            "policy: -inf beside a one-hot",
            "policy: -inf beside soft targets",
            "kl_divergence: probability 0 on -inf",
        ),
    ),
    Difference(
        title="A class weight of 0 on a class at -inf",
        kind="defect",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
        ),
        reason="The same with label smoothing: what is weighted 0 adds nothing.",
        code=(
            "cross_entropy(tensor([[1.0, 2.0, -inf]]), tensor([0]), tensor([1.0, 1.0, 0.0]), "
            "label_smoothing=0.1)"
        ),
        native="nan",
        ours="1.23615",
        cases=("policy: class weight 0 on a -inf class",),
    ),
    Difference(
        title="Log-targets at -inf",
        kind="defect",
        functions=("kl_div",),
        reason="exp(-inf) is a probability of 0, which adds nothing.",
        code=(
            "kl_div(tensor([-inf, -0.5]), tensor([-inf, -0.5]), reduction='none', log_target=True)"
        ),
        native="[nan, 0]",
        ours="[0, 0]",
        cases=("kl_divergence: log-probability -inf",),
    ),
    Difference(
        title="Gradient of an ignored row that holds NaN",
        kind="defect",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
        ),
        reason="A row that is left out contributes nothing, whatever it holds.",
        code=(
            "grad(lambda x: cross_entropy(x, tensor([0, -100])), tensor([[1.0, 2.0], [nan, 0.0]]))"
        ),
        native="[[-0.731059, 0.731059], [nan, nan]]",
        ours="[[-0.731059, 0.731059], [0, 0]]",
        cases=(
            "policy: * in an ignored row",
            "policy: NaN in an ignored row, none",
            "linear head: NaN and inf in ignored rows",
        ),
    ),
    Difference(
        title="Gradient of a mean over weights of 0",
        kind="defect",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
            "nll_loss",
        ),
        reason=(
            "The mean is NaN, but moves nothing: its gradient is 0, as PyTorch's is where every row"
            " is ignored. PyTorch divides 0 by 0 here."
        ),
        code=(
            "grad(lambda x: cross_entropy(x, tensor([0]), weight=tensor([0.0, 1.0])), "
            "tensor([[1.0, 2.0]]))"
        ),
        native="[[nan, nan]]",
        ours="[[0, 0]]",
        cases=("policy: class weights 0",),
    ),
    Difference(
        title="Gradient of a row whose targets are all 0",
        kind="defect",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
        ),
        reason="No target, no loss, no gradient, whatever the row holds.",
        code="grad(lambda x: cross_entropy(x, tensor([[0.0, 0.0]])), tensor([[nan, 0.0]]))",
        native="[[nan, nan]]",
        ours="[[0, 0]]",
    ),
    Difference(
        title="One logit at +inf",
        kind="defect",
        functions=("softmax", "log_softmax", "cross_entropy"),
        reason="The limit of the softmax is the one-hot of that class.",
        code="softmax(tensor([1.0, inf]), dim=0)",
        native="[nan, nan]",
        ours="[0, 1]",
        cases=(
            "policy: loss with +inf*",
            "policy: softmax with +inf",
            "policy: log_softmax with +inf",
        ),
    ),
    Difference(
        title="Logits at +inf and -inf that are right",
        kind="defect",
        functions=("binary_cross_entropy_with_logits",),
        reason="The limit of the loss is 0; PyTorch subtracts infinities.",
        code="binary_cross_entropy_with_logits(tensor([inf, -inf]), tensor([1.0, 0.0]))",
        native="nan",
        ours="0",
        cases=("policy: binary +inf at 1, -inf at 0", "policy: binary -inf at 1"),
    ),
    Difference(
        title="An element of weight 0 that holds NaN",
        kind="defect",
        functions=("binary_cross_entropy_with_logits",),
        reason="An element that is weighted 0 contributes nothing, whatever it holds.",
        code=(
            "binary_cross_entropy_with_logits(tensor([nan, 0.0]), tensor([1.0, 1.0]), "
            "tensor([0.0, 1.0]))"
        ),
        native="nan",
        ours="0.346574",
    ),
    Difference(
        title="Gradient of a logsumexp of -inf alone",
        kind="defect",
        functions=("logsumexp",),
        reason="An empty sum does not move with its exponents.",
        code="grad(lambda x: logsumexp(x, dim=0), tensor([-inf, -inf]))",
        native="[nan, nan]",
        ours="[0, 0]",
        cases=("policy: logsumexp of a -inf row",),
    ),
    Difference(
        title="Gradient by targets where the logarithm is clamped",
        kind="defect",
        functions=("binary_cross_entropy",),
        reason=(
            "The loss is linear in the target, with the clamped logarithms as its slope; "
            "PyTorch's gradient forgets the clamp."
        ),
        code="grad(lambda t: binary_cross_entropy(tensor([0.0]), t), tensor([0.5]))",
        native="[inf]",
        ours="[100]",
    ),
    Difference(
        title="Forward mode of a linear head with options",
        kind="defect",
        functions=("linear_cross_entropy",),
        reason=("PyTorch cuts the rows outside of autograd, and says silently that nothing moves."),
        code=(
            "jvp(lambda x: linear_cross_entropy(x, tensor([[1.0], [3.0]]), tensor([0]), "
            "options=LinearCrossEntropyOptions()), tensor([[1.0]]))"
        ),
        native="0",
        ours="1.76159",
    ),
    Difference(
        title="Second derivatives of a linear head with options",
        kind="defect",
        functions=("linear_cross_entropy",),
        reason=(
            "PyTorch's gradient is a constant to autograd: its derivative is silently 0, or an "
            "error where one is asked for alone."
        ),
        code=(
            "hessian(lambda x: linear_cross_entropy(x, tensor([[1.0], [3.0]]), tensor([0]), "
            "options=LinearCrossEntropyOptions()), tensor([[1.0]]))"
        ),
        native="[[[[0]]]]",
        ours="[[[[0.419974]]]]",
    ),
    Difference(
        title="Labels of any integer dtype",
        kind="extension",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
            "nll_loss",
        ),
        reason="PyTorch takes int64, and uint8 for inputs of up to two axes.",
        code="cross_entropy(tensor([[1.0, 2.0]]), tensor([0], dtype=int32))",
        native="RuntimeError",
        ours="1.31326",
    ),
    Difference(
        title="One-hot targets of any dtype",
        kind="extension",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
            "binary_cross_entropy",
            "binary_cross_entropy_with_logits",
            "kl_div",
        ),
        reason=(
            "Targets need not be cast to the dtype of the input; integer targets of the binary "
            "losses must be 0 or 1."
        ),
        code="cross_entropy(tensor([[1.0, 2.0]]), tensor([[1, 0]]))",
        native="RuntimeError",
        ours="1.31326",
        cases=("label dtypes: one-hot as *",),
    ),
    Difference(
        title="Weights and targets of another floating dtype",
        kind="extension",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
            "nll_loss",
            "binary_cross_entropy",
        ),
        reason="They are cast to the dtype that the loss is computed in.",
        code=(
            "cross_entropy(tensor([[1.0, 2.0]]), tensor([0]), tensor([1.0, 3.0], dtype=float64))"
        ),
        native="RuntimeError",
        ours="1.31326",
    ),
    Difference(
        title="Gradients by weights",
        kind="extension",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
            "nll_loss",
            "binary_cross_entropy",
        ),
        reason="PyTorch has no derivative by these.",
        code=(
            "grad(lambda w: cross_entropy(tensor([[1.0, 2.0]]), tensor([0]), w, reduction='sum'),"
            " ones(2))"
        ),
        native="RuntimeError",
        ours="[1.31326, 0]",
    ),
    Difference(
        title="Backward of a label with an axis but no batch",
        kind="extension",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
            "nll_loss",
        ),
        reason=(
            "PyTorch takes an input of shape (C,) with a label of shape (1,), and fails in its "
            "backward."
        ),
        code="grad(lambda x: cross_entropy(x, tensor([1])), tensor([1.0, 2.0]))",
        native="RuntimeError",
        ours="[0.268941, -0.268941]",
    ),
    Difference(
        title="Transforms of a linear head with options",
        kind="extension",
        functions=("linear_cross_entropy",),
        reason=(
            "PyTorch's cut loss has no rule for torch.func; torch.compile breaks its graph there."
        ),
        code=(
            "func_grad(lambda x: linear_cross_entropy(x, tensor([[1.0], [3.0]]), tensor([0]), "
            "options=LinearCrossEntropyOptions()), tensor([[1.0]]))"
        ),
        native="RuntimeError",
        ours="[[1.76159]]",
    ),
    Difference(
        title="Two backwards of a linear head with options",
        kind="extension",
        functions=("linear_cross_entropy",),
        reason=("PyTorch uses its gradients up unless `allow_retain_graph` is set."),
        code=(
            "two_backwards(lambda x: linear_cross_entropy(x, tensor([[1.0], [3.0]]), tensor([0]), "
            "options=LinearCrossEntropyOptions()), tensor([[1.0]]))"
        ),
        native="RuntimeError",
        ours="[[1.76159]]",
    ),
    Difference(
        title="No features, with options",
        kind="extension",
        functions=("linear_cross_entropy",),
        reason=("PyTorch divides by their number to size its chunks."),
        code=(
            "linear_cross_entropy(zeros(1, 0), zeros(2, 0), tensor([0]), "
            "options=LinearCrossEntropyOptions())"
        ),
        native="ZeroDivisionError",
        ours="0.693147",
    ),
    Difference(
        title="Sum over all axes by an empty tuple",
        kind="extension",
        functions=("logsumexp",),
        reason=(
            "PyTorch gives the result for keepdim=True only, and an internal error without it."
        ),
        code="logsumexp(tensor([[1.0, 2.0], [3.0, 4.0]]), dim=())",
        native="RuntimeError",
        ours="4.44019",
    ),
    Difference(
        title="Complex exponents",
        kind="limit",
        functions=("logsumexp",),
        reason="The losses of this package are real.",
        code="logsumexp(tensor([1.0 + 0j, 2.0]), dim=0).real",
        native="2.31326",
        ours="TypeError",
    ),
    Difference(
        title="Negative label smoothing",
        kind="limit",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
        ),
        reason="PyTorch ignores it silently.",
        code="cross_entropy(tensor([[1.0, 2.0]]), tensor([0]), label_smoothing=-0.1)",
        native="1.31326",
        ours="ValueError",
        cases=("errors: label_smoothing -0.1",),
    ),
    Difference(
        title="No classes",
        kind="limit",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
        ),
        reason="There is no distribution over no classes; PyTorch's mean of nothing is NaN.",
        code="cross_entropy(zeros(2, 0), zeros(2, 0))",
        native="nan",
        ours="ValueError",
    ),
    Difference(
        title="More labels than rows, or class weights than classes, with options",
        kind="limit",
        functions=("linear_cross_entropy",),
        reason=("PyTorch overlooks the rest, but counts the labels in a mean."),
        code=(
            "linear_cross_entropy(ones(1, 1), zeros(2, 1), tensor([0, 1]), "
            "options=LinearCrossEntropyOptions())"
        ),
        native="0.346574",
        ours="ValueError",
    ),
    Difference(
        title="A mean over nothing",
        kind="convention",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
            "nll_loss",
            "binary_cross_entropy",
            "binary_cross_entropy_with_logits",
            "kl_div",
        ),
        reason=(
            "NaN, with a gradient of 0, where `xentropy` has 0: every row ignored, weights that "
            "sum to 0, or no rows."
        ),
        code="cross_entropy(tensor([[1.0, 2.0]]), tensor([-100]))",
        native="nan",
        ours="nan",
        cases=(
            "policy: no entries, binary",
            "policy: all ignored, mean",
            "policy: no rows, *",
            "policy: class weights 0",
            "policy: all ignored, nll",
            "linear head: every row ignored",
            "kl_divergence: no rows",
        ),
    ),
    Difference(
        title="The divisor of smoothed labels with class weights",
        kind="convention",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
        ),
        reason=(
            "A mean divides by the sum of the labels' own weights, where `xentropy` divides by "
            "the sum of all coefficients, the smoothed ones included."
        ),
        code=(
            "cross_entropy(tensor([[1.0, 2.0], [3.0, 1.0]]), tensor([0, 1]), tensor([1.0, 3.0]), "
            "label_smoothing=0.2)"
        ),
        native="1.75783",
        ours="1.75783",
        cases=("policy: weighted and smoothed, mean", "policy: class weight 0 on a -inf class"),
    ),
    Difference(
        title="The divisor of probabilities",
        kind="convention",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
        ),
        reason=(
            "A mean divides by the number of rows, weighted or not, where `xentropy` divides by "
            "the sum of the coefficients, as for labels."
        ),
        code=(
            "cross_entropy(tensor([[1.0, 2.0], [3.0, 1.0]]), tensor([[1.0, 0.0], [0.0, 1.0]]), "
            "tensor([1.0, 3.0]))"
        ),
        native="3.84702",
        ours="3.84702",
        cases=(
            "policy: weighted one-hot, mean",
            "policy: smoothed by hand, mean",
            "options: class weights, soft",
            "linear head: soft",
        ),
    ),
    Difference(
        title="Smoothing of probabilities that do not sum to 1",
        kind="convention",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
        ),
        reason=(
            "They are mixed with 1 / C, where `xentropy` spreads their own sum over the classes."
        ),
        code="cross_entropy(tensor([[1.0, 2.0]]), tensor([[1.0, 1.0]]), label_smoothing=0.2)",
        native="1.46387",
        ours="1.46387",
        cases=("policy: smoothing of soft targets of mass 2",),
    ),
    Difference(
        title="The dtype of a loss",
        kind="convention",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
            "nll_loss",
            "binary_cross_entropy",
            "binary_cross_entropy_with_logits",
            "kl_div",
            "logsumexp",
        ),
        reason=(
            "PyTorch's: mostly the input's, where `xentropy` gives float32 for half precision."
        ),
        code="cross_entropy(tensor([[1.0, 2.0]], dtype=float16), tensor([0])).dtype",
        native="torch.float16",
        ours="torch.float16",
    ),
    Difference(
        title="The dtype of a binary loss is the target's",
        kind="convention",
        functions=("binary_cross_entropy_with_logits",),
        reason=(
            "As PyTorch has it, which multiplies into the target; the loss itself is computed in "
            "the input's precision."
        ),
        code=(
            "binary_cross_entropy_with_logits(tensor([1.0], dtype=float64), tensor([1.0])).dtype"
        ),
        native="torch.float32",
        ours="torch.float32",
    ),
    Difference(
        title="Logarithms are clamped at -100",
        kind="convention",
        functions=("binary_cross_entropy",),
        reason=(
            "A probability of 0 for a target of 1 has the loss 100 and a finite gradient, where "
            "`xentropy` has infinities."
        ),
        code=(
            "(binary_cross_entropy(tensor([0.0]), tensor([1.0])), grad(lambda p: "
            "binary_cross_entropy(p, tensor([1.0])), tensor([0.0])))"
        ),
        native="100, [-1e+12]",
        ours="100, [-1e+12]",
        cases=("policy: binary p = 0 and 1",),
    ),
    Difference(
        title="The reductions of kl_div",
        kind="convention",
        functions=("kl_div",),
        reason=(
            "'mean' divides by the number of elements, 'batchmean' by the length of the first "
            "axis, where `xentropy.kl_divergence` divides by the sum of the targets."
        ),
        code="kl_div(tensor([[-1.0, -2.0]]), tensor([[1.0, 1.0]]), reduction='batchmean')",
        native="3",
        ours="3",
        cases=(
            "kl_divergence: probabilities, *",
            "kl_divergence: log_probabilities, *",
            "derivatives: divergence from log_probabilities",
        ),
    ),
    Difference(
        title="Integers have a logsumexp",
        kind="convention",
        functions=("logsumexp",),
        reason="They become the default dtype, where `xentropy` refuses them.",
        code="logsumexp(tensor([1, 2]), dim=0)",
        native="2.31326",
        ours="2.31326",
        cases=("errors: integer logits, logsumexp",),
    ),
    Difference(
        title="The class axis",
        kind="convention",
        functions=("cross_entropy", "nll_loss"),
        reason="Axis 1, or 0 without a batch, where `xentropy` has the last one by default.",
        code=("cross_entropy(arange(6).reshape(1, 3, 2) / 2, tensor([[0, 2]]), reduction='none')"),
        native="[[2.40761, 0.407606]]",
        ours="[[2.40761, 0.407606]]",
    ),
    Difference(
        title="Log-probabilities as given",
        kind="convention",
        functions=("kl_div",),
        reason=(
            "`kl_div` starts from log-probabilities: what `log_softmax` has rounded away stays "
            "lost. `xentropy.kl_divergence` starts from the logits."
        ),
        code="kl_div(tensor([[0.0, -20.0]]), tensor([[1.0, 0.0]]), reduction='batchmean')",
        native="0",
        ours="0",
        cases=(
            "kl_divergence: float32 probabilities, bfloat16 logits",
            "kl_divergence: one-hot*",
            "kl_divergence: 1 x 32000, bfloat16",
        ),
    ),
    Difference(
        title="Targets of kl_div are broadcast",
        kind="convention",
        functions=("kl_div",),
        reason="One row of targets serves all rows; xentropy's own function wants equal shapes.",
        code="kl_div(zeros(2, 2), tensor([0.5, 0.5]), reduction='sum')",
        native="-1.38629",
        ours="-1.38629",
        cases=("errors: targets that would broadcast, kl_divergence",),
    ),
    Difference(
        title="The divisor of a binary loss",
        kind="convention",
        functions=("binary_cross_entropy", "binary_cross_entropy_with_logits"),
        reason=(
            "A mean divides by the number of elements, whatever weighs them; xentropy's own divides"
            " by the weights."
        ),
        code=(
            "binary_cross_entropy_with_logits(zeros(2), tensor([1.0, 0.0]), pos_weight=tensor(3.0))"
        ),
        native="1.38629",
        ours="1.38629",
        cases=("binary: pos_weight*",),
    ),
    Difference(
        title="Binary targets outside [0, 1]",
        kind="convention",
        functions=("binary_cross_entropy_with_logits",),
        reason="Floating targets are taken as they are; xentropy's own function checks integers.",
        code="binary_cross_entropy_with_logits(tensor([1.0]), tensor([2.0]))",
        native="-0.686738",
        ours="-0.686738",
        cases=("policy: label 2, binary",),
    ),
    Difference(
        title="The label -100",
        kind="convention",
        functions=(
            "cross_entropy",
            "linear_cross_entropy",
            "nll_loss",
        ),
        reason="It is ignored unless `ignore_index` is another; to xentropy it is no class.",
        code="cross_entropy(tensor([[1.0, 2.0], [1.0, 2.0]]), tensor([0, -100]))",
        native="1.31326",
        ours="1.31326",
        cases=("policy: label -100",),
    ),
    Difference(
        title="A negative ignore_index beside probabilities",
        kind="convention",
        functions=("cross_entropy",),
        reason="It has no meaning there, and is overlooked, as the default has to be.",
        code="cross_entropy(tensor([[1.0, 2.0]]), tensor([[1.0, 0.0]]), ignore_index=-1)",
        native="1.31326",
        ours="1.31326",
        cases=("errors: ignore_index with soft targets",),
    ),
    Difference(
        title="A softmax of a single number",
        kind="convention",
        functions=("softmax", "log_softmax", "logsumexp"),
        reason="A tensor without axes is one class, along axis 0 or -1.",
        code="softmax(tensor(2.0), dim=0)",
        native="1",
        ours="1",
        cases=("errors: a bare number as logits",),
    ),
    Difference(
        title="Gradient of a softmax in half precision",
        kind="defect",
        functions=("softmax",),
        reason=(
            "PyTorch starts from the rounded probabilities, which do not sum to 1; the gradient of "
            "their sum is 0."
        ),
        code=(
            "grad(lambda x: softmax(x, 0), tensor([0.0, 1.0, 2.5], dtype=bfloat16)).abs() > 1e-5"
        ),
        native="[1, 1, 1]",
        ours="[0, 0, 0]",
        cases=("softmax and kin: softmax, *float16",),
    ),
)
