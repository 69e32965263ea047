"""timm's tensors in our networks."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from search_spaces.building import build
from search_spaces.testing import randomise

INPUTS = (3, 224, 224)
"""What the networks are built for; most take smaller pictures, too, which are quicker."""

Rule = Callable[[str, torch.Tensor], torch.Tensor]
"""What becomes of a tensor of theirs that has this name in ours."""


def tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    """All but the counts of batches."""
    return {name: tensor for name, tensor in module.state_dict().items() if not name.endswith("num_batches_tracked")}


def assert_equal(
    theirs: nn.Module,
    architecture: Any,
    order: Callable[[list[str]], list[str]] = list,
    rule: Rule = lambda name, tensor: tensor,
    side: int = 64,
) -> nn.Module:
    """Ours gives what theirs does, with their tensors in their order, random ones, in float64; and ours is given.

    `order` brings our names into their order, where that is another.
    """
    randomise(theirs.double(), 1).eval()
    ours = build(architecture, INPUTS, 10, seed=0).double().eval()
    found = tensors(ours)
    names = order(list(found))
    given = tensors(theirs)
    assert len(names) == len(given), f"{len(names)} tensors for {len(given)}"
    for name, (other, tensor) in zip(names, given.items(), strict=True):
        value = rule(name, tensor)
        assert value.numel() == found[name].numel(), f"{name} is {tuple(found[name].shape)}, {other} {tensor.shape}"
        found[name].copy_(value.reshape(found[name].shape))
    x = torch.randn(2, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, got = theirs(x), ours(x)
    assert expected.std() > 1e-3, "the outputs tell nothing"
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-6)
    return ours
