"""Token mixers without attention: `build(shape)` gives a module that mixes positions, same shape in and out."""

from collections.abc import Iterator
from typing import Any

import torch
from timm.models import metaformer
from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part, slot


@part("token_mixer", "depthwise_conv", source="A ConvNet for the 2020s")
class DepthwiseConv(Part):
    """One filter per channel."""

    kernel: int = 7

    def validate(self) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise SpaceError(f"must be odd and 1 or more, not {self.kernel}", "depthwise_conv.kernel")

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        return nn.Conv2d(shape[0], shape[0], self.kernel, padding=self.kernel // 2, groups=shape[0])


class ChannelDilatedConv(nn.Conv2d):
    """A convolution whose output channels each have a dilation per axis: channel i has `dilations[i % len(dilations)]`.

    Same shape in and out. Channels of equal dilations are one convolution.
    """

    def __init__(self, channels: int, kernel: int, dilations: tuple[tuple[int, int], ...]) -> None:
        super().__init__(channels, channels, kernel, padding="same")
        of = [dilations[i % len(dilations)] for i in range(channels)]
        self.groups_of = [(pair, [i for i in range(channels) if of[i] == pair]) for pair in sorted(set(of))]
        order = [i for _, rows in self.groups_of for i in rows]
        self.places = sorted(range(channels), key=order.__getitem__)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = []
        for (down, across), rows in self.groups_of:
            chosen = torch.tensor(rows, device=x.device)
            weight, bias = self.weight.index_select(0, chosen), None
            if self.bias is not None:
                bias = self.bias.index_select(0, chosen)
            padding = (down * (self.kernel_size[0] // 2), across * (self.kernel_size[1] // 2))
            found.append(nn.functional.conv2d(x, weight, bias, 1, padding, (down, across)))
        return torch.cat(found, 1).index_select(1, torch.tensor(self.places, device=x.device))


@part("token_mixer", "inception_conv", source="Inception Convolution with Efficient Dilation Search")
class InceptionConv(Part):
    """A convolution of all channels, each output channel with a dilation of its own per axis: (down, across).

    `dilations` are dealt out to the channels in turn; with as many as there are channels, each has its own.
    """

    kernel: int = 3
    dilations: tuple[tuple[int, int], ...] = ((1, 1), (1, 2), (2, 1), (2, 2))

    def validate(self) -> None:
        if self.kernel < 3 or self.kernel % 2 == 0:
            raise SpaceError(f"must be odd and 3 or more, not {self.kernel}", "inception_conv.kernel")
        pairs = [pair for pair in self.dilations if isinstance(pair, tuple)]
        good = all(len(pair) == 2 and all(isinstance(d, int) and d >= 1 for d in pair) for pair in pairs)
        if not self.dilations or len(pairs) < len(self.dilations) or not good:
            raise SpaceError(
                f"must be pairs of integers of 1 or more, as in ((1, 1), (1, 2)), not {self.dilations}",
                "inception_conv.dilations",
            )

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        return ChannelDilatedConv(shape[0], self.kernel, self.dilations)


@part(
    "token_mixer",
    "dilated_conv",
    source="ScaleCrafter: Tuning-free Higher-Resolution Visual Generation with Diffusion Models",
)
class DilatedConv(Part):
    """One filter per channel whose taps are `dilation` positions apart: made for inputs that are so much larger."""

    kernel: int = 7
    dilation: int = 2

    def validate(self) -> None:
        if self.kernel < 3 or self.kernel % 2 == 0:
            raise SpaceError(f"must be odd and 3 or more, not {self.kernel}", "dilated_conv.kernel")
        if self.dilation < 2:
            raise SpaceError(
                f"must be 2 or more, not {self.dilation}; without one take a depthwise_conv", "dilated_conv.dilation"
            )

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        padding = self.dilation * (self.kernel // 2)
        return nn.Conv2d(shape[0], shape[0], self.kernel, padding=padding, dilation=self.dilation, groups=shape[0])


@part("token_mixer", "pool", source="MetaFormer Is Actually What You Need for Vision")
class Pooling(Part):
    """The average of each neighbourhood, less its centre (which the shortcut of the block adds again)."""

    kernel: int = 3

    def validate(self) -> None:
        if self.kernel < 3 or self.kernel % 2 == 0:
            raise SpaceError(f"must be odd and 3 or more, not {self.kernel}", "pool.kernel")

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        return metaformer.Pooling(self.kernel)


@part("token_mixer", "inverted_bottleneck", source="MobileNetV2: Inverted Residuals and Linear Bottlenecks")
class InvertedBottleneck(Part):
    """1x1 to `expansion` times the channels, depthwise convolution, 1x1 back without activation.

    It mixes channels, too, so a block of it needs no channel mixer. Its channel attention works on the expanded
    channels, as in "Searching for MobileNetV3"; an expansion of 1 leaves the first 1x1 layer out.
    """

    kernel: int = 3
    expansion: float = 4
    norm: Any = slot("norm", default="batch")
    activation: Any = slot("activation", default="relu")
    channel_attention: Any = slot("channel_attention", default=None)

    def validate(self) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise SpaceError(f"must be odd and 1 or more, not {self.kernel}", "inverted_bottleneck.kernel")
        if self.expansion < 1:
            raise SpaceError(f"must be 1 or more, not {self.expansion}", "inverted_bottleneck.expansion")

    def parts_at(self, shape: tuple[int, int, int]) -> Iterator[tuple[str, Any, tuple[int, int, int]]]:
        hidden = (round(shape[0] * self.expansion), *shape[1:])
        yield "norm", self.norm, hidden
        yield "norm", self.norm, shape
        yield "channel_attention", self.channel_attention, hidden

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        channels, hidden = shape[0], round(shape[0] * self.expansion)
        layers = []
        if hidden != channels:
            layers += [self._conv(channels, hidden, 1), *self._norm(hidden), self.activation.build()]
        layers += [self._conv(hidden, hidden, self.kernel, hidden), *self._norm(hidden), self.activation.build()]
        if self.channel_attention is not None:
            layers.append(self.channel_attention.build(hidden))
        layers += [self._conv(hidden, channels, 1), *self._norm(channels)]
        return nn.Sequential(*layers)

    def _conv(self, channels: int, width: int, kernel: int, groups: int = 1) -> nn.Module:
        return nn.Conv2d(channels, width, kernel, padding=kernel // 2, groups=groups, bias=self.norm is None)

    def _norm(self, channels: int) -> list[nn.Module]:
        return [] if self.norm is None else [self.norm.build(channels)]
