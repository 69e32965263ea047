"""Necks and heads that take all stages' maps: their formulas, deployment, and conformance."""

from pathlib import Path

import pytest
import torch
from torch import nn
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


def aggregated(module, maps):
    """Each map joined to what was fused of the maps before it."""
    fused = [maps[0]]
    for node, x in zip(module.nodes, maps[1:], strict=True):
        small = functional.adaptive_avg_pool2d(fused[-1], x.shape[2:])
        norm, y = node.join.norm, functional.conv2d(small, node.join.convs[0].weight)
        y = y + functional.conv2d(x, node.join.convs[1].weight)
        if isinstance(norm, nn.BatchNorm2d):
            y = functional.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
        elif not isinstance(norm, nn.Identity):
            rows = functional.layer_norm(y.movedim(1, -1), (y.shape[1],), norm.weight, norm.bias, norm.eps)
            y = rows.movedim(-1, 1)
        kinds = {nn.ReLU: functional.relu, nn.GELU: functional.gelu, nn.Identity: lambda value: value}
        fused.append(kinds[type(node.activation)](y))
    return fused


def pooled(module, maps):
    """One linear layer of all averages."""
    means = torch.cat([norm(x).mean((2, 3)) for norm, x in zip(module.norms, maps, strict=True)], 1)
    weight = torch.cat([linear.weight for linear in module.linears], 1)
    return functional.linear(means, weight, module.linears[-1].bias)


class TestAllMaps(PartConformance):
    cases = [
        (IterativeAggregation(), (8, 6, 6)),
        (IterativeAggregation("layer", None), (8, 5, 7)),
        (IterativeAggregation(None, "gelu"), (8, 6, 6)),
        (AllStagesPoolHead(None), (8, 5, 7)),
        (NETWORKS["both"], (3, 9, 11)),
    ]

    def reference(self, part, site, module, x):
        if part.family == "network":
            maps = [module.stem(x)]
            for stage in module.stages:
                maps.append(stage(maps[-1]))
            return pooled(module.head, aggregated(module.neck, maps[1:]))
        maps = (x, functional.avg_pool2d(x, 2))
        return aggregated(module.neck, maps)[-1] if part.family == "neck" else pooled(module.head, maps)


def test_maps_are_fused_from_the_shallowest_to_the_deepest():
    module = randomise(IterativeAggregation().build(SITE).double(), 0).eval()
    fused = aggregated(module, MAPS)
    with torch.no_grad():
        got = module(MAPS)
        assert len(got) == 3 and all(off(a, b) < 1e-12 for a, b in zip(fused, got, strict=True))


def test_the_head_is_one_linear_layer_of_all_averages():
    module = randomise(AllStagesPoolHead(None).build(SITE).double(), 0).eval()
    expected = pooled(module, MAPS)
    with torch.no_grad():
        assert off(expected, module(MAPS)) < 1e-12
        module.reparameterize()
        assert len(module.linears) == 1 and module.linears[0].in_features == 8 + 12 + 16
        assert off(expected, module(MAPS)) < 1e-12


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
