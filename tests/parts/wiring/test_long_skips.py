"""Long skips: the formula, what they cost, and conformance."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from search_spaces.deployment import deployed
from search_spaces.topologies import Stage
from search_spaces.topologies.wiring.long_skips import LongSkips
from tests.topologies.wired_networks import BLOCK, WiredConformance, off, parameters, stage_of, wired


def joined(join, x, early):
    """W [N(x), N'(early)], written out."""
    maps, weights = [], []
    for branch, one in zip(join.convs, (x, early), strict=True):
        norm, conv = branch if isinstance(branch, nn.Sequential) else (None, branch)
        if isinstance(norm, nn.BatchNorm2d):
            one = functional.batch_norm(one, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
        elif norm is not None:
            rows = functional.layer_norm(one.movedim(1, -1), (one.shape[1],), norm.weight, norm.bias, norm.eps)
            one = rows.movedim(-1, 1)
        maps.append(one)
        weights.append(conv.weight)
    return functional.conv2d(torch.cat(maps, 1), torch.cat(weights, 1))


def skipped(module, x):
    """Three or five blocks: the first ones' maps are joined to what the last ones are given."""
    f, join = module.blocks, module.joins
    if len(f) == 3:
        first = f[0](x)
        return f[2](joined(join[0], f[1](first), first))
    first = f[0](x)
    second = f[1](first)
    third = f[2](second)
    fourth = f[3](joined(join[1], third, second))
    return f[4](joined(join[0], fourth, first))


class TestLongSkips(WiredConformance):
    cases = [
        (LongSkips("batch"), (8, 5, 7)),
        (Stage(8, (BLOCK,) * 5, None, LongSkips(None)), (8, 5, 7)),
        (Stage(8, (BLOCK,) * 2, None, LongSkips()), (8, 5, 7)),
        (wired(LongSkips()), (3, 6, 6)),
    ]

    def formula(self, wired, x):
        return skipped(wired, x)


def test_of_five_blocks_the_first_two_are_joined_to_the_last_two():
    module, x = stage_of(LongSkips(), 5)
    with torch.no_grad():
        assert len(module.joins) == 2
        assert off(skipped(module, x), module(x)) < 1e-12
        assert off(skipped(module, x), deployed(module)(x)) < 1e-12


@pytest.mark.parametrize(("count", "skips"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (6, 2), (7, 3)])
def test_neighbours_need_no_skip(count, skips):
    module, _ = stage_of(LongSkips(None), count)
    assert len(getattr(module, "joins", ())) == skips
    assert len([edge for edge in LongSkips().edges(count) if edge[2] == "skip"]) == skips
    assert (LongSkips().for_items(count).name == "chain") == (skips == 0)
    assert parameters(module) == parameters(stage_of(Stage(8, ()).wiring, count)[0]) + skips * 2 * 8 * 8


def test_batch_normalizations_before_a_join_are_folded_into_it():
    module, x = stage_of(LongSkips("batch"), 3)
    lean = deployed(module)
    assert not any(isinstance(inner, torch.nn.BatchNorm2d) for inner in lean.joins.modules())
    with torch.no_grad():
        assert off(module(x), lean(x)) < 1e-12
