"""The families of classic networks in one space."""

from typing import Any

from search_spaces.errors import SpaceError
from search_spaces.holes import one_of
from search_spaces.networks.convnext import convnexts
from search_spaces.networks.ghostnet import ghostnets
from search_spaces.networks.lcnet import lcnets
from search_spaces.networks.mobilenet import efficientnet_lites, mobilenetv3s
from search_spaces.networks.repvgg import repvggs
from search_spaces.networks.resnet import resnets
from search_spaces.networks.vit import vits
from search_spaces.space import Space
from search_spaces.spaces import SPACES
from search_spaces.spaces.hybrid import hybrid

SMALLEST = 8
"""The pixels of a side below which classic networks leave nothing to pool."""


@SPACES.register("families")
def families(inputs: tuple[int, ...] = (3, 224, 224), examples: int = 1_000_000) -> Space:
    """ResNets, RepVGGs, LCNets, MobileNetV3s, EfficientNet-Lites, GhostNets, ConvNeXts, vision transformers, and free
    blocks, each with every field open: the first decision is which of them.

    It holds the ready networks of `search_spaces.networks`, as the portfolio has them. Raises `SpaceError` for what
    isn't pictures (channels, height, width) of 8x8 pixels or more.
    """
    if len(inputs) != 3 or min(inputs[1:]) < SMALLEST:
        raise SpaceError(f"takes pictures (channels, height, width) of 8x8 pixels or more, not {inputs}", "inputs")
    trees: list[Any] = [
        resnets(inputs, 3),
        resnets(inputs, 4),
        resnets(inputs, 4, "bottleneck"),
        repvggs(inputs, 3),
        repvggs(inputs, 4),
        lcnets(inputs),
        mobilenetv3s(inputs),
        efficientnet_lites(inputs),
        ghostnets(inputs),
        convnexts(inputs, 3),
        convnexts(inputs, 4),
        vits(inputs),
        hybrid(inputs, examples),
    ]
    return Space(one_of(*trees), "families")
