"""ConvNeXt's block."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.layers.conv_norm import even
from search_spaces.layers.depthwise import depthwise
from search_spaces.layers.residual_branch import ResidualBranch
from search_spaces.parts import Part, Placed, part, size, slot
from search_spaces.site import Site


@part("block", "convnext", source="A ConvNet for the 2020s", sliced=True, sides=(1, 2))
class ConvNeXtBlock(Part):
    """A depthwise convolution, a normalization, a channel mixer, all in one residual branch.

    Channel attention, if any, follows the channel mixer.
    """

    kernel: int = size("kernel", default=7, grows=True)
    norm: Any = slot("norm", default="layer")
    channel_mixer: Any = slot("channel_mixer", default="mlp")
    residual: Any = slot("residual", default="layer_scale")
    channel_attention: Any = slot("channel_attention", default=None)

    def validate(self) -> None:
        if reason := even(self.kernel):
            raise SpaceError(reason, "convnext.kernel")
        for field in ("channel_mixer", "residual"):
            if getattr(self, field) is None:
                raise SpaceError(f"can't be None; the block needs a {field.replace('_', ' ')}", f"convnext.{field}")

    def parts_at(self, site: Site) -> Iterator[Placed]:
        for field in ("norm", "channel_mixer", "channel_attention", "residual"):
            yield field, getattr(self, field), site

    def build(self, site: Site) -> nn.Module:
        layers = [("depthwise", depthwise(site, self.kernel, causal=False))]
        for field in ("norm", "channel_mixer", "channel_attention"):
            if getattr(self, field) is not None:
                layers.append((field, getattr(self, field).build(site)))
        return ResidualBranch(nn.Sequential(OrderedDict(layers)), self.residual.build(site))
