"""Augmentation of batches of tensors: every picture gets its own random shift and mirroring."""

import torch
from torch import Tensor
from torch.nn import functional

from evaluators.datasets import Augmentation


def augmented(images: Tensor, kind: Augmentation, generator: torch.Generator) -> Tensor:
    """The batch (n, channels, height, width), shifted by up to an eighth of its sides, and mirrored for "flip".

    What a shift uncovers is filled with the border's pixels. The draws come from `generator`, a CPU generator.
    """
    if kind == "none":
        return images
    shifted = _shifted(images, generator)
    if kind == "shift":
        return shifted
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(mirrored.to(images.device).view(-1, 1, 1, 1), shifted.flip(3), shifted)


def _shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    n, channels, height, width = images.shape
    rows, columns = max(1, height // 8), max(1, width // 8)
    padded = functional.pad(images, (columns, columns, rows, rows), mode="replicate")
    top = torch.randint(0, 2 * rows + 1, (n, 1), generator=generator) + torch.arange(height)
    left = torch.randint(0, 2 * columns + 1, (n, 1), generator=generator) + torch.arange(width)
    top, left = top.to(images.device), left.to(images.device)
    picture = torch.arange(n, device=images.device).view(n, 1, 1, 1)
    channel = torch.arange(channels, device=images.device).view(1, channels, 1, 1)
    return padded[picture, channel, top.view(n, 1, height, 1), left.view(n, 1, 1, width)]
