"""A convolution, a normalization and an activation, in this order, which most classic networks are made of."""

from typing import Any

from torch import nn

from search_spaces.layers.by_sides import convolution
from search_spaces.site import Shape, Site


def strided(site: Site, width: int, stride: int) -> Site:
    """The site behind a convolution of an odd kernel, padded to keep the map, of so many channels and this stride."""
    return site.at(shape_behind(site, width, stride))


def shape_behind(site: Site, width: int, stride: int) -> Shape:
    """The shape there."""
    return (width, *((side - 1) // stride + 1 for side in site.sides))


def conv_norm(
    site: Site,
    width: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    norm: Any = None,
    activation: Any = None,
) -> nn.Sequential:
    """The three as one module of maps of the site's shape; `norm` and `activation` are parts, None leaves one out.

    The convolution has a bias where nothing normalizes.
    """
    after = strided(site, width, stride)
    sides, edge = len(site.sides), kernel // 2
    layers = [convolution(sides, site.channels, width, kernel, stride, edge, groups=groups, bias=norm is None)]
    layers += [part.build(after) for part in (norm, activation) if part is not None]
    return nn.Sequential(*layers)


def even(kernel: int) -> str | None:
    """Why there can't be a `kernel` of this size, which must be odd, or None where there can."""
    return None if kernel >= 1 and kernel % 2 else f"must be odd and 1 or more, not {kernel}"
