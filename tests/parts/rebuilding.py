"""The inner parts of a design, built anew: what it should hold, and where; each has a test file of its own."""

import torch
from torch import nn

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
