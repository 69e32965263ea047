"""What works on chains works on wired networks: supernets, edits, proxies, costs, exports, timings, ties."""

import json
import warnings
from dataclasses import replace
from math import isfinite
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from archfront.export import FORMATS, export_model
from evaluators.zero_cost import PROXIES, scores
from hardware_profiles.device_profile import Profile
from hardware_profiles.measuring import measure
from search_spaces import SpaceError, digest, from_json, integers, one_of, repeat, to_json
from search_spaces.blocks import MLP, AveragePoolHead, Block, Conv3x3Stem, DepthwiseConv
from search_spaces.building import build
from search_spaces.counting import count
from search_spaces.deployment import deployed, unfolded
from search_spaces.edits import Deepen, EnlargeKernel, InjectLayers, Widen
from search_spaces.edits.edit import Edit, put
from search_spaces.edits.weights import apply
from search_spaces.spaces import get_space
from search_spaces.spaces.tied import with_ties
from search_spaces.testing import (
    SpaceConformance,
    assert_deployed_equal,
    assert_extracted_equal,
    randomise,
    randomise_supernet,
)
from search_spaces.topologies import Network, Stage, Tied
from search_spaces.topologies.wiring.csp import Csp
from search_spaces.topologies.wiring.dense_aggregation import DenseAggregation
from search_spaces.topologies.wiring.early_exit import EarlyExit
from search_spaces.topologies.wiring.long_skips import LongSkips
from search_spaces.topologies.wiring.recursion import Recursion
from search_spaces.weight_sharing import Supernet, recalibrate
from tests.export.networks import subject_of
from tests.topologies.wired_networks import INPUTS, NETWORKS, OUTPUTS, WIRINGS, exiting, off, wired

EVERY = pytest.mark.parametrize("name", NETWORKS)
ANY: Any = one_of("chain", DenseAggregation(), LongSkips(), Csp(one_of(0.25, 0.5)), Recursion(one_of(2, 3)))


def space_of_blocks() -> Network:
    """One to three blocks of two widths and kernels, wired in every way."""
    block = Block(DepthwiseConv(one_of(3, 5)), channel_mixer=None)
    stage = Stage(one_of(8, 16), repeat(integers(1, 3), block, shared=True), None, ANY)
    return Network(Conv3x3Stem(stride=1), (stage,))


def space_of_exits() -> Network:
    """Two or three exits' places, widths, thresholds and heads."""
    block = Block(DepthwiseConv(3), channel_mixer=None)
    stages = tuple(Stage(one_of(8, 16), (block,), "pool" if place else None) for place in range(3))
    exits = (one_of(None, "average_pool"), one_of(None, AveragePoolHead("layer")))
    return Network(Conv3x3Stem(stride=1), stages, wiring=one_of("chain", EarlyExit(exits, one_of(0.5, 1.5))))


class TestBlocksSpace(SpaceConformance):
    space = space_of_blocks().space()
    inputs = INPUTS
    samples = 300


class TestExitsSpace(SpaceConformance):
    space = space_of_exits().space()
    inputs = INPUTS
    samples = 300


@pytest.mark.parametrize("tree", [space_of_blocks(), space_of_exits()], ids=["blocks", "exits"])
def test_every_architecture_is_exactly_a_part_of_the_supernet(tree):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        supernet = randomise_supernet(Supernet(tree, (3, 6, 5), OUTPUTS, seed=0), 0)
        for architecture in supernet.space.enumerate():
            assert_extracted_equal(supernet, architecture)


def test_blocks_have_the_same_weights_whatever_wires_them():
    supernet = Supernet(space_of_blocks(), INPUTS, OUTPUTS, seed=0)
    keys = {}
    for name, wiring in {"chain": "chain", **WIRINGS}.items():
        if name != "together":
            block = Block(DepthwiseConv(3), channel_mixer=None)
            supernet.activate(Network(Conv3x3Stem(stride=1), (Stage(16, (block,) * 3, None, wiring),)))
            keys[name] = {view.key for view in supernet.views if "wiring" not in view.key}
    assert all(found == keys["chain"] for found in keys.values())


@EVERY
def test_recalibrated_statistics_are_those_of_the_stream(name):
    """As torch accumulates them over one batch with a momentum of one, where blocks are applied once."""
    model = build(NETWORKS[name], INPUTS, OUTPUTS, seed=0)
    images = torch.randn(32, *INPUTS, generator=torch.Generator().manual_seed(0))
    other = build(NETWORKS[name], INPUTS, OUTPUTS, seed=0)
    norms = [module for module in other.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # A cumulative average: over several applications, the mean of their moments.
    with torch.no_grad():
        other.train()(images)
    recalibrate(model, [images])
    for found, norm in zip([m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)], norms, strict=True):
        assert torch.allclose(found.running_mean, norm.running_mean, atol=1e-5)


GROWTHS: dict[str, Edit] = {
    "widen": Widen("stages.0", 16),
    "kernel": EnlargeKernel("stages.0.blocks.1.token_mixer", 7),
    "expansion": Widen("stages.0.blocks.0.channel_mixer", 6),
}


@pytest.mark.parametrize("growth", GROWTHS)
@EVERY
def test_edits_leave_what_is_computed(name, growth):
    if name == "exits" and growth == "kernel":
        edit: Edit = EnlargeKernel("stages.1.blocks.0.token_mixer", 7)
    else:
        edit = GROWTHS[growth]
    assert_same_after(NETWORKS[name], edit)


@pytest.mark.parametrize("name", ["dense", "csp", "recursion"])
def test_widths_need_not_be_multiples(name):
    assert_same_after(NETWORKS[name], Widen("stages.0", 12))


def assert_same_after(before: Any, edit: Edit) -> None:
    old = randomise(build(before, INPUTS, OUTPUTS, seed=0).double(), 1)
    edited = apply(edit, before, old.state_dict(), INPUTS, OUTPUTS, seed=3)
    new = build(edited.architecture, INPUTS, OUTPUTS, seed=5).double()
    new.load_state_dict(edited.state)
    assert edited.architecture != before and sum(map(torch.numel, edited.state.values())) > sum(
        map(torch.numel, old.state_dict().values())
    )
    x = torch.randn(4, *INPUTS, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        for training in (False, True):
            assert off(old.train(training)(x), new.train(training)(x)) < 1e-9


PLAIN = Block(DepthwiseConv(3))
"""A block that can begin as one that passes on its input."""


@pytest.mark.parametrize("edit", [Deepen("stages.0", 1), Deepen("stages.0", 3, PLAIN), InjectLayers(3)])
@pytest.mark.parametrize("name", WIRINGS)
def test_blocks_are_added_where_that_changes_nothing(name, edit):
    before = Network(Conv3x3Stem(stride=1), (Stage(8, (PLAIN,) * 3, None, WIRINGS[name]),))
    if WIRINGS[name].insertable():
        assert_same_after(before, edit)
    else:
        with pytest.raises(SpaceError, match=r"stages.0: its wiring '\w+' would compute something else") as caught:
            edit.applied(before)
        assert "\n" not in str(caught.value)
    assert WIRINGS[name].insertable() == (name in ("csp", "recursion", "together"))


def test_stages_with_exits_are_deepened():
    stages = tuple(Stage(8, (PLAIN,), "pool" if place else None) for place in range(2))
    before = Network(Conv3x3Stem(stride=1), stages, wiring=EarlyExit(threshold=1.2))
    assert_same_after(before, Deepen("stages.0", 1))


@EVERY
def test_the_deployed_network_is_the_same_with_less(name):
    model = build(NETWORKS[name], INPUTS, OUTPUTS, seed=0)
    assert_deployed_equal(model, INPUTS)
    lean = deployed(model.float())
    assert unfolded(lean, INPUTS) == []
    norms = [[m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)] for net in (model, lean)]
    assert len(norms[1]) < len(norms[0])


@EVERY
def test_every_proxy_scores_it(name):
    model = build(NETWORKS[name], INPUTS, OUTPUTS, seed=0)
    images = torch.randn(8, *INPUTS, generator=torch.Generator().manual_seed(0))
    found = scores(model, images, torch.arange(8) % OUTPUTS)
    assert found.keys() == set(PROXIES.names())
    assert all(isfinite(value) for value in found.values()), found


def test_an_exit_counts_with_all_that_it_computes():
    with_exits, without = (count(build(tree, INPUTS, OUTPUTS), INPUTS) for tree in (exiting(99.0), chain_of_exiting()))
    assert with_exits.macs - without.macs == 8 * OUTPUTS + 16 * OUTPUTS


def chain_of_exiting() -> Network:
    return replace(exiting(), wiring="chain")


@EVERY
@pytest.mark.slow
def test_every_format_is_verified(name, tmp_path: Path):
    subject = subject_of(NETWORKS[name], INPUTS, OUTPUTS)
    result = export_model(subject, [entry.name for entry in FORMATS if not entry.value.raw], tmp_path / "out")
    assert [check.format for check in result.checks] == ["onnx", "pt2", "python"]
    assert all(check.output_range > 0.1 for check in result.checks)
    text = (tmp_path / "out" / "model.py").read_text()
    assert "def edges" not in text and "def for_items" not in text, "what only a search needs is left out"


@pytest.mark.parametrize("runtime", ["onnxruntime", "torch"])
@EVERY
@pytest.mark.slow
def test_it_is_timed(name, runtime):
    quick: dict[str, Any] = {"cap_s": 0.3, "patience_s": 0.4, "pauses_s": ()}
    model = randomise(build(NETWORKS[name], INPUTS, OUTPUTS, seed=0), 0)
    found = measure(deployed(model), INPUTS, Profile("host", runtime=runtime, **quick))
    assert 0 < found.low <= found.latency_ms <= found.high
    assert found.difference is None or found.difference < 1e-4


@EVERY
def test_json_and_digest_round_trip(name):
    again = from_json(json.loads(json.dumps(to_json(NETWORKS[name]))))
    assert again == NETWORKS[name] and digest(again) == digest(NETWORKS[name])
    assert len({digest(tree) for tree in (*NETWORKS.values(), wired("chain"))}) == len(NETWORKS) + 1


def test_wirings_change_no_digest_of_a_chain():
    space = get_space("hybrid", (1, 8, 8), 1000)
    found = [digest(space.sample(seed))[:12] for seed in range(3)]
    assert found == ["cd846871e4b9", "fab3cf3ba7ce", "5bf4bf7c85b7"]
    assert digest(wired("chain")) == digest(
        put(wired(DenseAggregation()), "stages.0.wiring", wired("chain").stages[0].wiring)
    )
    assert digest(wired(DenseAggregation(), 1)) == digest(wired("chain", 1))


@pytest.mark.parametrize("name", WIRINGS)
def test_wired_layers_can_be_tied(name):
    tied = Tied(wired(WIRINGS[name]), ((0, 1, 0),))
    model = build(tied, INPUTS, OUTPUTS, seed=0)
    blocks = model.stages[0].blocks.blocks
    assert blocks[0] is blocks[2] and blocks[0] is not blocks[1]
    assert_deployed_equal(model, INPUTS)


def test_ties_and_wirings_are_searched_together():
    stage = Stage(8, repeat(integers(1, 2), Block(DepthwiseConv(3), channel_mixer=MLP(2))), None, ANY)
    space = with_ties(Network(Conv3x3Stem(stride=1), (stage,))).space()
    supernet = randomise_supernet(Supernet(space, (3, 4, 4), OUTPUTS, seed=0), 0)
    for seed in range(12):
        assert_extracted_equal(supernet, space.sample(seed))


def test_ties_hold_in_networks_with_exits():
    stages = tuple(Stage(8, (PLAIN,) * 2, "pool" if place else None) for place in range(2))
    tied = Tied(Network("conv3x3", stages, wiring=EarlyExit()), ((0, 0), (0, 1)))
    model = build(tied, INPUTS, OUTPUTS, seed=0)
    assert model.stages[0].blocks[0] is model.stages[0].blocks[1]
    assert model.stages[1].blocks[0] is not model.stages[1].blocks[1]


def test_mutation_and_crossover_change_the_wiring():
    space, rng = space_of_blocks().space(), Random(0)
    mother, father = (space.sample(seed) for seed in (1, 2))
    seen = set()
    for _ in range(300):
        mother = space.mutate(mother, rng)
        seen.add(space.crossover(mother, father, rng).stages[0].wiring.name)
    assert seen == {"chain", "dense_aggregation", "long_skips", "csp", "recursion"}
