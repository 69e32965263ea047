"""Small vision transformers, of "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale".

They average the tokens instead of adding one for the class.
"""

from typing import Any

from search_spaces.blocks import GLU, MLP, AveragePoolHead, Block, PatchifyStem, SelfAttention
from search_spaces.holes import integers, one_of
from search_spaces.networks.staging import halvings, staged
from search_spaces.topologies import Network


def vit(inputs: tuple[int, ...], width: int = 192, depth: int = 12, heads: int = 3) -> Network:
    """ViT-Ti, or another: patches of 16x16 pixels of large pictures, of small ones such that there are 8x8."""
    block = Block(SelfAttention(heads), "mlp", norm="layer")
    return _vit(_patch(inputs), None, "absolute", width, depth, block, AveragePoolHead("layer", pooled_first=True))


def vits(inputs: tuple[int, ...]) -> Network:
    """All, with every field open."""
    norm: Any = one_of("layer", "rms")
    mixer: Any = one_of(MLP(one_of(2, 3, 4), one_of("gelu", "hard_swish", "relu")), GLU(one_of(1.5, 2, 3)))
    block = Block(
        SelfAttention(one_of(2, 3, 4, 6)),
        mixer,
        norm=norm,
        norm_placement=one_of("pre", "peri", "post"),
        residual=one_of("add", "layer_scale"),
    )
    patch = _patch(inputs)
    patches: Any = one_of(*sorted({max(1, patch // 2), patch}))
    head: Any = one_of(AveragePoolHead("layer", pooled_first=True), AveragePoolHead(norm))
    positions = one_of(None, "absolute", "conditional")
    return _vit(patches, one_of(None, "layer"), positions, one_of(*range(48, 241, 48)), integers(2, 12), block, head)


def _patch(inputs: tuple[int, ...]) -> int:
    return int(2 ** max(0, halvings(inputs) - 1))


def _vit(patch: Any, norm: Any, positions: Any, width: Any, depth: Any, block: Any, head: Any) -> Network:
    return staged(PatchifyStem(patch, norm, positions), (width, depth, block), [], head)
