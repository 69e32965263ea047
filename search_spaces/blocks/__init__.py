"""The blocks that architectures are made of, one family per file or two.

What the parts of a family owe, besides their fields. A *shape* is (channels, height, width); feature maps are NCHW.

| family | `build` is given | and returns a module |
|---|---|---|
| stem, downsample | `shape, width` | `shape` -> `shape_after(shape, width)`, which has `width` channels |
| block, token_mixer, channel_mixer, positional_encoding, cell_operation | `shape` | `shape` -> `shape` |
| norm, channel_attention | `channels` | any map with that many channels -> the same shape |
| activation | nothing | elementwise |
| residual | `channels` | `module(x, branch(x))` -> the shape of `x` |
| norm_placement | `inner, make_norm, residual` | the whole residual branch, same shape in and out |
| head | `shape, outputs` | `shape` -> (`outputs`,) |
| stage | `shape` | `shape` -> `shape_after(shape)` |
| network | `inputs, outputs` | `inputs` -> (`outputs`,) |

`accepts(shape)` says why a part can't work on a shape. A part that holds others may have
`parts_at(shape)`, which yields `(path, part, shape)` for each part that it builds, so that the check reaches them.

An exported network carries the source of its parts along: the dataclasses without `validate`, `accepts`,
`canonical` and `parts_at`, and the modules. So these files import only torch, timm and the standard library besides
`search_spaces.parts` and `search_spaces.errors`; `build` looks nothing up in a registry and calls other parts only
through fields (`self.norm.build(channels)`, hence typed `Any`); and no two files define the same name.

A module that trains in one form and runs in another follows timm's protocol: `reparameterize()` changes it in place.
"""

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)
from search_spaces.blocks.activations import GELU, HardSwish, ReLU, SiLU
from search_spaces.blocks.attention_mixers import SelfAttention, WindowAttention
from search_spaces.blocks.block import Block
from search_spaces.blocks.channel_attention import SqueezeExcitation
from search_spaces.blocks.channel_mixers import GLU, MLP
from search_spaces.blocks.convolution_mixers import (
    DepthwiseConv,
    DilatedConv,
    InceptionConv,
    InvertedBottleneck,
    Pooling,
)
from search_spaces.blocks.downsamples import ConvDownsample, PoolDownsample
from search_spaces.blocks.heads import AveragePoolHead
from search_spaces.blocks.norm_placements import PeriNorm, PostNorm, PreNorm
from search_spaces.blocks.norms import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from search_spaces.blocks.paths import Chain, Paths
from search_spaces.blocks.positional_encodings import AbsoluteEncoding, ConditionalEncoding
from search_spaces.blocks.residuals import Add, LayerScale
from search_spaces.blocks.stems import Conv3x3Stem, PatchifyStem

__all__ = [
    "GELU",
    "GLU",
    "MLP",
    "AbsoluteEncoding",
    "Add",
    "AveragePoolHead",
    "BatchNorm",
    "Block",
    "Chain",
    "ConditionalEncoding",
    "Conv3x3Stem",
    "ConvDownsample",
    "DepthwiseConv",
    "DilatedConv",
    "GroupNorm",
    "HardSwish",
    "InceptionConv",
    "InvertedBottleneck",
    "LayerNorm",
    "LayerScale",
    "PatchifyStem",
    "Paths",
    "PeriNorm",
    "PoolDownsample",
    "Pooling",
    "PostNorm",
    "PreNorm",
    "RMSNorm",
    "ReLU",
    "SelfAttention",
    "SiLU",
    "SqueezeExcitation",
    "WindowAttention",
]
