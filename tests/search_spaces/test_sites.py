"""Sites: shapes of any number of sides, the numbers of blocks, widths to lead to; nothing smuggled into a shape."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from search_spaces import FAMILIES, Part, Site, SpaceError, integers, one_of, part, repeat, size
from search_spaces.blocks import Block
from search_spaces.building import build
from search_spaces.counting import count
from search_spaces.deployment import deployed, unfolded
from search_spaces.edits import EnlargeKernel, Widen
from search_spaces.edits.weights import apply
from search_spaces.spaces import get_space
from search_spaces.testing import assert_deployed_equal, assert_extracted_equal, randomise, randomise_supernet
from search_spaces.topologies import Network, Stage
from search_spaces.weight_sharing import Supernet

SEQUENCE = (3, 20)
SEEN: list[Site] = []


@pytest.fixture(scope="module")
def sequences() -> Iterator[Any]:
    """Networks of sequences, of parts of one's own; gone after these tests."""

    @part("stem", "test_stem_1d", source="A test", sliced=True, sides=1)
    class Stem(Part):
        """A convolution along the sequence."""

        def shape_after(self, site: Site) -> tuple[int, ...]:
            return (site.leads_to, *site.sides)

        def build(self, site: Site) -> nn.Module:
            return nn.Sequential(nn.Conv1d(site.channels, site.leads_to, 3, 1, 1), nn.BatchNorm1d(site.leads_to))

    @part("token_mixer", "test_mixer_1d", source="A test", sliced=True, sides=1)
    class Mixer(Part):
        """One filter per channel."""

        kernel: int = size("kernel", default=3, grows=True)

        def build(self, site: Site) -> nn.Module:
            SEEN.append(site)
            return nn.Conv1d(site.channels, site.channels, self.kernel, padding=self.kernel // 2, groups=site.channels)

    @part("head", "test_head_1d", source="A test", sliced=True, sides=1)
    class Head(Part):
        """The average, a linear layer."""

        def build(self, site: Site) -> nn.Module:
            return nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(site.channels, site.leads_to))

    block = Block(Mixer(one_of(3, 5)), None, None)
    widths: Any = one_of(8, 16)
    yield Network(Stem(), (Stage(widths, repeat(integers(1, 3), block)), Stage(widths, (block,), None)), Head())
    for family, name in (("stem", "test_stem_1d"), ("token_mixer", "test_mixer_1d"), ("head", "test_head_1d")):
        del FAMILIES[family]._entries[name]


def fitting(tree: Any, seed: int = 0) -> Any:
    """An architecture whose second stage has the width of the first, since it has no downsample."""
    return tree.where(lambda network: network.stages[0].width == network.stages[1].width, "one width").sample(seed)


def test_sequences_are_searched_like_pictures(sequences: Any) -> None:
    """Supernet, folding, counting and edits, on maps of one side."""
    space = sequences.where(lambda network: network.stages[0].width == network.stages[1].width, "one width")
    supernet = randomise_supernet(Supernet(space, SEQUENCE, 4, seed=0), 0)
    for seed in range(6):
        assert_extracted_equal(supernet, space.sample(seed))
    architecture = space.sample(1)
    model = build(architecture, SEQUENCE, 4, seed=0)
    assert_deployed_equal(model, SEQUENCE)
    assert unfolded(deployed(model), SEQUENCE) == []
    width, blocks = architecture.stages[0].width, [b for stage in architecture.stages for b in stage.blocks]
    macs = 20 * (3 * 3 * width + sum(b.token_mixer.kernel * width for b in blocks)) + 4 * width
    assert count(model.float(), SEQUENCE).macs == macs


def test_sequences_are_edited(sequences: Any) -> None:
    architecture = next(a for a in (fitting(sequences, seed) for seed in range(99)) if a.stages[0].width == 8)
    model = randomise(build(architecture, SEQUENCE, 4, seed=0).double(), 0).eval()
    x = torch.randn(2, *SEQUENCE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    edited = apply(EnlargeKernel("stages.1.blocks.0.token_mixer", 7), architecture, model.state_dict(), SEQUENCE, 4)
    larger = build(edited.architecture, SEQUENCE, 4).double().eval()
    larger.load_state_dict(edited.state)
    assert torch.allclose(larger(x), model(x), atol=1e-10)
    with pytest.raises(SpaceError):
        apply(Widen("stages.0", 4), architecture, model.state_dict(), SEQUENCE, 4)


def test_parts_say_how_many_sides_they_work_on(sequences: Any) -> None:
    with pytest.raises(SpaceError, match=r"^stem: stem 'test_stem_1d' works on maps of 1 sides, "):
        build(fitting(sequences), (3, 8, 8), 4)


def test_blocks_are_numbered_over_the_whole_network(sequences: Any) -> None:
    architecture = next(a for a in (fitting(sequences, seed) for seed in range(99)) if len(a.stages[0].blocks) == 3)
    SEEN.clear()
    build(architecture, SEQUENCE, 4)
    assert [(site.index, site.depth) for site in SEEN] == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert all(site.width is None and site.sides == (20,) for site in SEEN)


def test_a_width_that_nobody_said_is_asked_for() -> None:
    with pytest.raises(ValueError, match="its site says none"):
        _ = Site((3, 8, 8)).leads_to
    inner = Site((3, 8, 8), 10, 2, 5).at((16, 4, 4))
    assert inner == Site((16, 4, 4), None, 2, 5) and inner.wide(32).shape == (32, 4, 4)


@pytest.mark.parametrize("name", FAMILIES["wiring"].names())
@pytest.mark.parametrize(
    ("stem", "inputs", "mixer"), [("linear", (7,), None), ("token_embedding", (11, 12), "depthwise_conv")]
)
def test_every_wiring_wires_features_with_and_without_sides(
    name: str, stem: str, inputs: tuple[int, ...], mixer: str | None
) -> None:
    wiring: Any = FAMILIES["wiring"].get(name)
    block = Block(mixer)
    if "block" in wiring.wires:
        tree = Network(stem, (Stage(16, (block,) * 3, None, wiring()),))
    else:
        tree = Network(stem, (Stage(16, (block,), None),) * 2, wiring=wiring())
    network = build(tree, inputs, 4, seed=0)
    assert_deployed_equal(network, inputs)
    assert unfolded(deployed(network), inputs) == []


def test_cells_count_as_blocks() -> None:
    assert get_space("cell201").sample(0).layers() == 15
