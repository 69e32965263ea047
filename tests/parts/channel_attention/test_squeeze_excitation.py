"""Squeeze and excitation."""

from search_spaces.blocks import SqueezeExcitation
from search_spaces.testing import PartConformance


class TestSqueezeExcitation(PartConformance):
    cases = [
        (SqueezeExcitation(), (16, 8, 8)),
        (SqueezeExcitation(reduction=16), (16, 5, 7)),
        (SqueezeExcitation(reduction=2), (32, 3, 5)),
        (SqueezeExcitation(reduction=2), (32, 9)),
    ]
    wrong = [(lambda: SqueezeExcitation(reduction=0), "squeeze_excitation.reduction")]

    def reference(self, part, site, module, x):
        """Each channel times a gate that two layers make of the means of all channels over the whole map."""
        inner = module if len(site.sides) == 2 else module.module
        down, up = inner.fc1, inner.fc2
        hidden = max(8, site.channels // part.reduction)  # of these cases; others are rounded to a multiple of 8
        assert down.weight.shape == (hidden, site.channels, 1, 1)
        mean = x.flatten(2).mean(2)
        squeezed = (mean @ down.weight.flatten(1).T + down.bias).clamp(min=0)
        gate = (squeezed @ up.weight.flatten(1).T + up.bias).sigmoid()
        return x * gate[(..., *[None] * len(site.sides))]
