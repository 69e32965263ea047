"""Vision transformers are timm's, without a class token."""

import torch
from timm.models.vision_transformer import VisionTransformer

from search_spaces.networks.vit import vit
from tests.networks.parity import INPUTS, assert_equal


def order(names: list[str]) -> list[str]:
    """timm has the positions before the patches' embedding."""
    positions = next(name for name in names if name.endswith("positions"))
    return [positions, *(name for name in names if name != positions)]


def rule(name: str, tensor: torch.Tensor) -> torch.Tensor:
    return tensor.transpose(1, 2) if name.endswith("positions") else tensor


def test_they_are_timms():
    theirs = VisionTransformer(
        num_classes=10, embed_dim=48, depth=2, num_heads=3, class_token=False, global_pool="avg", fc_norm=True
    )
    assert_equal(theirs, vit(INPUTS, 48, 2, 3), order, rule, side=224)
