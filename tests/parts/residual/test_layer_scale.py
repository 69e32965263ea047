"""LayerScale."""

from search_spaces.blocks import LayerScale
from search_spaces.site import Site
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import per_channel


class TestLayerScale(PartConformance):
    cases = [
        (LayerScale(), (16, 8, 8)),
        (LayerScale(initial=1e-5), (16, 5, 7)),
        (LayerScale(), (16, 9)),
        (LayerScale(), (16,)),
    ]
    wrong = [(lambda: LayerScale(initial=0), "layer_scale.initial")]

    def reference(self, part, site, module, x):
        """The branch, under test the map from right to left, times a factor per channel; the shortcut as it is."""
        (scale,) = module.parameters()
        assert scale.shape == (site.channels,)
        return x + per_channel(scale, x) * x.flip(-1)

    def test_begins_with_the_initial_factor(self):
        for initial in (0.1, 1e-5):
            (scale,) = LayerScale(initial).build(Site((4, 2, 2))).parameters()
            assert scale.sub(initial).abs().max() <= 1e-7 * initial
