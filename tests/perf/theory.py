"""What an update of each strategy must cost at least, in updates of fine-tuning.

One of fine-tuning is a forward pass and a backward of two, so that one more forward pass, a teacher's, is 1/3.
"""

from __future__ import annotations

from typing import Final

_TEACHER = (4 / 3, "a teacher's forward pass")
_WEIGHTS = (1.0, "element-wise work on the weights")
# Of mobilevit_xxs, whose convolutions below its first attention block do 0.27 of its products of weights and inputs:
# (1 forward + 0.73 of a backward pass to the inputs) / 3.
_ADAPTERS = (0.58, "no gradients of the backbone's weights, no backward pass below its first adapter")
LEAST: Final = {
    "fretal": _TEACHER,
    "kd": _TEACHER,
    "lwf": _TEACHER,
    "feature-distillation": _TEACHER,
    "tgd": _TEACHER,
    "icarl": _TEACHER,
    "dfil": _TEACHER,
    "hdp": (
        11 / 6,
        "half a batch of pseudo-fakes more, and a teacher's forward pass of reals and pseudo-fakes",
    ),
    "ewc": _WEIGHTS,
    "ewc-by-class": _WEIGHTS,
    "online-ewc": _WEIGHTS,
    "si": _WEIGHTS,
    "mas": _WEIGHTS,
    "l2sp": _WEIGHTS,
    "er": (2.0, "a batch twice as large"),
    "der": (2.0, "a batch of the memory"),
    "derpp": (3.0, "two batches of the memory"),
    "agem": (2.0, "the gradient of a batch of the memory"),
    "cls-er": (8 / 3, "a batch twice as large, and two averages' forward passes over its old half"),
    "esmer": (8 / 3, "a batch twice as large, and an average's forward pass over it"),
    "sur-lid": (5 / 4, "6 samples of the memory to 32 new ones, and a teacher's forward pass of the 6"),
    "gdumb": (1.0, "the same update, from the memory"),
    "ncm": (1 / 3, "one forward pass over the domain, no updates"),
    "slda": (1 / 3, "one forward pass over the domain, no updates"),
    "weight-averaging": (1.0, "the same update, the weights merged once a domain"),
    "task-arithmetic": (1.0, "the same update, the weights merged once a domain"),
    "ranpac": (1 / 3, "one forward pass over the domain, no updates"),
    "domain-lora": _ADAPTERS,
    # Of test_vit at 224 px, 64 wide: 10 * 64^2 products of weights a token and 2 * 64 * tokens of attention, which has no
    # weights whose gradients could be saved; 207 tokens in place of 197.
    "s-prompts": (0.85, "no gradients of the backbone's weights, 10 tokens more"),
    "orthogonal-lora": _ADAPTERS,
}
"""By strategy: how many updates of fine-tuning, and why."""
