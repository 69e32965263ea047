"""Latency tables: sums of differences, exact where latency is a sum, and measured by the real protocol."""

import tempfile

import pytest

from archfront.contracts import WrongUse
from evaluators.latency_table import additive_table, checked, measure_table, networks_of, save_table
from hardware_profiles import quiet
from hardware_profiles.device_profile import Profile
from search_spaces import one_of, repeat
from search_spaces.blocks import MLP, Block, Conv3x3Stem, DepthwiseConv, SelfAttention
from search_spaces.decisions import INACTIVE
from search_spaces.space import Space
from search_spaces.topologies import Network, Stage
from search_spaces.weight_sharing.latency_table import LatencyTable

BLOCK = Block(one_of(DepthwiseConv(one_of(3, 5, 7)), "pool", SelfAttention(one_of(2, 4))), MLP(one_of(1, 2)))
SPACE = Space(Network(Conv3x3Stem(stride=2), (Stage(one_of(8, 16), repeat(one_of(2, 1), BLOCK), None),)))
COSTS = {"pool": 0.1, "depthwise_conv": 0.4, "self_attention": 0.9}


def summed(architecture) -> float:
    """A latency that is a sum over the choices made."""
    stage = architecture.stages[0]
    total = 1 + stage.width / 16
    for block in stage.blocks:
        mixer = block.token_mixer
        total += COSTS[mixer.name] + getattr(mixer, "kernel", 0) ** 2 / 100 * (mixer.name != "pool")
        total += getattr(mixer, "heads", 0) / 10 + block.channel_mixer.expansion
    return total


def test_a_latency_that_is_a_sum_is_predicted_exactly():
    asked = []
    table = additive_table(SPACE, lambda architecture: asked.append(architecture) or summed(architecture))
    assert len(asked) == len(set(asked)) <= networks_of(SPACE)
    assert table.base_ms == pytest.approx(summed(asked[0]))
    for seed in range(60):
        architecture = SPACE.sample(seed)
        assert table.predicted(SPACE.genes(architecture)) == pytest.approx(summed(architecture), rel=1e-9)
    assert checked(table, SPACE, summed, 10)["largest_error"] < 1e-9
    assert checked(table, SPACE, lambda architecture: 2 * summed(architecture), 10)["median_error"] == pytest.approx(
        0.5
    )


def test_every_decision_is_tried_in_force():
    asked = []
    additive_table(SPACE, lambda architecture: asked.append(SPACE.genes(architecture)) or 1.0)
    for index, decision in enumerate(SPACE.decisions):
        assert {genes[index] for genes in asked} - {INACTIVE} == set(range(len(decision.options)))


@pytest.fixture
def own_runtime_folder(tmp_path, monkeypatch):
    """Locks of the tests' own, which don't wait for other measurements on this machine."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(quiet._THREAD, "locks", None)


def test_a_table_is_measured_on_this_host_and_goes_through_its_file(own_runtime_folder, tmp_path):
    block = Block(one_of("pool", DepthwiseConv(7)), MLP(1))
    space = Space(Network(Conv3x3Stem(stride=1), (Stage(8, (block,), None),)))
    quick = Profile("host", cap_s=0.3, patience_s=0.4, pauses_s=())
    told = []
    table = measure_table(space, (1, 8, 8), 4, quick, checks=1, listener=lambda done, of: told.append((done, of)))
    assert table.base_ms > 0 and table.added[0][0] == 0
    assert table.about["provenance"]["device"] == "host" and table.about["measured"] == 3 == len(told)
    assert table.about["check"]["networks"] == 1
    save_table(table, space, tmp_path / "table.json")
    assert LatencyTable.of(str(tmp_path / "table.json"), space) == table


def test_what_does_not_build_is_one_line(own_runtime_folder):
    block = Block(SelfAttention(one_of(2, 3)), MLP(1))
    space = Space(Network(Conv3x3Stem(stride=1), (Stage(8, (block,), None),)))
    with pytest.raises(WrongUse, match=r"no latency table of 'space' on 'host': .*3 heads"):
        measure_table(space, (1, 8, 8), 4, Profile("host", cap_s=0.2, patience_s=0.2, pauses_s=()))
