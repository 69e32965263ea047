"""Dense connections: the formula, what they cost, and conformance."""

import pytest
import torch
from torch.nn import functional

from search_spaces import SpaceError
from search_spaces.deployment import deployed
from search_spaces.topologies import Stage
from search_spaces.topologies.wiring.dense_aggregation import DenseAggregation
from tests.topologies.wired_networks import BLOCK, WiredConformance, off, parameters, stage_of, wired


def densely_connected(module, x):
    """Each block sees the concatenation of all earlier maps."""
    maps = [x, module.blocks[0](x)]
    for block, join in zip(list(module.blocks)[1:], module.joins, strict=True):
        whole = torch.cat([conv.weight for conv in join.convs], 1)
        maps.append(block(functional.conv2d(torch.cat(maps, 1), whole)))
    return maps[-1]


class TestDenseAggregation(WiredConformance):
    cases = [
        (DenseAggregation(), (8, 5, 7)),
        (Stage(8, (BLOCK,) * 3, None, DenseAggregation()), (8, 5, 7)),
        (Stage(8, (BLOCK,), None, DenseAggregation()), (8, 5, 7)),
        (wired(DenseAggregation()), (3, 6, 6)),
    ]

    def formula(self, wired, x):
        return densely_connected(wired, x)


@pytest.mark.parametrize("count", [2, 4])
def test_each_block_sees_the_concatenation_of_all_earlier_maps(count):
    module, x = stage_of(DenseAggregation(), count)
    assert [len(join.convs) for join in module.joins] == list(range(2, count + 1))
    with torch.no_grad():
        assert off(densely_connected(module, x), module(x)) < 1e-12
        assert off(densely_connected(module, x), deployed(module)(x)) < 1e-12
    assert all(len(join.convs) == 1 for join in deployed(module).joins), "deployed, a join is one convolution"


def test_it_adds_a_convolution_for_each_pair():
    dense, chain = (parameters(stage_of(wiring, 4)[0]) for wiring in (DenseAggregation(), Stage(8, ()).wiring))
    assert dense - chain == (4 * 5 // 2 - 1) * 8 * 8


def test_few_blocks_are_a_chain():
    assert DenseAggregation().for_items(1).name == DenseAggregation().for_items(0).name == "chain"
    assert DenseAggregation().for_items(2) == DenseAggregation()


def test_it_wires_blocks_alone():
    with pytest.raises(SpaceError, match=r"network.wiring: 'dense_aggregation' wires the blocks of a stage"):
        type(wired(DenseAggregation()))("conv3x3", (Stage(8, (BLOCK,)),), wiring=DenseAggregation())
