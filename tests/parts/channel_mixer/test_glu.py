"""Gated linear units."""

from torch.nn import functional

from search_spaces.blocks import GLU
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import per_channel


class TestGLU(PartConformance):
    cases = [
        (GLU(), (16, 8, 8)),
        (GLU(expansion=1.5), (16, 5, 7)),
        (GLU(activation="gelu"), (16, 5, 7)),
        (GLU(), (16, 9)),
        (GLU(), (16,)),
    ]
    wrong = [(lambda: GLU(expansion=-1), "glu.expansion")]

    def reference(self, part, site, module, x):
        """W2 (V x * activation(W x)) at each position, V and W the two halves of the first layer."""
        (value, gate), (value_bias, gate_bias) = module.fc1.weight.flatten(1).chunk(2), module.fc1.bias.chunk(2)
        assert len(value) == len(gate) == round(site.channels * part.expansion)
        tokens = x.movedim(1, -1)
        activation = getattr(functional, part.activation.name)
        hidden = (tokens @ value.T + value_bias) * activation(tokens @ gate.T + gate_bias)
        return (hidden @ module.fc2.weight.flatten(1).T).movedim(-1, 1) + per_channel(module.fc2.bias, x)
