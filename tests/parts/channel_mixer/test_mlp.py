"""The multilayer perceptron of transformers."""

from torch.nn import functional

from search_spaces.blocks import MLP
from search_spaces.testing import PartConformance


class TestMLP(PartConformance):
    cases = [
        (MLP(), (16, 8, 8)),
        (MLP(expansion=2, activation="relu"), (16, 5, 7)),
        (MLP(1.5), (16, 9)),
        (MLP(), (16,)),
    ]
    wrong = [(lambda: MLP(expansion=0), "mlp.expansion")]

    def reference(self, part, site, module, x):
        """Two linear layers at each position, `expansion` times the channels and the activation between."""
        up, down = module.fc1, module.fc2
        assert len(up.weight) == round(site.channels * part.expansion)
        tokens = functional.linear(x.movedim(1, -1), up.weight.flatten(1), up.bias)
        tokens = getattr(functional, part.activation.name)(tokens)
        return functional.linear(tokens, down.weight.flatten(1), down.bias).movedim(-1, 1)
