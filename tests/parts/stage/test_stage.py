"""The stage."""

from search_spaces.blocks import Block
from search_spaces.site import Site
from search_spaces.testing import PartConformance
from search_spaces.topologies import Stage
from tests.parts.rebuilding import map_of, rebuilt


class TestStage(PartConformance):
    cases = [
        (Stage(16, (Block("pool"), Block("pool")), downsample=None), (16, 5, 7)),
        (Stage(24, (Block("depthwise_conv"), Block("pool", norm="layer"))), (16, 5, 7)),
    ]
    refused = [(Stage(24, (Block("pool"),), downsample=None), (16, 8, 8))]
    wrong = [
        (lambda: Stage(0, ()), "stage.width"),
        (lambda: Stage(8, Block("pool")), "stage.blocks"),
        (lambda: Stage(8, (Block("pool"),), wiring=None), "stage.wiring"),
    ]

    def reference(self, part, site, module, x):
        """The downsample, to the stage's width, then the blocks in a chain."""
        layers = dict(module.named_children())
        if part.downsample is not None:
            x = rebuilt(part.downsample, Site(site.shape, part.width), layers.pop("downsample"))(x)
        for block, own in zip(part.blocks, layers.pop("blocks"), strict=True):
            x = rebuilt(block, map_of(x), own)(x)
        assert not layers and x.shape[1] == part.width
        return x

    def test_its_blocks_are_numbered_on_from_its_own_place(self):
        sites = Stage(8, (Block("pool"),) * 3).sites(Site((4, 8, 8), index=2, depth=6))
        assert [(site.index, site.depth, site.shape) for site in sites] == [(i, 6, (8, 4, 4)) for i in (2, 3, 4)]
