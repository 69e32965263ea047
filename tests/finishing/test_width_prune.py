"""Pruning widths: the pruned network is the masked one, and the channels kept are those that matter most."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archfront.finishing.width_prune import Layout, WidthPrune, magnitude, narrowed
from search_spaces.blocks import GLU, MLP, Block, Conv3x3Stem, DepthwiseConv, InvertedBottleneck, SelfAttention
from search_spaces.declarations import transparent
from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part
from search_spaces.site import Site
from search_spaces.topologies import Cell201, Network, Stage, Tied
from tests.finishing.trained import DIGITS, chain, given, outputs, state_of


@transparent
class GroupedForTests(nn.Conv2d):
    """A convolution of four groups."""


@part("token_mixer", "grouped_for_tests", source="Deep Residual Learning for Image Recognition", sliced=True)
class Grouped(Part):
    """Four groups, whatever the width."""

    def build(self, site: Site) -> nn.Module:
        return GroupedForTests(site.channels, site.channels, 3, padding=1, groups=4)


@part("token_mixer", "groups_of_four_for_tests", source="Deep Residual Learning for Image Recognition", sliced=True)
class GroupsOfFour(Part):
    """Groups of four channels, more of them the wider it is."""

    def build(self, site: Site) -> nn.Module:
        return GroupedForTests(site.channels, site.channels, 3, padding=1, groups=site.channels // 4)


@part("token_mixer", "branched_for_tests", source="Deep Residual Learning for Image Recognition")
class Branched(Part):
    """One that doesn't say that its weights are slices."""

    def build(self, site: Site) -> nn.Module:
        return nn.Conv2d(site.channels, site.channels, 1)


def masked(layout: Layout, state: dict[str, Tensor], kept: dict[Any, Tensor]) -> dict[str, Tensor]:
    """The wide network's weights, zero in every row and column of a channel that isn't kept."""
    found = {}
    for name, tensor in state.items():
        tensor = tensor.clone()
        for dimension, (old, _) in layout.pairs(name) if name in layout.wide else ():
            if name in layout.groups and dimension == 1:
                continue  # Their inputs are zero, whatever the weights.
            pair = next(pair for place, pair in layout.pairs(name) if place == dimension)
            gone = torch.ones(old, dtype=torch.bool)
            gone[kept[pair]] = False
            gone = gone.repeat(tensor.shape[dimension] // old)
            tensor[(slice(None),) * dimension + (gone,)] = 0
        found[name] = tensor
    return found


BLOCKS = {
    "depthwise": Block(DepthwiseConv(3), MLP(expansion=2), norm="batch"),
    "gated": Block(DepthwiseConv(5), GLU(expansion=2), norm="batch", norm_placement="post"),
    "inverted": Block(InvertedBottleneck(expansion=4), None, norm="batch"),
    "excited": Block("pool", "mlp", norm="batch", channel_attention="squeeze_excitation", residual="layer_scale"),
    "grouped": Block(Grouped(), "mlp", norm="batch"),
}


@pytest.mark.parametrize("by", ["magnitude", "scale", "taylor"])
@pytest.mark.parametrize("name", BLOCKS)
def test_the_pruned_network_is_the_masked_one(name: str, by: Any, tmp_path: Path) -> None:
    architecture = chain((16, 1), (24, 2), block=BLOCKS[name])
    source = given(architecture, tmp_path)
    finisher = WidthPrune(by=by)
    product = finisher.finish(source)
    assert [stage.width for stage in product.architecture.stages] == [12, 16]
    layout = Layout.of(source, product.architecture)
    kept = layout.kept(source.state, finisher._importance(source))
    wide = source.network(state=masked(layout, dict(source.state), kept))
    pruned = source.network(product.architecture, product.state)
    assert torch.allclose(outputs(pruned), outputs(wide), atol=1e-4)
    assert not torch.allclose(outputs(pruned), outputs(source.network()), atol=1e-2)
    assert "16 to 12" in product.note and by in product.note


def test_heads_keep_channels_of_their_own(tmp_path: Path) -> None:
    """Queries, keys and values are sliced alike head by head: exact but for the scale, by the root of a head's size."""
    architecture = chain((16, 1), block=Block(SelfAttention(heads=4), "mlp", norm="batch"))
    source = given(architecture, tmp_path)
    narrow = narrowed(architecture, lambda width: 8)
    layout = Layout.of(source, narrow)
    assert layout.shares == 4
    kept = layout.kept(source.state, magnitude)
    assert [int(((kept[16, 8] // 4) == head).sum()) for head in range(4)] == [2, 2, 2, 2]
    zeroed = masked(layout, dict(source.state), kept)
    for name, tensor in zeroed.items():
        if "qkv" in name:
            tensor[:16] *= 2**0.5
    pruned = source.network(narrow, layout.pruned(source.state, magnitude))
    assert torch.allclose(outputs(pruned), outputs(source.network(state=zeroed)), atol=1e-4)


def test_tied_layers_stay_one(tmp_path: Path) -> None:
    architecture = Tied(chain((16, 2)), ((0, 0),))
    product = WidthPrune().finish(given(architecture, tmp_path))
    assert product.architecture.network.stages[0].width == 12 and product.architecture.ties == ((0, 0),)
    tensors = [
        next(t for n, t in product.state.items() if n.startswith(f"stages.0.blocks.{place}.") and t.ndim == 4)
        for place in (0, 1)
    ]
    assert torch.equal(*tensors)


def test_magnitude_is_the_sum_of_absolute_weights_filter_by_filter(tmp_path: Path) -> None:
    """One tensor alone decides here: the network's stem is followed by nothing that has rows."""
    architecture = Network(Conv3x3Stem(stride=1), (Stage(16, (), None),))
    source = given(architecture, tmp_path)
    layout = Layout.of(source, narrowed(architecture, lambda width: 12))
    sums = sum(
        (t.abs().sum((1, 2, 3)) / t.abs().sum((1, 2, 3)).mean())
        for name, t in source.state.items()
        if name.startswith("stem") and t.ndim == 4
    )
    expected = sums.topk(12).indices.sort().values
    assert layout.kept(source.state, magnitude)[16, 12].tolist() == expected.tolist()


def test_taylor_is_the_gradient_by_a_gate_on_the_filter(tmp_path: Path) -> None:
    """Sum of weight times gradient is the loss's derivative by a factor on the filter."""
    source = given(chain((8, 1)), tmp_path)
    name = "stem.0.weight" if "stem.0.weight" in source.state else next(n for n in source.state if n.startswith("stem"))
    found = WidthPrune(by="taylor")._importance(source)(name, source.state[name])
    network = source.network()
    generator = torch.Generator().manual_seed(source.seed)
    order = torch.randperm(DIGITS.train.size, generator=generator)[:512]
    gate = torch.ones(8, requires_grad=True)
    weights = {key: tensor.detach() for key, tensor in network.state_dict().items()}
    gated = {**weights, name: weights[name] * gate.view(-1, 1, 1, 1)}
    raw = torch.func.functional_call(network, gated, (DIGITS.prepared(DIGITS.train.inputs[order]),))
    functional.cross_entropy(raw, DIGITS.train.targets[order].long()).backward()
    assert found is not None and gate.grad is not None
    assert torch.allclose(found, gate.grad.square(), rtol=1e-3, atol=1e-9)


def test_scale_goes_by_the_factors_of_normalizations(tmp_path: Path) -> None:
    architecture = chain((16, 1))
    state = state_of(architecture)
    for name, tensor in state.items():
        if tensor.ndim == 1 and name.endswith("weight") and len(tensor) == 16:
            tensor.fill_(1.0)[[0, 5, 6, 11]] = 0.01
    product = WidthPrune(by="scale").finish(given(architecture, tmp_path, state=state))
    left = [t for n, t in product.state.items() if t.ndim == 1 and n.endswith("weight") and len(t) == 12]
    assert left and all(bool((tensor == 1).all()) for tensor in left)


def test_the_width_of_a_network_of_cells_is_pruned(tmp_path: Path) -> None:
    architecture = Cell201(*["nor_conv_3x3"] * 6, cells=1, width=8)
    product = WidthPrune(share=0.5).finish(given(architecture, tmp_path))
    assert product.architecture.width == 4
    assert outputs(given(architecture, tmp_path).network(product.architecture, product.state)).shape == (64, 10)


@pytest.mark.parametrize(
    ("architecture", "settings", "cause"),
    [
        (chain((4, 1)), {}, "no stage is wide enough to lose 25% and stay a multiple of 4"),
        (chain((16, 1)), {"multiple": 16}, "multiple of 16"),
        (
            chain((16, 1), block=Block(SelfAttention(heads=8), norm="batch")),
            {},
            "don't divide into 8 heads",
        ),
        (chain((16, 1), block=Block(GroupsOfFour(), norm="batch")), {}, "the number of groups of the convolution"),
        (chain((16, 1), block=Block(Branched(), norm="batch")), {}, "weights of its own for every width"),
    ],
)
def test_networks_that_cannot_be_narrowed(architecture: Any, settings: Any, cause: str, tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="width_prune: ") as caught:
        WidthPrune(**settings).finish(given(architecture, tmp_path))
    assert cause in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"), [("share", 0), ("share", 1), ("by", "size"), ("multiple", 0), ("epochs", 0.5)]
)
def test_wrong_fields(field: str, value: object) -> None:
    with pytest.raises(SpaceError, match=f"width_prune.{field}"):
        WidthPrune(**{field: value})
