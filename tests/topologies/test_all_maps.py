"""Necks and heads that take all stages' maps: their formulas, deployment, and conformance."""

from pathlib import Path

import pytest
import torch

from archfront.export import FORMATS, export_model
from evaluators.zero_cost import scores
from search_spaces import SpaceError
from search_spaces.blocks import AllStagesPoolHead, Block
from search_spaces.building import build
from search_spaces.deployment import deployed, unfolded
from search_spaces.edits import Widen
from search_spaces.edits.weights import apply
from search_spaces.testing import PartConformance, randomise
from search_spaces.topologies import Network, Stage
from search_spaces.topologies.neck.iterative_aggregation import IterativeAggregation
from search_spaces.topologies.wiring.early_exit import EarlyExit
from tests.export.networks import subject_of
from tests.topologies.all_maps import aggregated, pooled
from tests.topologies.wired_networks import INPUTS, OUTPUTS, off, random

STAGES = tuple(Stage(width, (Block("depthwise_conv"),), "conv" if width > 8 else None) for width in (8, 12, 16))
NETWORKS = {
    "neck": Network("conv3x3", STAGES, neck=IterativeAggregation()),
    "head": Network("conv3x3", STAGES, AllStagesPoolHead()),
    "both": Network("conv3x3", STAGES, AllStagesPoolHead(None), neck=IterativeAggregation("layer", None)),
}
EVERY = pytest.mark.parametrize("name", NETWORKS)


class TestAllMaps(PartConformance):
    """A network with a neck and a head of all maps."""

    cases = [(NETWORKS["both"], (3, 9, 11))]

    def reference(self, part, site, module, x):
        maps = [module.stem(x)]
        for stage in module.stages:
            maps.append(stage(maps[-1]))
        return pooled(module.head, aggregated(module.neck, maps[1:]))


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
@pytest.mark.slow
def test_every_format_is_verified(name, tmp_path: Path):
    subject = subject_of(NETWORKS[name], (3, 14, 10), OUTPUTS)
    result = export_model(subject, [entry.name for entry in FORMATS if not entry.value.raw], tmp_path / "out")
    assert [check.format for check in result.checks] == ["onnx", "pt2", "python"]


def test_all_maps_come_from_a_chain_of_stages():
    with pytest.raises(SpaceError, match="only a chain of stages gives"):
        Network("conv3x3", STAGES, AllStagesPoolHead(), wiring=EarlyExit())
    with pytest.raises(SpaceError, match=r"early_exit.exits: takes heads of one map"):
        EarlyExit((AllStagesPoolHead(),))
