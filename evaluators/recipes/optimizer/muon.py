"""Muon."""

from typing import Any

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)

import timm.optim
import torch

from evaluators.recipes.optimizer import Optimizer
from search_spaces.parts import part

COEFFICIENTS = (3.4445, -4.775, 2.0315)
"""Of the iterations' polynomial of degree five, as in the paper and in torch."""


@part("optimizer", "muon", source="Muon is Scalable for LLM Training")
class Muon(Optimizer):
    """Steps by the momentum of a weight matrix made orthogonal by Newton-Schulz iterations.

    Weights of convolutions are flattened to matrices; what is no matrix, as biases, normalizations and depthwise
    convolutions, goes by AdamW with Nesterov's momentum, too. The steps are scaled to the root mean square of AdamW's,
    as the paper does, so that rates and decays of AdamW suit.
    """

    momentum: float = 0.95
    beta1: float = 0.9
    beta2: float = 0.999

    def made(self, groups: list[dict[str, Any]], recipe: Any) -> torch.optim.Optimizer:
        return timm.optim.Muon(
            groups,
            lr=recipe.lr,
            weight_decay=0.0,
            momentum=self.momentum,
            nesterov=True,
            ns_coefficients=COEFFICIENTS,
            adjust_lr_fn="match_rms_adamw",
            conv_mode="flatten",
            betas=(self.beta1, self.beta2),
        )
