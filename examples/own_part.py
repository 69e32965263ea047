"""A part of one's own, and a space that chooses it: archfront search --space examples/own_part.py:attentive"""

import math

import torch
from torch import nn

from search_spaces import Part, Site, Space, integers, one_of, part, repeat
from search_spaces.blocks import Block
from search_spaces.topologies import Network, Stage


class ChannelConvolution(nn.Module):
    """Weighs each channel by a convolution over the averages of its neighbours."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        averages = x.mean((2, 3)).unsqueeze(1)
        return x * self.convolution(averages).sigmoid().squeeze(1)[:, :, None, None]


@part(
    "channel_attention",
    "own_eca",
    source="ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks",
    sliced=True,
    sides=2,
)
class EfficientChannelAttention(Part):
    """Channel attention without a bottleneck; the kernel grows with the logarithm of the channels."""

    gamma: int = 2

    def build(self, site: Site) -> nn.Module:
        return ChannelConvolution(int(math.log2(site.channels) / self.gamma) // 2 * 2 + 1)


def attentive() -> Space:
    """One stage of depthwise blocks that choose their channel attention."""
    attention = one_of(None, "squeeze_excitation", EfficientChannelAttention(gamma=one_of(1, 2)))
    block = Block("depthwise_conv", channel_mixer="mlp", channel_attention=attention)
    stage = Stage(width=one_of(16, 24), blocks=repeat(integers(1, 3), block))
    return Network(stem="conv3x3", stages=(stage,)).space()
