"""Two streams: the formula, what they cost, what they refuse, and conformance."""

import pytest
import torch
from torch.nn import functional

from search_spaces import SpaceError
from search_spaces.blocks import Block, SelfAttention
from search_spaces.building import build
from search_spaces.deployment import deployed, unfolded
from search_spaces.topologies import Network, Stage
from search_spaces.topologies.wiring.csp import Csp
from tests.topologies.wired_networks import BLOCK, WiredConformance, off, parameters, stage_of, wired


def two_streams(module, x, own):
    """The channels `own` through the blocks, the others past them, and the transition of both."""
    past = [channel for channel in range(x.shape[1]) if channel not in own]
    through = x[:, own]
    for block in module.blocks:
        through = block(through)
    whole, norm = torch.cat([conv.weight for conv in module.transition.convs], 1), module.transition.norm
    y = functional.conv2d(torch.cat([through, x[:, past]], 1), whole)
    if isinstance(norm, torch.nn.BatchNorm2d):
        return functional.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
    if isinstance(norm, torch.nn.Identity):
        return y
    rows = functional.layer_norm(y.movedim(1, -1), (y.shape[1],), norm.weight, norm.bias, norm.eps)
    return rows.movedim(-1, 1)


class TestCsp(WiredConformance):
    cases = [
        (Csp(0.25, "layer"), (8, 5, 7)),
        (Stage(8, (BLOCK,) * 2, None, Csp(0.75, None)), (8, 5, 7)),
        (Stage(8, (), None, Csp()), (8, 5, 7)),
        (wired(Csp()), (3, 6, 6)),
    ]
    refused = [(Csp(0.125), (12, 4, 4)), (Stage(12, (BLOCK,), None, Csp(0.125)), (12, 4, 4))]

    def formula(self, wired, x):
        own = {1: {2: [0], 4: [0]}, 3: {4: [0, 1, 2]}}[wired.own][wired.period]
        return two_streams(wired, x, [channel for channel in range(x.shape[1]) if channel % wired.period in own])


@pytest.mark.parametrize(("split", "own"), [(0.5, [0, 2, 4, 6]), (0.25, [0, 4]), (0.75, [0, 1, 2, 4, 5, 6])])
def test_a_part_of_the_channels_goes_past_the_blocks(split, own):
    module, x = stage_of(Csp(split), 2)
    with torch.no_grad():
        lean = deployed(module)
        assert off(two_streams(module, x, own), module(x)) < 1e-12
        assert off(two_streams(module, x, own), lean(x)) < 1e-12
    assert not any(isinstance(inner, torch.nn.BatchNorm2d) for inner in lean.transition.modules())
    assert unfolded(lean.float(), (8, 6, 5)) == []


def test_the_other_channels_never_enter_the_blocks():
    module, x = stage_of(Csp(), 2)
    seen = []
    module.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    module(x.requires_grad_())
    (gradient,) = torch.autograd.grad(seen[0].sum(), x)
    assert gradient[:, ::2].eq(1).all() and gradient[:, 1::2].eq(0).all()


def test_blocks_are_built_at_the_width_of_their_stream():
    assert parameters(stage_of(Csp(0.5), 2)[0].blocks) == parameters(stage_of(Stage(4, ()).wiring, 2, 4)[0])
    tree = Network("conv3x3", (Stage(8, (Block(SelfAttention(heads=3)),), None, Csp()),))
    with pytest.raises(SpaceError, match=r"stages.0.blocks.0.token_mixer: .*4"):
        build(tree, (3, 8, 8), 5)


@pytest.mark.parametrize("split", [0, 1, 0.3])
def test_wrong_splits_are_refused(split):
    with pytest.raises(SpaceError, match=r"csp.split: must be a multiple of 1/8 between 0 and 1"):
        Csp(split)
