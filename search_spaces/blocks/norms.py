"""Normalizations: `build(channels)` gives a module for NCHW maps with that many channels."""

from timm.layers import LayerNorm2d, RmsNorm2d
from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part


@part(
    "norm",
    "batch",
    source="Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift",
)
class BatchNorm(Part):
    """Each channel over the batch and all positions; folded into the convolution before it on deployment."""

    def build(self, channels: int) -> nn.Module:
        return nn.BatchNorm2d(channels)


@part("norm", "layer", source="Layer Normalization")
class LayerNorm(Part):
    """Each position over its channels, as ConvNeXt and vision transformers do."""

    def build(self, channels: int) -> nn.Module:
        return LayerNorm2d(channels)


@part("norm", "rms", source="Root Mean Square Layer Normalization")
class RMSNorm(Part):
    """Each position over its channels, by the root mean square alone: no mean, no bias."""

    def build(self, channels: int) -> nn.Module:
        return RmsNorm2d(channels)


@part("norm", "group", source="Group Normalization")
class GroupNorm(Part):
    """Each group of `group_size` channels over all positions; the size, not the number, of groups is kept."""

    group_size: int = 8

    def validate(self) -> None:
        if self.group_size < 1:
            raise SpaceError(f"must be 1 or more, not {self.group_size}", "group.group_size")

    def accepts(self, shape: tuple[int, ...]) -> str | None:
        fits = shape[0] % self.group_size == 0
        return None if fits else f"{shape[0]} channels don't divide into groups of {self.group_size}"

    def build(self, channels: int) -> nn.Module:
        return nn.GroupNorm(channels // self.group_size, channels)
