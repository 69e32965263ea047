"""Sparse aggregation gives each block the maps at distances 1, 2, 4, 8 … before it."""

import torch
from torch.nn import functional

from search_spaces.topologies import Network, SparseAggregation, Stage
from tests.topologies.wired_networks import BLOCK, WiredConformance, off, parameters, stage_of


class TestSparseAggregation(WiredConformance):
    cases = [
        (SparseAggregation(), (8, 6, 5)),
        (SparseAggregation("concat"), (8, 6, 5)),
        (Stage(8, (BLOCK,) * 5, None, SparseAggregation("concat")), (8, 6, 5)),
        (Network("conv3x3", (Stage(8, (BLOCK,) * 2, None, SparseAggregation()),)), (3, 6, 6)),
    ]
    wrong = [(lambda: SparseAggregation("mean"), "sparse_aggregation.merge")]

    def formula(self, wired, x):
        distances = {0: (1,), 1: (1, 2), 2: (1, 2), 3: (1, 2, 4), 4: (1, 2, 4)}
        maps = [x]
        for place, block in enumerate(wired.blocks):
            given = [maps[place + 1 - distance] for distance in distances[place]]
            if len(wired.joins) and place:
                weights = [conv.weight for conv in wired.joins[place - 1].convs]
                maps.append(block(functional.conv2d(torch.cat(given, 1), torch.cat(weights, 1))))
            else:
                maps.append(block(sum(given)))
        return maps[-1]


def test_a_sum_needs_no_weights_and_no_block_sees_the_map_three_before_it():
    module, x = stage_of(SparseAggregation(), 4)
    assert parameters(module) == parameters(module.blocks)
    seen = []
    module.blocks[3].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    outputs = []
    for block in module.blocks:
        block.register_forward_hook(lambda _, __, output: outputs.append(output))
    module(x)
    # Distances 1, 2 and 4 of block 3: the maps of blocks 2 and 1, and the input; not that of block 0.
    assert off(outputs[2] + outputs[1] + x, seen[0]) < 1e-12 and off(seen[0] - outputs[0], seen[0]) > 1e-3
