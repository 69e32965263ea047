"""The inner parts of a design, built anew: what it should hold, and where; each has a test file of its own."""

from itertools import product

import torch
from torch import nn
from torch.nn import functional

from search_spaces.site import Site


def rebuilt(part, site: Site, module: nn.Module) -> nn.Module:
    """The module of `part` (nothing for None) built at `site`, in evaluation mode, with the weights of `module`.

    Fails where `module` isn't one of this part at this site: the weights must have the same names and shapes.
    """
    own = (nn.Identity() if part is None else part.build(site)).double().eval()
    own.load_state_dict(module.state_dict())
    return own


def map_of(x: torch.Tensor) -> Site:
    """The site of an inner part that is given `x`."""
    return Site(tuple(x.shape[1:]))


def per_channel(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """One value per channel, so that it goes with the map `x`, whatever its sides."""
    return values.view(-1, *[1] * (x.dim() - 2))


def convolved(
    x: torch.Tensor, weight: torch.Tensor, edge: int, dilation: int = 1, groups: int = 1, stride: int = 1
) -> torch.Tensor:
    """The convolution of a map of any sides by its definition: the sum over all taps of matrices times shifted maps."""
    sides, kernel = x.dim() - 2, weight.shape[2]
    around = functional.pad(x, (edge,) * (2 * sides))
    count = [side - dilation * (kernel - 1) for side in around.shape[2:]]
    matrices = weight.unflatten(0, (groups, -1))
    y = torch.zeros(1, dtype=x.dtype)
    for tap in product(range(kernel), repeat=sides):
        places = [
            slice(dilation * first, dilation * first + size, stride) for first, size in zip(tap, count, strict=True)
        ]
        seen = around[(..., *places)].unflatten(1, (groups, -1))
        y = y + torch.einsum("goi,bgi...->bgo...", matrices[(..., *tap)], seen).flatten(1, 2)
    return y


def behind_conv(
    x: torch.Tensor, layers: nn.Module, kernel: int, *parts: object, stride: int = 1, groups: int = 1
) -> torch.Tensor:
    """What a convolution and the parts behind it give, `layers` being their modules, and no others."""
    conv, *rest = layers
    assert conv.weight.shape[1:] == (x.shape[1] // groups, *[kernel] * (x.dim() - 2))
    y = convolved(x, conv.weight, kernel // 2, groups=groups, stride=stride)
    y = y if conv.bias is None else y + per_channel(conv.bias, y)
    for part, own in zip([part for part in parts if part is not None], rest, strict=True):
        y = rebuilt(part, map_of(y), own)(y)
    return y


def behind(part: object, x: torch.Tensor, module: nn.Module | None = None) -> torch.Tensor:
    """What a part gives that is built where the map `x` is, with the weights of `module` if it has any."""
    return rebuilt(part, map_of(x), nn.Identity() if module is None else module)(x)
