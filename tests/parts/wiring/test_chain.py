"""The chain."""

from search_spaces.blocks import Block
from search_spaces.site import Site
from search_spaces.testing import PartConformance
from search_spaces.topologies import ChainWiring, Stage
from tests.parts.rebuilding import rebuilt


class TestChainWiring(PartConformance):
    cases = [(ChainWiring(), (16, 8, 8))]

    def reference(self, part, site, module, x):
        """Each block is given what the one before gives, and nothing else."""
        assert len(module) == 3
        for own in module:
            x = rebuilt(Block("depthwise_conv"), site, own)(x)
        return x

    def test_each_stage_is_built_where_the_one_before_leads(self):
        stages = (Stage(8, (), "conv"), Stage(16, (), "conv"))
        site = Site((4, 9, 8))
        assert [inner.shape for inner in ChainWiring().sites(site, stages)] == [(4, 9, 8), (8, 5, 4)]
        assert ChainWiring().shape_of(site, stages) == (16, 3, 2)
        assert ChainWiring().shape_of(site, ()) == (4, 9, 8)
