"""Necks and heads that take all stages' maps: their formulas, deployment, and conformance."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from archfront.export import FORMATS, export_model
from evaluators.zero_cost import scores
from search_spaces import SpaceError
from search_spaces.blocks import AllStagesPoolHead, Block
from search_spaces.building import build
from search_spaces.deployment import deployed, unfolded
from search_spaces.edits import Widen
from search_spaces.edits.weights import apply
from search_spaces.site import Site
from search_spaces.testing import PartConformance, randomise
from search_spaces.topologies import Network, Stage
from search_spaces.topologies.neck.iterative_aggregation import IterativeAggregation
from search_spaces.topologies.wiring.early_exit import EarlyExit
from tests.export.networks import subject_of
from tests.topologies.wired_networks import INPUTS, OUTPUTS, off, random

SITE = Site((16, 2, 2), OUTPUTS, maps=((8, 7, 5), (12, 4, 3), (16, 2, 2)))
MAPS = tuple(random(2, *shape, seed=place) for place, shape in enumerate(SITE.maps))
STAGES = tuple(Stage(width, (Block("depthwise_conv"),), "conv" if width > 8 else None) for width in (8, 12, 16))
NETWORKS = {
    "neck": Network("conv3x3", STAGES, neck=IterativeAggregation()),
    "head": Network("conv3x3", STAGES, AllStagesPoolHead()),
    "both": Network("conv3x3", STAGES, AllStagesPoolHead(None), neck=IterativeAggregation("layer", None)),
}
EVERY = pytest.mark.parametrize("name", NETWORKS)


class TestAllMaps(PartConformance):
    cases = [
        (IterativeAggregation("layer", None), (8, 5, 7)),
        (IterativeAggregation(None, "gelu"), (8, 6, 6)),
        (AllStagesPoolHead(None), (8, 5, 7)),
        (NETWORKS["both"], (3, 9, 11)),
    ]


def test_maps_are_fused_from_the_shallowest_to_the_deepest():
    module = randomise(IterativeAggregation().build(SITE).double(), 0).eval()
    fused = [MAPS[0]]
    for node, x in zip(module.nodes, MAPS[1:], strict=True):
        small = functional.adaptive_avg_pool2d(fused[-1], x.shape[2:])
        weight, norm = torch.cat([conv.weight for conv in node.join.convs], 1), node.join.norm
        y = functional.conv2d(torch.cat([small, x], 1), weight)
        fused.append(functional.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias).relu())
    with torch.no_grad():
        got = module(MAPS)
        assert len(got) == 3 and all(off(a, b) < 1e-12 for a, b in zip(fused, got, strict=True))


def test_the_head_is_one_linear_layer_of_all_averages():
    module = randomise(AllStagesPoolHead(None).build(SITE).double(), 0).eval()
    weight = torch.cat([linear.weight for linear in module.linears], 1)
    means = torch.cat([x.mean((2, 3)) for x in MAPS], 1)
    assert weight.shape == (OUTPUTS, 8 + 12 + 16)
    with torch.no_grad():
        assert off(functional.linear(means, weight, module.linears[-1].bias), module(MAPS)) < 1e-12
    module.reparameterize()
    assert len(module.linears) == 1
    with torch.no_grad():
        assert off(functional.linear(means, weight, module.linears[0].bias), module(MAPS)) < 1e-12


@EVERY
def test_it_is_deployed_widened_and_scored(name):
    old = randomise(build(NETWORKS[name], INPUTS, OUTPUTS, seed=0).double(), 1).eval()
    x = random(4, *INPUTS)
    with torch.no_grad():
        lean = deployed(old)
        assert off(old(x), lean(x)) < 1e-10 and unfolded(lean, INPUTS) == []
        edited = apply(Widen("stages.1", 24), NETWORKS[name], old.state_dict(), INPUTS, OUTPUTS, seed=3)
        new = build(edited.architecture, INPUTS, OUTPUTS, seed=5).double().eval()
        new.load_state_dict(edited.state)
        assert off(old(x), new(x)) < 1e-9
    found = scores(old.float(), x.float(), torch.arange(4), ("snip", "naswot", "az_expressivity", "synflow"))
    assert all(value == value for value in found.values())


@EVERY
def test_every_format_is_verified(name, tmp_path: Path):
    subject = subject_of(NETWORKS[name], (3, 14, 10), OUTPUTS)
    result = export_model(subject, FORMATS.names(), tmp_path / "out")
    assert [check.format for check in result.checks] == ["onnx", "pt2", "python"]


def test_all_maps_come_from_a_chain_of_stages():
    with pytest.raises(SpaceError, match="only a chain of stages gives"):
        Network("conv3x3", STAGES, AllStagesPoolHead(), wiring=EarlyExit())
    with pytest.raises(SpaceError, match=r"early_exit.exits: takes heads of one map"):
        EarlyExit((AllStagesPoolHead(),))
