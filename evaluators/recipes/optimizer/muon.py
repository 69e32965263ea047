"""Muon."""

from typing import Any

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)

import timm.optim
import torch

from evaluators.recipes.optimizer import Optimizer
from search_spaces.errors import SpaceError
from search_spaces.parts import part

COEFFICIENTS = (3.4445, -4.775, 2.0315)
"""Of the iterations' polynomial of degree five, as in the paper and in torch."""


@part("optimizer", "muon", source="Muon is Scalable for LLM Training")
class Muon(Optimizer):
    """Steps by the momentum of a weight matrix made orthogonal by Newton-Schulz iterations.

    Weights of convolutions are flattened to matrices; what is no matrix, as biases, normalizations and depthwise
    convolutions, goes by AdamW with Nesterov's momentum, too. The steps are scaled to the root mean square of AdamW's,
    as the paper does, so that rates and decays of AdamW suit. The iterations take time by the square of a matrix's
    smaller side, however few examples a batch has: matrices whose smaller side is above `widest` go by AdamW, too.
    """

    momentum: float = 0.95
    beta1: float = 0.9
    beta2: float = 0.999
    widest: int | None = None

    def validate(self) -> None:
        if self.widest is not None and (not isinstance(self.widest, int) or self.widest < 1):
            raise SpaceError(f"must be an integer of 1 or more, or none, not {self.widest!r}", "muon.widest")

    def made(self, groups: list[dict[str, Any]], recipe: Any) -> torch.optim.Optimizer:
        return timm.optim.Muon(
            groups if self.widest is None else self._split(groups),
            lr=recipe.lr,
            weight_decay=0.0,
            momentum=self.momentum,
            nesterov=True,
            ns_coefficients=COEFFICIENTS,
            adjust_lr_fn="match_rms_adamw",
            conv_mode="flatten",
            betas=(self.beta1, self.beta2),
        )

    def _split(self, groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The groups, with what is too wide in groups that go by AdamW."""
        found = []
        for group in groups:
            wide = [_smaller_side(parameter) > (self.widest or 0) for parameter in group["params"]]
            for chosen, more in ((False, {}), (True, {"use_fallback": True})):
                own = [p for p, is_wide in zip(group["params"], wide, strict=True) if is_wide is chosen]
                found += [{**group, **more, "params": own}] if own else []
        return found


def _smaller_side(parameter: torch.nn.Parameter) -> int:
    """The smaller side of a parameter as a matrix; 0 of what is none."""
    return min(parameter.shape[0], parameter[0].numel()) if parameter.ndim > 1 else 0
