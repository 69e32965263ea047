"""The staged network."""

from dataclasses import replace

from search_spaces.blocks import Block
from search_spaces.site import Site
from search_spaces.testing import PartConformance
from search_spaces.topologies import Network, Stage
from tests.parts.rebuilding import map_of, rebuilt

THREE = (Stage(8, (Block("pool"),)), Stage(12, (Block("depthwise_conv"),) * 2), Stage(16, (), "pool"))


class TestNetwork(PartConformance):
    cases = [
        (Network("conv3x3", (Stage(16, (Block("pool"),)), Stage(24, (), "pool"))), (3, 9, 11)),
        (Network("patchify", THREE), (1, 16, 18)),
    ]
    refused = [(Network("conv3x3", (Stage(8, ()), Stage(16, (), None))), (3, 8, 8))]
    wrong = [
        (lambda: Network("conv3x3", ()), "network.stages"),
        (lambda: Network("conv3x3", THREE, wiring=None), "network.wiring"),
    ]

    def reference(self, part, site, module, x):
        """The stem leads to the first stage's width, whose downsample isn't used; the stages in a chain; the head."""
        x = rebuilt(part.stem, Site(site.shape, part.stages[0].width), module.stem)(x)
        entered = (replace(part.stages[0], downsample=None), *part.stages[1:])
        for stage, own in zip(entered, module.stages, strict=True):
            x = rebuilt(stage, map_of(x), own)(x)
        assert [name for name, _ in module.named_children()] == ["stem", "stages", "head"]
        return rebuilt(part.head, Site(tuple(x.shape[1:]), site.width), module.head)(x)

    def test_its_blocks_are_numbered_over_all_stages(self):
        stem, stages, neck, head = Network("conv3x3", THREE).sites(Site((3, 32, 32), 10))
        assert [site.index for site in stages] == [0, 1, 3] and (neck.index, head.index) == (3, 3)
        assert {site.depth for site in (stem, *stages, neck, head)} == {3}
