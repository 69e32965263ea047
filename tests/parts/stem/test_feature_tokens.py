"""A stem that makes a token of each column of a table."""

import torch

from search_spaces.blocks import FeatureTokensStem
from search_spaces.testing import PartConformance


class TestFeatureTokensStem(PartConformance):
    cases = [(FeatureTokensStem(), (5,)), (FeatureTokensStem(), (1,))]
    refused = [(FeatureTokensStem(), (5, 8))]

    def reference(self, part, site, module, x):
        """Column by column: its number times its vector, plus its other vector."""
        tokens = [x[:, [j]] * module.weight[:, j] + module.bias[:, j] for j in range(site.channels)]
        return torch.stack(tokens, 2)
