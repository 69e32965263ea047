"""Blocks that pass everything on as it is, at first: the last layer of each residual branch is zero.

The rules here are those of torch's and timm's plain layers; a design's own file gives those of its own modules
(`search_spaces.declarations`).
"""

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)
from timm.layers import LayerNorm2d, RmsNorm2d
from torch import nn

from search_spaces.declarations import IDENTITIES, ZEROS, declared, keeps_zeros
from search_spaces.errors import SpaceError
from search_spaces.layers.channel_norms import ChannelRmsNorm

AFFINE = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear),
    *(
        nn.BatchNorm1d,
        nn.BatchNorm2d,
        nn.BatchNorm3d,
        nn.GroupNorm,
        nn.LayerNorm,
        LayerNorm2d,
        RmsNorm2d,
        ChannelRmsNorm,
    ),
)
"""Layers that give zeros when their weights and biases are zero."""

keeps_zeros(nn.Identity, nn.Dropout, nn.GELU, nn.ReLU, nn.SiLU, nn.Hardswish, nn.AvgPool1d, nn.AvgPool2d)


def make_identity(module: nn.Module) -> None:
    """Zero what keeps a block, or one of its branches, from giving its input; raises `SpaceError` where that can't be.

    Only one layer of a branch becomes zero, so that gradients reach it, and through it the others, from the start.
    """
    rule = declared(IDENTITIES, module)
    if rule is not None:
        if not rule(module, make_zero):
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
    rule = declared(ZEROS, module)
    if rule is not None:
        return rule(module, make_zero)
    if isinstance(module, nn.Sequential):
        return any(make_zero(child) for child in reversed(list(module)))
    raise SpaceError(
        f"what a {type(module).__name__} gives with zeros for weights isn't known; say it beside its class with @zeroed"
    )
