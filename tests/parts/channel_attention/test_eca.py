"""ECA reweights each channel by what a convolution makes of its neighbours' averages."""

from typing import Any

import pytest
import torch
from torch import nn

from search_spaces import SpaceError
from search_spaces.blocks import ECA
from search_spaces.site import Site
from search_spaces.testing import PartConformance


class TestECA(PartConformance):
    cases = [(ECA(), (16, 8, 8)), (ECA(gamma=1, beta=2), (24, 5, 7)), (ECA(gamma=1), (24, 9))]

    def reference(self, part: Any, site: Site, module: nn.Module, x: torch.Tensor) -> torch.Tensor:
        [weight] = [parameter.flatten() for parameter in module.parameters()]
        reach, averages = len(weight) // 2, x.flatten(2).mean(2)
        gates = torch.zeros_like(averages)
        for channel in range(site.channels):
            for tap, factor in enumerate(weight):
                if 0 <= channel + tap - reach < site.channels:
                    gates[:, channel] += factor * averages[:, channel + tap - reach]
        return x / (1 + torch.exp(-gates))[(..., *[None] * len(site.sides))]


@pytest.mark.parametrize(("channels", "gamma", "taps"), [(16, 2, 3), (64, 2, 3), (256, 2, 5), (1024, 2, 5), (64, 1, 7)])
def test_the_kernel_grows_with_the_logarithm_of_the_channels(channels: int, gamma: float, taps: int) -> None:
    [weight] = ECA(gamma).build(Site((channels, 4, 4))).parameters()
    assert weight.numel() == taps


def test_wrong_settings() -> None:
    with pytest.raises(SpaceError, match=r"^eca\.gamma: must be above 0, not 0$"):
        ECA(gamma=0)
