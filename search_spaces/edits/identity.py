"""Blocks that pass everything on as it is, at first: the last layer of each residual branch is zero."""

from timm.layers import GluMlp, LayerNorm2d, Mlp, RmsNorm2d, SqueezeExcite
from timm.models import metaformer
from torch import nn

from search_spaces.blocks.attention_mixers import GlobalAttention2d, WindowAttention2d
from search_spaces.blocks.norm_placements import ResidualBranch
from search_spaces.blocks.paths import ParallelPaths
from search_spaces.blocks.residuals import ResidualAdd, ScaledResidualAdd
from search_spaces.errors import SpaceError

AFFINE = (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.GroupNorm, LayerNorm2d, RmsNorm2d)
"""Layers that give zeros when their weights and biases are zero."""
ZERO_TO_ZERO = (
    nn.Identity,
    nn.Dropout,
    nn.GELU,
    nn.ReLU,
    nn.SiLU,
    nn.Hardswish,
    nn.AvgPool2d,
    metaformer.Pooling,
    SqueezeExcite,
)
"""Modules without a layer to zero that map zeros to zeros."""


def make_identity(module: nn.Module) -> None:
    """Zero what keeps a block, or one of its branches, from giving its input; raises `SpaceError` where that can't be.

    Only one layer of a branch becomes zero, so that gradients reach it, and through it the others, from the start.
    """
    if isinstance(module, ResidualBranch):
        if isinstance(module.residual, ScaledResidualAdd):
            nn.init.zeros_(module.residual.scale.gamma)
        elif not isinstance(module.residual, ResidualAdd) or not make_zero(module.branch):
            raise SpaceError("the residual branch has no layer that zeros would switch off, so it can't start as one")
    elif isinstance(module, nn.Sequential):
        for child in module:
            make_identity(child)
    elif not isinstance(module, nn.Identity):
        raise SpaceError(
            f"a {type(module).__name__} outside of the residual branches changes what passes, so the block can't start "
            "as one that doesn't; place norms inside of the branches (pre or peri)"
        )


def make_zero(module: nn.Module) -> bool:
    """Zero the last layer, so that the module gives zeros; False where it has none, but maps zeros to zeros.

    Raises `SpaceError` for a module of which neither is known.
    """
    if isinstance(module, AFFINE):
        for parameter in module.parameters(recurse=False):
            nn.init.zeros_(parameter)
        return any(True for _ in module.parameters(recurse=False))
    if isinstance(module, nn.Sequential):
        return any(make_zero(child) for child in reversed(list(module)))
    if isinstance(module, Mlp | GluMlp):
        return make_zero(module.fc2)
    if isinstance(module, GlobalAttention2d | WindowAttention2d):
        return make_zero(module.attention.proj)
    if isinstance(module, ParallelPaths):
        zeroed = [make_zero(branch) for branch in module.branches]
        return all(zeroed)
    if isinstance(module, ZERO_TO_ZERO):
        return False
    raise SpaceError(f"what a {type(module).__name__} gives with zeros for weights isn't known")
