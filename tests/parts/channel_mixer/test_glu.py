"""Gated linear units."""

import torch
from torch.nn import functional

from search_spaces.blocks import GLU
from search_spaces.testing import PartConformance


class TestGLU(PartConformance):
    cases = [(GLU(), (16, 8, 8)), (GLU(expansion=1.5), (16, 5, 7)), (GLU(activation="gelu"), (16, 5, 7))]
    wrong = [(lambda: GLU(expansion=-1), "glu.expansion")]

    def reference(self, part, site, module, x):
        """W2 (V x * activation(W x)) at each position, V and W the two halves of the first layer."""
        (value, gate), (value_bias, gate_bias) = module.fc1.weight.flatten(1).chunk(2), module.fc1.bias.chunk(2)
        assert len(value) == len(gate) == round(site.channels * part.expansion)
        tokens = x.permute(0, 2, 3, 1)
        activation = getattr(functional, part.activation.name)
        hidden = (tokens @ value.T + value_bias) * activation(tokens @ gate.T + gate_bias)
        return torch.einsum("bhwc,oc->bohw", hidden, module.fc2.weight.flatten(1)) + module.fc2.bias[:, None, None]
