"""ConvNeXts are timm's."""

from timm.models.convnext import ConvNeXt

from search_spaces.networks.convnext import convnext
from tests.networks.parity import INPUTS, assert_equal


def order(names: list[str]) -> list[str]:
    """timm has a block's scale before its other tensors."""
    scales = {name.removesuffix("residual.scale.gamma"): name for name in names if name.endswith("gamma")}
    found: list[str] = []
    for name in names:
        place = name.partition("branch.")[0]
        if place in scales:
            found.append(scales.pop(place))
        found += [] if name.endswith("gamma") else [name]
    return found


def test_they_are_timms():
    theirs = ConvNeXt(3, 10, depths=(2, 1, 2, 1), dims=(8, 16, 24, 32))
    assert_equal(theirs, convnext(INPUTS, (8, 16, 24, 32), (2, 1, 2, 1)), order)
