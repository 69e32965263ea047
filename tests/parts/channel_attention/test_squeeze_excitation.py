"""Squeeze and excitation."""

from search_spaces.blocks import SqueezeExcitation
from search_spaces.testing import PartConformance


class TestSqueezeExcitation(PartConformance):
    cases = [
        (SqueezeExcitation(), (16, 8, 8)),
        (SqueezeExcitation(reduction=16), (16, 5, 7)),
        (SqueezeExcitation(reduction=2), (32, 3, 5)),
        (SqueezeExcitation(reduction=2), (32, 9)),
        (SqueezeExcitation(gate="hard_sigmoid", divisor=1), (24, 5, 7)),
        (SqueezeExcitation(gate="hard_sigmoid", round_limit=0.9), (72, 5, 7)),
    ]
    wrong = [
        (lambda: SqueezeExcitation(reduction=0), "squeeze_excitation.reduction"),
        (lambda: SqueezeExcitation(gate="tanh"), "squeeze_excitation.gate"),
        (lambda: SqueezeExcitation(divisor=0), "squeeze_excitation.divisor"),
        (lambda: SqueezeExcitation(round_limit=2), "squeeze_excitation.round_limit"),
    ]

    def reference(self, part, site, module, x):
        """Each channel times a gate that two layers make of the means of all channels over the whole map."""
        inner = module if len(site.sides) == 2 else module.module
        down, up = inner.fc1, inner.fc2
        # Of 72 channels a quarter is 18, and 16 is less than nine tenths of that.
        hidden = {24: 6, 72: 24}.get(site.channels, max(8, site.channels // part.reduction))
        assert down.weight.shape == (hidden, site.channels, 1, 1)
        mean = x.flatten(2).mean(2)
        squeezed = (mean @ down.weight.flatten(1).T + down.bias).clamp(min=0)
        gate = squeezed @ up.weight.flatten(1).T + up.bias
        gate = ((gate + 3) / 6).clamp(0, 1) if part.gate == "hard_sigmoid" else gate.sigmoid()
        return x * gate[(..., *[None] * len(site.sides))]
