"""Random shifts."""

from typing import Any

import torch
from torch import Tensor

from evaluators.recipes.augmentation import Augmentation, has_masks
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part("augmentation", "shift", source="Deeply-Supervised Nets")
class Shift(Augmentation):
    """Each picture is moved by up to the share `share` of its sides; border pixels fill what that uncovers."""

    share: float = 0.125

    def validate(self) -> None:
        if not 0 < self.share <= 1:
            raise SpaceError(f"must be a share above 0, up to 1, not {self.share!r}", "shift.share")

    def applied(self, inputs: Tensor, targets: Tensor, data: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        n, _, height, width = inputs.shape
        rows, columns = max(1, int(height * self.share)), max(1, int(width * self.share))
        top = torch.randint(0, 2 * rows + 1, (n, 1), generator=generator)
        left = torch.randint(0, 2 * columns + 1, (n, 1), generator=generator)
        places = top.to(inputs.device), left.to(inputs.device), rows, columns
        if has_masks(data):
            maps = targets if targets.ndim == 4 else targets.unsqueeze(1)
            targets = _moved(maps, *places).view_as(targets)
        return _moved(inputs, *places), targets


def _moved(maps: Tensor, top: Tensor, left: Tensor, rows: int, columns: int) -> Tensor:
    n, channels, height, width = maps.shape
    down = (top + torch.arange(height, device=maps.device) - rows).clamp(0, height - 1)
    across = (left + torch.arange(width, device=maps.device) - columns).clamp(0, width - 1)
    pixels = maps.permute(0, 2, 3, 1).reshape(n * height * width, channels)
    picture = torch.arange(n, device=maps.device).view(n, 1, 1)
    # Whole pixels by one number each: several times as fast as values by their four.
    which = (picture * height + down.view(n, height, 1)) * width + across.view(n, 1, width)
    return pixels.index_select(0, which.flatten()).view(n, height, width, channels).permute(0, 3, 1, 2)
