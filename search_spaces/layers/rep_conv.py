"""RepVGG's convolution: three branches while it learns, one convolution when it is deployed."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from search_spaces.declarations import transparent
from search_spaces.layers.by_sides import BATCH_NORMS, convolution
from search_spaces.site import Site


@transparent
class RepConv(nn.Module):
    """norm(conv(x)) + norm(conv1x1(x)) + norm(x), batch normalizations all; the last in blocks alone.

    All three are linear once the statistics are fixed, so `reparameterize()` adds them up to one convolution of a bias.
    """

    def __init__(self, site: Site, width: int, kernel: int, stride: int, identity: bool) -> None:
        super().__init__()
        sides, norm = len(site.sides), BATCH_NORMS[len(site.sides)]
        self.given = (sides, site.channels, width, kernel, stride, kernel // 2)
        self.identity: Any = norm(width) if identity else None
        self.kernel: Any = nn.Sequential(convolution(*self.given, bias=False), norm(width))
        self.point: Any = nn.Sequential(convolution(*self.given[:3], 1, stride, bias=False), norm(width))
        self.merged: Any = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.merged is not None:
            return self.merged(x)
        y = self.kernel(x) + self.point(x)
        return y if self.identity is None else y + self.identity(x)

    def reparameterize(self) -> None:
        """Become one convolution."""
        if self.merged is not None:
            return
        weight, bias = _folded(self.kernel[0].weight, self.kernel[1])
        edge = weight.shape[2] // 2
        around = [edge] * (2 * (weight.dim() - 2))
        point, more = _folded(self.point[0].weight, self.point[1])
        weight, bias = weight + functional.pad(point, around), bias + more
        if self.identity is not None:
            eye = torch.eye(weight.shape[0]).to(point).view(point.shape)
            straight, more = _folded(eye, self.identity)
            weight, bias = weight + functional.pad(straight, around), bias + more
        self.merged = convolution(*self.given).to(weight)
        self.merged.weight = nn.Parameter(weight.detach(), requires_grad=False)
        self.merged.bias = nn.Parameter(bias.detach(), requires_grad=False)
        self.kernel = self.point = self.identity = None


def _folded(weight: torch.Tensor, norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a convolution without a bias and the batch normalization behind it."""
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return weight * scale.view(-1, *[1] * (weight.dim() - 1)), norm.bias - norm.running_mean * scale


def rep_conv(part: Any, site: Site, width: int, stride: int, identity: bool = False) -> nn.Module:
    """The convolution of `part.kernel`, its channel attention if any, its activation."""
    conv = RepConv(site, width, part.kernel, stride, identity)
    after = site.at((width, *((side - 1) // stride + 1 for side in site.sides)))
    rest = [inner.build(after) for inner in (part.channel_attention, part.activation) if inner is not None]
    return nn.Sequential(conv, *rest)
