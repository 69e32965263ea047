"""Depthwise convolutions, of pictures and of sequences, which may be causal."""

from torch import nn

from search_spaces.layers.by_sides import convolution
from search_spaces.layers.causal_conv import CausalConv1d
from search_spaces.site import Site


def depthwise(site: Site, kernel: int, causal: bool) -> nn.Module:
    """One filter of `kernel` positions along each side per channel, same shape in and out."""
    channels = site.channels
    if causal:
        return CausalConv1d(channels, kernel)
    return convolution(len(site.sides), channels, channels, kernel, padding=kernel // 2, groups=channels)


def refused(site: Site, causal: bool) -> str | None:
    """Why a part can't be `causal` at the site, or None where it can."""
    if not causal or len(site.sides) == 1:
        return None
    return f"causal is for sequences (channels, length), and this is given {site.shape}; leave it out"
