"""A stem that embeds each column of a table by waves of learned frequencies."""

from math import pi

import torch

from search_spaces.blocks import PeriodicFeaturesStem
from search_spaces.site import Site
from search_spaces.testing import PartConformance


class TestPeriodicFeaturesStem(PartConformance):
    cases = [(PeriodicFeaturesStem(), (5,)), (PeriodicFeaturesStem(3, 2, 1.0), (4,))]
    refused = [(PeriodicFeaturesStem(), (5, 8))]
    wrong = [
        (lambda: PeriodicFeaturesStem(0), "periodic_features.frequencies"),
        (lambda: PeriodicFeaturesStem(embedding=0), "periodic_features.embedding"),
        (lambda: PeriodicFeaturesStem(spread=0), "periodic_features.spread"),
    ]

    def reference(self, part, site, module, x):
        """Column by column: ReLU of a layer of the concatenated sines and cosines; a layer of all columns' numbers."""
        embedded = []
        for j in range(site.channels):
            angles = 2 * pi * x[:, [j]] * module.frequencies[:, j]
            waves = torch.cat([angles.sin(), angles.cos()], 1)
            matrix = module.weight[..., j].movedim(2, 1).flatten(1)
            assert matrix.shape == (part.embedding, 2 * part.frequencies)
            embedded.append((waves @ matrix.T + module.bias[:, j]).clamp(min=0))
        together = torch.stack(embedded, 2).flatten(1)
        return together @ module.linear.weight.T + module.linear.bias

    def test_frequencies_begin_with_the_spread(self):
        for spread in (0.01, 10.0):
            found = PeriodicFeaturesStem(200, 1, spread).build(Site((50,), 4)).frequencies
            assert abs(found.std().item() / spread - 1) < 0.05
