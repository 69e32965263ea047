"""Efficient channel attention."""

from timm.layers import EcaModule
from torch import nn

from search_spaces.declarations import keeps_zeros
from search_spaces.errors import SpaceError
from search_spaces.layers.as_picture import AsPicture
from search_spaces.parts import Part, part
from search_spaces.site import Site

keeps_zeros(EcaModule)


@part(
    "channel_attention",
    "eca",
    source="ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks",
    sliced=True,
    sides=(1, 2),
)
class ECA(Part):
    """x sigmoid(w * mean(x)): a convolution over the channels' averages, without a bottleneck.

    Its kernel has the odd number of taps at or above (log2(channels) + beta) / gamma, so a handful of weights and k
    multiply-accumulates per channel.
    """

    gamma: float = 2
    beta: float = 1

    def validate(self) -> None:
        if self.gamma <= 0:
            raise SpaceError(f"must be above 0, not {self.gamma}", "eca.gamma")

    def build(self, site: Site) -> nn.Module:
        attention = EcaModule(site.channels, gamma=self.gamma, beta=self.beta)
        return attention if len(site.sides) == 2 else AsPicture(attention)
