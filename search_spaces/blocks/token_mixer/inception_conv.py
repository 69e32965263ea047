"""Inception convolution."""

import torch
from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part, size
from search_spaces.site import Site


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


@part(
    "token_mixer",
    "inception_conv",
    source="Inception Convolution with Efficient Dilation Search",
    sliced=True,
    sides=2,
)
class InceptionConv(Part):
    """A convolution of all channels, each output channel with a dilation of its own per axis: (down, across).

    `dilations` are dealt out to the channels in turn; with as many as there are channels, each has its own.
    """

    kernel: int = size("kernel", default=3)
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

    def build(self, site: Site) -> nn.Module:
        return ChannelDilatedConv(site.channels, self.kernel, self.dilations)
