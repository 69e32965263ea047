"""Every edit leaves what the network computes as it was, whatever its weights, or says in one line why it can't."""

from typing import Any

import pytest
import torch
from torch import nn

from search_spaces.blocks import (
    GLU,
    MLP,
    AveragePoolHead,
    Block,
    Chain,
    ConditionalEncoding,
    Conv3x3Stem,
    ConvDownsample,
    DepthwiseConv,
    DilatedConv,
    GroupNorm,
    InvertedBottleneck,
    PatchifyStem,
    Paths,
    PoolDownsample,
    SelfAttention,
    WindowAttention,
)
from search_spaces.building import build
from search_spaces.edits import (
    EDITS,
    Deepen,
    Edit,
    EnlargeKernel,
    InjectLayers,
    InsertIdentity,
    Redilate,
    Replicate,
    Split,
    Tie,
    Untie,
    Widen,
    check_reachable,
    path_edits,
)
from search_spaces.edits.edit import at, put
from search_spaces.edits.weights import Edited, apply, inherited
from search_spaces.errors import SpaceError
from search_spaces.spaces import get_space
from search_spaces.testing import randomise
from search_spaces.topologies import Cell201, Network, Stage, Tied

INPUTS, OUTPUTS = (3, 8, 8), 5
TOLERANCE = 1e-5


def network(*blocks: Block, width: int = 8, norm: Any = "batch", **fields: Any) -> Network:
    """Two stages, the first of the blocks at hand."""
    named = {"stem": Conv3x3Stem(1), "head": AveragePoolHead(norm=norm), **fields}
    second = Stage(16, (Block("depthwise_conv", norm=norm),), named.pop("downsample", "conv"))
    return Network(stages=(Stage(width, blocks, None), second), **named)


def trained(architecture: Any, inputs: tuple[int, int, int] = INPUTS) -> nn.Module:
    return randomise(build(architecture, inputs, OUTPUTS, seed=0), 1)


def check_same(before: Any, edit: Edit, inputs: tuple[int, int, int] = INPUTS, training: bool = True) -> Edited:
    """Edit a network of random weights and compare outputs, in eval mode and with batch statistics."""
    old = trained(before, inputs)
    edited = apply(edit, before, old.state_dict(), inputs, OUTPUTS, seed=3)
    new = build(edited.architecture, inputs, OUTPUTS, seed=5)
    new.load_state_dict(edited.state)
    compare(old, new, inputs, training)
    return edited


def compare(old: nn.Module, new: nn.Module, inputs: tuple[int, int, int], training: bool = True) -> None:
    x = torch.randn(4, *inputs, generator=torch.Generator().manual_seed(2))
    for mode in (False, True) if training else (False,):
        with torch.no_grad():
            expected, got = old.train(mode)(x), new.train(mode)(x)
        error = (got - expected).abs().max().item() / max(1.0, expected.abs().max().item())
        assert error < TOLERANCE, f"off by {error:.2g} with training={mode}"
        assert expected.std() > 1e-3, "the network's outputs must depend on its inputs"


ATTENTION = SelfAttention(2, ConditionalEncoding())
WINDOWS = WindowAttention(2, window=3, shift=True, positional_encoding="absolute")
SQUEEZED = InvertedBottleneck(expansion=2, channel_attention="squeeze_excitation")
WIDENED = [
    (Block("depthwise_conv", MLP(2)), Widen("stages.0.blocks.0.channel_mixer", 3.5)),
    (Block("pool", GLU(2), norm="rms"), Widen("stages.0.blocks.0.channel_mixer", 3)),
    (Block(InvertedBottleneck(expansion=2), None, None), Widen("stages.0.blocks.0.token_mixer", 2.75)),
    (Block(InvertedBottleneck(expansion=2, norm=None)), Widen("stages.0.blocks.0.token_mixer", 3)),
    (Block(InvertedBottleneck(expansion=2, norm="layer")), Widen("stages.0.blocks.0.token_mixer", 4)),
    (Block(InvertedBottleneck(expansion=2, norm=GroupNorm(4))), Widen("stages.0.blocks.0.token_mixer", 2.5)),
    (Block(InvertedBottleneck(expansion=2, norm="rms")), Widen("stages.0.blocks.0.token_mixer", 6)),
    (Block(SQUEEZED, None, None), Widen("stages.0.blocks.0.token_mixer", 8)),
    (Block("depthwise_conv"), Widen("stages.0", 11)),
    (Block("depthwise_conv", residual="layer_scale"), Widen("stages.0", 13)),
    (Block("depthwise_conv", norm="layer", norm_placement="post"), Widen("stages.0", 16)),
    (Block("pool", GLU(), norm="rms", norm_placement="peri"), Widen("stages.0", 24)),
    (Block("depthwise_conv", norm=GroupNorm(4)), Widen("stages.0", 12)),
    (Block(SQUEEZED, None, None, channel_attention="squeeze_excitation"), Widen("stages.0", 12)),
    (Block(ATTENTION, norm="layer"), Widen("stages.0", 16)),
    (Block(ATTENTION), Widen("stages.0", 10)),
    (Block(WINDOWS), Widen("stages.0", 14)),
    (Block(Paths((DepthwiseConv(3), "inverted_bottleneck"))), Widen("stages.0", 9)),
]


@pytest.mark.parametrize(("block", "edit"), WIDENED, ids=str)
def test_wider_networks_compute_the_same(block, edit):
    edited = check_same(network(block, Block("pool")), edit)
    assert getattr(at(edited.architecture, edit.path), "width", edit.to) == edit.to


@pytest.mark.parametrize(
    "fields",
    [
        {"stem": PatchifyStem(2, norm=None), "downsample": PoolDownsample()},
        {"downsample": ConvDownsample(2, norm=None)},
    ],
)
def test_what_surrounds_a_wider_stage_follows(fields):
    check_same(network(Block("depthwise_conv"), **fields), Widen("stages.0", 12))


def test_the_last_stage_widens_with_the_head():
    check_same(network(Block("pool"), norm="layer"), Widen("stages.1", 32))
    check_same(network(Block("pool")), Widen("stages.1", 17))


def test_copies_of_a_channel_learn_different_things():
    before = network(Block("depthwise_conv", MLP(1)))
    edited = check_same(before, Widen("stages.0.blocks.0.channel_mixer", 2))
    out = edited.state["stages.0.blocks.0.1.branch.1.fc2.weight"]
    assert not torch.allclose(out[:, :8], out[:, 8:])


@pytest.mark.parametrize(
    ("block", "edit"),
    [
        (Block(DepthwiseConv(3)), EnlargeKernel("stages.0.blocks.0.token_mixer", 7)),
        (Block(InvertedBottleneck(3, 2), None, None), EnlargeKernel("stages.0.blocks.0.token_mixer", 5)),
        (Block(ATTENTION), EnlargeKernel("stages.0.blocks.0.token_mixer.positional_encoding", 5)),
        (Block(Paths((DepthwiseConv(1), "pool"))), EnlargeKernel("stages.0.blocks.0.token_mixer.children.0", 5)),
    ],
    ids=str,
)
def test_larger_kernels_compute_the_same(block, edit):
    check_same(network(block), edit)


NEW = [
    Block("depthwise_conv"),
    Block("pool", GLU(), "rms", "peri"),
    Block("self_attention", norm="layer"),
    Block(WindowAttention(window=4), residual="layer_scale", channel_attention="squeeze_excitation"),
    Block("inverted_bottleneck", None, None, norm_placement="post"),
    Block(Paths(("pool", Paths(("depthwise_conv", "pool"), "split")))),
]


@pytest.mark.parametrize("block", NEW, ids=lambda block: block.token_mixer.name)
@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_new_block_passes_everything_on_and_learns(block, index):
    before = network(Block("depthwise_conv"), Block("pool"))
    edited = check_same(before, Deepen("stages.0", index, block))
    assert edited.architecture.stages[0].blocks[index] == block
    new = build(edited.architecture, INPUTS, OUTPUTS)
    new.load_state_dict(edited.state)
    new(torch.randn(4, *INPUTS)).square().sum().backward()
    inside = [p for name, p in new.named_parameters() if name.startswith(f"stages.0.blocks.{index}.")]
    assert any(p.grad.abs().max() > 0 for p in inside)


def test_a_new_block_may_begin_as_a_copy():
    before = network(Block("depthwise_conv"), Block(InvertedBottleneck(), None, None))
    edited = check_same(before, Deepen("stages.0", 2))
    state = edited.state
    assert torch.equal(state["stages.0.blocks.1.0.branch.1.0.weight"], state["stages.0.blocks.2.0.branch.1.0.weight"])
    check_same(before, Deepen("stages.0", 0))


def test_layers_are_injected_every_few():
    blocks = [Block("self_attention", norm="layer"), Block("depthwise_conv"), Block("pool")]
    before = network(*blocks)
    edited = check_same(before, InjectLayers(1))
    assert [len(stage.blocks) for stage in edited.architecture.stages] == [6, 2]
    edited = check_same(before, InjectLayers(2))
    assert edited.architecture.stages[0].blocks == (*blocks[:2], blocks[1], blocks[2])
    weights = {name: edited.state[f"stages.0.blocks.{name}.0.branch.1.weight"] for name in (1, 2)}
    assert torch.equal(weights[1], edited.state["stages.0.blocks.1.0.branch.1.weight"])
    assert weights[2].abs().max() == 0, "the output of the copy's branch is zero"
    fc1 = "stages.0.blocks.{}.1.branch.1.fc1.weight"
    assert torch.equal(edited.state[fc1.format(1)], edited.state[fc1.format(2)]), "what is before it is inherited"
    with pytest.raises(SpaceError, match="inject more often"):
        InjectLayers(4).applied(before)


MIXERS = [
    DepthwiseConv(3),
    InvertedBottleneck(expansion=2),
    SelfAttention(2),
    "pool",
    Paths(("pool", DepthwiseConv(5))),
]


@pytest.mark.parametrize("mixer", MIXERS, ids=str)
@pytest.mark.parametrize("branches", [2, 3])
def test_replicated_mixers_compute_the_same(mixer, branches):
    if mixer == MIXERS[-1] and branches == 2:
        mixer = Paths((*mixer.children, "pool"))
    edited = check_same(network(Block(mixer)), Replicate("stages.0.blocks.0.token_mixer", branches))
    assert len(edited.architecture.stages[0].blocks[0].token_mixer.children) == branches


def test_replicated_convolutions_differ():
    edited = check_same(network(Block("depthwise_conv")), Replicate("stages.0.blocks.0.token_mixer", 2))
    first, second = (edited.state[f"stages.0.blocks.0.0.branch.1.branches.{i}.weight"] for i in (0, 1))
    assert not torch.allclose(first, second)


@pytest.mark.parametrize(("mixer", "branches"), [(DepthwiseConv(3), 2), (DepthwiseConv(5), 4), ("pool", 2)])
def test_split_mixers_compute_the_same(mixer, branches):
    check_same(network(Block(mixer)), Split("stages.0.blocks.0.token_mixer", branches))


@pytest.mark.parametrize(
    "mixer",
    [*MIXERS, WindowAttention(2, window=4), Paths((DepthwiseConv(3), "pool"), "split"), Chain(("pool", "pool"))],
    ids=str,
)
@pytest.mark.parametrize("kernel", [1, 5])
def test_an_inserted_identity_leaves_outputs_and_learns(mixer, kernel):
    edited = check_same(network(Block(mixer)), InsertIdentity("stages.0.blocks.0.token_mixer", kernel))
    chain = edited.architecture.stages[0].blocks[0].token_mixer
    assert chain.name == "chain" and chain.children[-1] == DepthwiseConv(kernel)
    new = build(edited.architecture, INPUTS, OUTPUTS)
    new.load_state_dict(edited.state)
    new(torch.randn(4, *INPUTS)).square().sum().backward()
    last = f"stages.0.blocks.0.0.branch.1.{len(chain.children) - 1}.weight"
    assert dict(new.named_parameters())[last].grad.abs().max() > 0


def test_identities_are_inserted_in_single_paths():
    mixer = Paths((DepthwiseConv(3), Paths((DepthwiseConv(3), "pool"), "split")))
    for path in ("children.0", "children.1.children.1", "children.1"):
        check_same(network(Block(mixer)), InsertIdentity(f"stages.0.blocks.0.token_mixer.{path}"))


def test_edits_of_paths_add_up():
    """A tree grown edit by edit, each with the weights of the one before."""
    path = "stages.0.blocks.0.token_mixer"
    architecture: Any = network(Block(DepthwiseConv(3)))
    first = trained(architecture)
    state = first.state_dict()
    edits = [
        Replicate(path, 2),
        Split(f"{path}.children.0", 2),
        EnlargeKernel(f"{path}.children.1", 5),
        Replicate(f"{path}.children.0.children.1", 3),
        InsertIdentity(f"{path}.children.0.children.1.children.0", 5),
        Replicate(f"{path}.children.0.children.1.children.0", 2),
        EnlargeKernel(f"{path}.children.0.children.1.children.2", 7),
    ]
    for edit in edits:
        edited = apply(edit, architecture, state, INPUTS, OUTPUTS)
        architecture, state = edited.architecture, edited.state
    last = build(architecture, INPUTS, OUTPUTS)
    last.load_state_dict(state)
    compare(first, last, INPUTS)
    # The whole way is found at once, too.
    direct = inherited(network(Block(DepthwiseConv(3))), first.state_dict(), architecture, INPUTS, OUTPUTS)
    last.load_state_dict(direct)
    compare(first, last, INPUTS)


CONV = Block(DepthwiseConv(3))


def test_untied_layers_compute_the_same():
    before = Tied(network(CONV, CONV, CONV), ((0, 0, 1),))
    edited = check_same(before, Untie(2))
    assert edited.architecture.ties == ((0, 0, 2), (0,))
    check_same(edited.architecture, Untie(1))


def test_a_tied_layer_has_the_weights_of_the_other():
    before = network(CONV, CONV, CONV)
    old = trained(before)
    edited = apply(Tie(2, 1), before, old.state_dict(), INPUTS, OUTPUTS)
    assert edited.architecture == Tied(before, ((0, 1, 1), (0,))) and not Tie.preserves and Untie.preserves
    by_hand = trained(before)
    by_hand.stages[0].blocks[2] = by_hand.stages[0].blocks[1]
    new = build(edited.architecture, INPUTS, OUTPUTS)
    new.load_state_dict(edited.state)
    compare(by_hand, new, INPUTS, training=False)
    again = apply(Tie(1, 0), edited.architecture, edited.state, INPUTS, OUTPUTS)
    assert again.architecture.ties == ((0, 0, 0), (0,)), "what was tied to a layer follows it"


@pytest.mark.parametrize(
    "edit",
    [Widen("network.stages.0", 12), Widen("network.stages.1.blocks.0.channel_mixer", 5), Deepen("network.stages.1", 1)],
    ids=str,
)
def test_tied_networks_grow_where_layers_stay_equal(edit):
    ties = () if isinstance(edit, Deepen) else ((0, 0),)
    check_same(Tied(network(CONV, CONV), ties), edit, training=False)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (Tie(2, 0), "only to an earlier one of its own stage"),
        (Tie(0, 1), "only to an earlier one"),
        (Tie(3, 0), "no layer 3; the network has layers 0 to 2"),
        (Tie(1, 0), "they can't be tied; make their blocks equal"),
        (Untie(1), "isn't tied"),
    ],
    ids=str,
)
def test_ties_that_do_not_fit_say_why(edit, reason):
    with pytest.raises(SpaceError, match=reason):
        edit.applied(network(CONV, Block("pool")))


def test_blocks_are_not_added_between_tied_ones():
    before = Tied(network(CONV, CONV, CONV), ((0, 1, 0),))
    for edit in (Deepen("network.stages.0", 1), InjectLayers(1)):
        with pytest.raises(SpaceError, match="untie them before"):
            edit.applied(before)
    new = Tied(network(CONV, CONV, CONV, Block("depthwise_conv")), ((0, 1, 0),))
    check_reachable(before, new)
    with pytest.raises(SpaceError, match="a new block can't be tied"):
        check_reachable(network(CONV, CONV), Tied(network(CONV, CONV, CONV), ((0, 1, 1),)))


@pytest.mark.parametrize(("kernel", "dilation"), [(3, 2), (5, 2), (3, 3)])
def test_a_redilated_convolution_is_the_sum_of_its_shifted_taps(kernel, dilation):
    """By the formula: y[p] = b + sum over the taps k of w[k] x[p + dilation (k - centre)], zeros outside."""
    place = "stages.0.blocks.0.token_mixer"
    before = network(Block(DepthwiseConv(kernel)))
    old = trained(before)
    edited = apply(Redilate(place, dilation), before, old.state_dict(), INPUTS, OUTPUTS)
    assert at(edited.architecture, place) == DilatedConv(kernel, dilation)
    new = build(edited.architecture, INPUTS, OUTPUTS)
    new.load_state_dict(edited.state)
    conv = new.get_submodule("stages.0.blocks.0.0.branch.1")
    x = torch.randn(2, 8, 9, 7, generator=torch.Generator().manual_seed(4))
    expected = conv.bias.detach()[None, :, None, None].expand(2, 8, 9, 7).clone()
    edge = dilation * (kernel // 2)
    padded = nn.functional.pad(x, (edge,) * 4)
    for row in range(kernel):
        for column in range(kernel):
            shifted = padded[:, :, dilation * row : dilation * row + 9, dilation * column : dilation * column + 7]
            expected += conv.weight.detach()[None, :, 0, row, column, None, None] * shifted
    with torch.no_grad():
        assert torch.allclose(conv(x), expected, atol=1e-5)


def test_a_redilated_network_sees_a_larger_map_as_the_small_one():
    """Behind the stem, each pixel is repeated 3 x 3 times: so is every pixel of all maps, and the scores agree."""
    block = Block(DepthwiseConv(3))
    before: Any = Network(PatchifyStem(2), (Stage(8, (block, block), None),))
    old = trained(before).eval()
    x = torch.randn(4, *INPUTS, generator=torch.Generator().manual_seed(4))
    architecture, state = before, old.state_dict()
    for number in range(2):
        edited = apply(Redilate(f"stages.0.blocks.{number}.token_mixer", 3), architecture, state, INPUTS, OUTPUTS)
        architecture, state = edited.architecture, edited.state
    new = build(architecture, INPUTS, OUTPUTS)
    new.load_state_dict(state)
    new.eval()
    assert not Redilate.preserves
    with torch.no_grad():
        small = old.stem(x)
        enlarged = small.repeat_interleave(3, 2).repeat_interleave(3, 3)
        expected, got = old.head(old.stages(small)), new.head(new.stages(enlarged))
        plain = old.head(old.stages(enlarged))
    assert (got - expected).abs().max() < TOLERANCE * max(1.0, expected.abs().max().item())
    assert (plain - expected).abs().max() > 1e-3, "without the dilation the larger map gives something else"
    back = apply(Redilate("stages.0.blocks.0.token_mixer", 1), architecture, state, INPUTS, OUTPUTS)
    assert at(back.architecture, "stages.0.blocks.0.token_mixer") == DepthwiseConv(3)


def test_one_network_may_grow_in_many_places_at_once():
    block = Block(DepthwiseConv(3), MLP(2))
    before = network(block, block)
    after = network(
        Block(DepthwiseConv(5), MLP(4)), block, Block("pool"), width=12, stem=Conv3x3Stem(1), head=AveragePoolHead()
    )
    old = trained(before)
    new = build(after, INPUTS, OUTPUTS)
    new.load_state_dict(inherited(before, old.state_dict(), after, INPUTS, OUTPUTS))
    compare(old, new, INPUTS)


def test_reachable_mutations_of_a_ready_space_compute_the_same():
    space, inputs = get_space("mobile", (1, 8, 8), 1_400), (1, 8, 8)
    kept = 0
    for seed in range(6):
        before = space.sample(seed)
        old = trained(before, inputs)
        for after in space.neighbours(before):
            try:
                check_reachable(before, after)
                state = inherited(before, old.state_dict(), after, inputs, OUTPUTS)
            except SpaceError as error:
                assert "\n" not in str(error) and error.path
                continue
            new = build(after, inputs, OUTPUTS)
            new.load_state_dict(state)
            compare(old, new, inputs)
            kept += 1
    assert kept > 20


@pytest.mark.parametrize(
    ("before", "after", "path", "reason"),
    [
        (network(Block("pool")), network(Block("pool", norm="layer")), "stages.0.blocks.0.norm", "no edit leads"),
        (network(Block("pool")), network(Block("depthwise_conv")), "stages.0.blocks.0.token_mixer", "no edit"),
        (network(Block("pool"), width=16), network(Block("pool")), "stages.0.width", "no edit leads from 16 to 8"),
        (network(Block("pool"), Block("pool")), network(Block("pool")), "stages.0.blocks", "2 of them became 1"),
        (
            network(Block(SelfAttention(2))),
            network(Block(SelfAttention(4))),
            "stages.0.blocks.0.token_mixer.heads",
            "no edit",
        ),
        (
            network(Block(InvertedBottleneck(expansion=1))),
            network(Block(InvertedBottleneck(expansion=2))),
            "stages.0.blocks.0.0.branch.1",
            "layers can't become",
        ),
        (
            network(Block("depthwise_conv", norm="layer")),
            network(Block("depthwise_conv", norm="layer"), width=12),
            "stages.0.blocks.0.0.branch.0",
            "widen to a multiple",
        ),
        (
            network(Block("depthwise_conv", norm_placement="post")),
            network(Block("depthwise_conv", norm_placement="post"), Block("depthwise_conv", norm_placement="post")),
            "stages.0.blocks.1",
            "outside of the residual branches",
        ),
        (
            network(Block(Paths(("pool", "pool"), "split"))),
            network(Block(Paths(("pool", "pool"), "split")), width=16),
            "stages.0.width",
            "can't be widened",
        ),
        (
            network(Block("depthwise_conv")),
            network(Block(Chain(("depthwise_conv", "pool")))),
            "stages.0.blocks.0.token_mixer.children.1",
            "can't begin as the identity",
        ),
        (
            network(Block(Chain(("pool",) * 3))),
            network(Block(Chain(("pool",) * 2))),
            "stages.0.blocks.0.token_mixer.children",
            "3 of them became 2",
        ),
        (
            network(Block("inverted_bottleneck")),
            network(Block(Paths(("inverted_bottleneck",) * 2, "split"))),
            "stages.0.blocks.0.token_mixer",
            "mixes channels",
        ),
        (
            Cell201("none", "none", "none", "none", "none", "none", 1, 8),
            Cell201("none", "none", "none", "none", "none", "none", 1, 16),
            "width",
            "no edit",
        ),
    ],
)
def test_what_no_edit_can_do_is_refused_with_its_path(before, after, path, reason):
    with pytest.raises(SpaceError, match=reason) as caught:
        inherited(before, trained(before).state_dict(), after, INPUTS, OUTPUTS)
    assert caught.value.path == path and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (Widen("stages.0", 8), "can only grow"),
        (Widen("stages.0.blocks.0.token_mixer", 8), "no width or expansion"),
        (EnlargeKernel("stages.0.blocks.7", 5), "nothing at '7'"),
        (EnlargeKernel("stages.0.blocks.0.token_mixer", 8), "must be odd"),
        (Replicate("stages.0.blocks.0.norm"), "is no token mixer"),
        (Redilate("stages.0.blocks.0.channel_mixer"), "is no depthwise convolution"),
        (Redilate("stages.0.blocks.0.token_mixer", 0), "can't have a dilation of 0"),
        (InsertIdentity("stages.0.blocks.0.norm"), "is no token mixer"),
        (InsertIdentity("stages.0.blocks.0.token_mixer", 2), "must be odd"),
        (Deepen("stem", 0), "is no stage"),
        (Deepen("stages.0", 5), "no block can be put at 5"),
        (InjectLayers(0), "must be 1 or more"),
    ],
    ids=str,
)
def test_edits_that_do_not_fit_say_why(edit, reason):
    with pytest.raises(SpaceError, match=reason):
        edit.applied(network(Block("depthwise_conv")))


def test_the_edits_of_paths_are_listed():
    mixer = Paths((DepthwiseConv(3), "inverted_bottleneck"))
    tree = put(network(Block("pool")), "stages.0.blocks.0.token_mixer", mixer)
    found = [str(edit) for edit in path_edits(tree, (2,))]
    place = "stages.0.blocks.0.token_mixer.children"
    assert found == [
        f"replicate {place}.0 2",
        f"split {place}.0 2",
        f"enlarge {place}.0 5",
        f"insert_identity {place}.0 3",
        f"replicate {place}.1 2",
        f"enlarge {place}.1 5",
        f"insert_identity {place}.1 3",
        "replicate stages.1.blocks.0.token_mixer 2",
        "split stages.1.blocks.0.token_mixer 2",
        "enlarge stages.1.blocks.0.token_mixer 9",
        "insert_identity stages.1.blocks.0.token_mixer 3",
    ]


def test_every_edit_is_registered_with_its_source():
    assert EDITS.names() == [
        "deepen",
        "enlarge",
        "inject",
        "insert_identity",
        "redilate",
        "replicate",
        "split",
        "tie",
        "untie",
        "widen",
    ]
    assert all(entry.source == entry.value.source and entry.about for entry in EDITS)
