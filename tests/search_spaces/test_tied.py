"""Networks whose layers are tied: really one module, counted once, deployed and exported right; spaces of ties."""

from pathlib import Path
from typing import Any

import pytest
import torch

from archfront.export import FORMATS, export_model
from search_spaces import SpaceError, digest, integers, one_of, repeat
from search_spaces.blocks import Block, ConvDownsample, DepthwiseConv
from search_spaces.building import build
from search_spaces.counting import count
from search_spaces.spaces import get_space
from search_spaces.spaces.tied import with_ties
from search_spaces.testing import assert_deployed_equal
from search_spaces.topologies import Network, Stage, Tied
from tests.export.networks import subject_of

INPUTS = (3, 8, 8)


def network(*blocks: Any, second: tuple[Any, ...] = ("pool",)) -> Network:
    stages = (Stage(8, blocks), Stage(8, tuple(map(Block, second)), ConvDownsample(2, norm=None)))
    return Network("conv3x3", stages)


CONV = Block("depthwise_conv", norm_placement="post")


def test_tied_layers_are_one_module_that_is_counted_once():
    """By the formulas: a block's own weights go once per group of tied layers, its work once per layer."""
    plain = network(CONV, CONV, CONV)
    tied = Tied(plain, ((0, 1, 0),))
    models = [build(a, INPUTS, 10, seed=0) for a in (plain, tied)]
    costs = [count(model, INPUTS) for model in models]
    block = 8 * 49 + 8 + 2 * (8 + 8) + 8 * 32 + 32 + 32 * 8 + 8
    assert costs[0].params - costs[1].params == block
    assert costs[0].macs == costs[1].macs
    blocks = models[1].stages[0].blocks
    assert blocks[0] is blocks[2] and blocks[0] is not blocks[1]
    assert models[0].state_dict().keys() == models[1].state_dict().keys(), "ties change no names"


def test_a_step_of_training_moves_tied_layers_alike():
    model = build(Tied(network(CONV, CONV), ((0, 0),)), INPUTS, 10, seed=0)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model(torch.randn(4, *INPUTS)).square().sum().backward()
    optimizer.step()
    state = model.state_dict()
    first, second = (
        {name.removeprefix(start): tensor for name, tensor in state.items() if name.startswith(start)}
        for start in ("stages.0.blocks.0.", "stages.0.blocks.1.")
    )
    assert any("running_mean" in name for name in first)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("ties", [(0, 1, 0), (0, 1, 1), (0, 0, 0), (0, 0, 2)])
def test_what_follows_a_tied_layer_is_not_folded_into_it(ties):
    """The last norm of a block stands before the 2x2 convolution of the downsample, or before another block."""
    model = build(Tied(network(CONV, CONV, CONV), (ties,)), INPUTS, 10, seed=0)
    assert_deployed_equal(model, INPUTS)


@pytest.mark.slow
@pytest.mark.parametrize("ties", [(0, 1, 0), (0, 0, 0)])
def test_every_format_of_a_tied_network_is_verified(ties, tmp_path: Path):
    block = Block(DepthwiseConv(3))
    subject = subject_of(Tied(network(block, block, block), (ties,)), INPUTS)
    result = export_model(subject, [entry.name for entry in FORMATS if not entry.value.raw], tmp_path / "out")
    assert [check.format for check in result.checks] == ["onnx", "pt2", "python"]
    assert all(
        check.max_difference <= 1e-4 * check.output_range and check.output_range > 0.1 for check in result.checks
    )
    assert "Tied(" in (tmp_path / "out" / "model.py").read_text()


def test_one_network_has_one_digest():
    blocks = (CONV,) * 4
    chain, direct = Tied(network(*blocks), ((0, 0, 1, 2),)), Tied(network(*blocks), ((0, 0, 0, 0), (0, 0, 1)))
    assert digest(chain) == digest(direct) != digest(network(*blocks))
    assert digest(Tied(network(*blocks), ((0, 1, 2, 3, 1),))) == digest(network(*blocks)), "no such fifth layer"
    assert digest(Tied(network(*blocks), ((0, 1, 1),))) != digest(Tied(network(*blocks), ((0, 1, 0),)))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Tied(network(CONV, Block("pool")), ((0, 0),)), r"tied\.ties\.0\.1: layers 1 and 0 of stage 0"),
        (lambda: Tied(network(CONV, CONV), ((1,),)), r"tied\.ties\.0\.0: a layer can be tied to an earlier one"),
        (lambda: Tied(network(CONV, CONV), (0, 1)), "takes a tuple for each stage"),
        (lambda: Tied(get_space("cell201").sample(0)), r"tied\.network: takes a network of stages, .* not 'cell201'"),
        (lambda: with_ties(get_space("cell201").tree), "takes a network with a tuple of stages"),
    ],
)
def test_ties_that_can_not_be_say_why(make, reason):
    with pytest.raises(SpaceError, match=reason) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_any_staged_space_becomes_one_with_ties():
    """Counted by hand: n! maps of n layers; blocks of a repeat choose alike; unequal blocks and holes aren't tied."""
    kernel = DepthwiseConv(one_of(3, 5))
    repeated = Network("conv3x3", (Stage(8, repeat(integers(1, 3), Block(kernel))),))
    assert with_ties(repeated).space().size() == 3 * 2 * 6
    listed = Network("conv3x3", (Stage(one_of(8, 16), (CONV, Block("pool"), CONV, Block(kernel), Block(kernel))),))
    assert with_ties(listed).space().size() == 2 * 2 * 2 * 2
    assert {a.roots for a in with_ties(listed).space().enumerate()} == {((0, 1, 2, 3, 4),), ((0, 1, 0, 3, 4),)}
    found = {digest(a) for a in with_ties(repeated).space().enumerate()}
    assert len(found) == 2 * (1 + 2 + 5), "of each kernel, the ways to part 1, 2 and 3 layers into groups"
