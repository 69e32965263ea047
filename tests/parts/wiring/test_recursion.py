"""Recursion: the formula, what it costs, and conformance."""

import pytest
import torch

from search_spaces import SpaceError
from search_spaces.building import build
from search_spaces.counting import count
from search_spaces.topologies import Stage
from search_spaces.topologies.wiring.recursion import Recursion
from tests.topologies.wired_networks import BLOCK, INPUTS, WiredConformance, off, stage_of, wired


class TestRecursion(WiredConformance):
    cases = [
        (Recursion(3, together=True), (8, 5, 7)),
        (Recursion(1), (8, 5, 7)),
        (Stage(8, (BLOCK,), None, Recursion(2, together=True)), (8, 5, 7)),
        (wired(Recursion()), (3, 6, 6)),
    ]

    def formula(self, wired, x):
        order = [place for place in range(len(wired.blocks)) for _ in range(wired.times)]
        if wired.together:
            order = list(range(len(wired.blocks))) * wired.times
        for place in order:
            x = wired.blocks[place](x)
        return x


def test_each_block_is_applied_again_before_the_next():
    module, x = stage_of(Recursion(3), 2)
    first, second = module.blocks
    with torch.no_grad():
        assert off(second(second(second(first(first(first(x)))))), module(x)) < 1e-12


def test_together_the_whole_stage_is_applied_again():
    module, x = stage_of(Recursion(2, together=True), 2)
    first, second = module.blocks
    with torch.no_grad():
        assert off(second(first(second(first(x)))), module(x)) < 1e-12
        assert off(second(second(first(first(x)))), module(x)) > 1e-3, "the order makes a difference"


def test_it_costs_no_weights_and_the_blocks_so_many_times():
    once, thrice = (count(build(wired(Recursion(times), 2), INPUTS, 5), INPUTS) for times in (1, 3))
    chain = count(build(wired("chain", 2), INPUTS, 5), INPUTS)
    block = 8 * 8 * (8 * 9 + 2 * 8 * 32)
    assert once == chain and thrice.params == once.params
    assert thrice.macs - once.macs == 2 * 2 * block


def test_one_network_has_one_spelling():
    assert Recursion(1).for_items(5).name == Recursion(3).for_items(0).name == "chain"
    assert Recursion(3, together=True).for_items(1) == Recursion(3)
    assert [edge for edge in Recursion(2).edges(2) if edge[2]] == [(0, 0, "again"), (1, 1, "again")]
    assert [edge for edge in Recursion(2, together=True).edges(2) if edge[2]] == [(1, 0, "again")]


@pytest.mark.parametrize("wrong", [{"times": 0}, {"times": 1.5}, {"times": True}, {"together": 1}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(SpaceError, match=rf"recursion.{next(iter(wrong))}: must be"):
        Recursion(**wrong)
