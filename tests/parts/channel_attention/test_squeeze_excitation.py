"""Squeeze and excitation."""

from search_spaces.blocks import SqueezeExcitation
from search_spaces.testing import PartConformance


class TestSqueezeExcitation(PartConformance):
    cases = [
        (SqueezeExcitation(), (16, 8, 8)),
        (SqueezeExcitation(reduction=16), (16, 5, 7)),
        (SqueezeExcitation(reduction=2), (32, 3, 5)),
    ]
    wrong = [(lambda: SqueezeExcitation(reduction=0), "squeeze_excitation.reduction")]

    def reference(self, part, site, module, x):
        """Each channel times a gate that two layers make of the means of all channels over the whole map."""
        down, up = module.fc1, module.fc2
        hidden = max(8, site.channels // part.reduction)  # of these cases; others are rounded to a multiple of 8
        assert down.weight.shape == (hidden, site.channels, 1, 1)
        mean = x.mean((2, 3))
        squeezed = (mean @ down.weight.flatten(1).T + down.bias).clamp(min=0)
        gate = (squeezed @ up.weight.flatten(1).T + up.bias).sigmoid()
        return x * gate[:, :, None, None]
