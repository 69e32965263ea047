"""CutMix."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from evaluators.recipes.augmentation import Augmentation, has_masks
from evaluators.recipes.augmentation._mixing import mixed, partners
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part(
    "augmentation",
    "cutmix",
    source="CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features",
)
class CutMix(Augmentation):
    """A rectangle of each picture is another one's; targets are mixed by area, and masks as the pictures are.

    The picture's own share is Beta(alpha, alpha); the rectangle's middle is anywhere, and what would lie outside of the
    picture is left off.
    """

    alpha: float = 1.0

    media: ClassVar[tuple[str, ...]] = ("pictures", "spectrograms")

    def validate(self) -> None:
        if not self.alpha > 0:
            raise SpaceError(f"must be above 0, not {self.alpha!r}", "cutmix.alpha")

    def applied(self, inputs: Tensor, targets: Tensor, data: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        n, _, height, width = inputs.shape
        order, shares = partners(n, self.alpha, generator)
        side = (1 - shares).sqrt()
        down = _within(height, side, torch.rand(n, generator=generator))
        across = _within(width, side, torch.rand(n, generator=generator))
        cut = (down.unsqueeze(2) & across.unsqueeze(1)).unsqueeze(1)
        own = 1 - cut.float().mean((1, 2, 3))
        order, cut = order.to(inputs.device), cut.to(inputs.device)
        if has_masks(data):
            inside = cut if targets.ndim == 4 else cut.squeeze(1)
            targets = torch.where(inside, targets[order], targets)
        else:
            targets = mixed(data.task.mixed(targets), order, own)
        return torch.where(cut, inputs[order], inputs), targets


def _within(size: int, side: Tensor, middle: Tensor) -> Tensor:
    """(n, size): which pixels along a side are within stretches of a length and a middle, shares of the side."""
    half = (side * size).round() / 2
    first, last = (middle * size).floor() - half.floor(), (middle * size).floor() + half.ceil()
    places = torch.arange(size)
    return (places >= first.unsqueeze(1)) & (places < last.unsqueeze(1))
