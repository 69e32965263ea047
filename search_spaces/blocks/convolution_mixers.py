"""Token mixers without attention: `build(shape)` gives a module that mixes positions, same shape in and out."""

from collections.abc import Iterator
from typing import Any

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
