"""Every registered part passes the suite that ships, and keeps what export relies on."""

import ast
from pathlib import Path

import pytest
import torch

import search_spaces
from evaluators.recipes.partial import PartialRecipe
from search_spaces import FAMILIES, SpaceError
from search_spaces.blocks import (
    GLU,
    MLP,
    AbsoluteEncoding,
    AveragePoolHead,
    Block,
    Chain,
    ConditionalEncoding,
    Conv3x3Stem,
    ConvDownsample,
    DepthwiseConv,
    DilatedConv,
    GroupNorm,
    InceptionConv,
    InvertedBottleneck,
    LayerScale,
    PatchifyStem,
    Paths,
    PoolDownsample,
    Pooling,
    SelfAttention,
    SqueezeExcitation,
    WindowAttention,
)
from search_spaces.site import Site
from search_spaces.testing import PartConformance
from search_spaces.topologies import Cell201, Network, Stage, Tied, Trained

SHAPE = (16, 8, 8)
ODD = (16, 5, 7)

SETTINGS = [
    (DepthwiseConv(kernel=3), ODD),
    (DilatedConv(kernel=3, dilation=4), ODD),
    (InvertedBottleneck(kernel=5, expansion=1, norm=None), ODD),
    (
        InvertedBottleneck(expansion=3, norm="layer", activation="hard_swish", channel_attention="squeeze_excitation"),
        ODD,
    ),
    (Pooling(kernel=5), ODD),
    (InceptionConv(5, ((1, 3), (2, 1), (1, 3))), ODD),
    (SelfAttention(heads=2, positional_encoding=AbsoluteEncoding()), ODD),
    (WindowAttention(heads=2, window=4, shift=True), SHAPE),
    (WindowAttention(heads=2, window=4, shift=True, positional_encoding=ConditionalEncoding(5)), ODD),
    (WindowAttention(heads=2, window=3), (8, 1, 1)),
    (Paths((DepthwiseConv(3), Pooling(), InvertedBottleneck(expansion=2))), ODD),
    (Paths((DepthwiseConv(3), Paths(("self_attention", "depthwise_conv"))), "split"), ODD),
    (Chain((DepthwiseConv(3), Paths(("pool", Chain())), "inverted_bottleneck")), ODD),
    (MLP(expansion=2, activation="relu"), ODD),
    (GLU(expansion=1.5), ODD),
    (GroupNorm(group_size=4), ODD),
    (LayerScale(initial=1e-5), ODD),
    (SqueezeExcitation(reduction=16), ODD),
    (Conv3x3Stem(stride=1, norm=None, activation=None), ODD),
    (PatchifyStem(patch=2, norm=None), ODD),
    (ConvDownsample(kernel=2, norm="layer"), ODD),
    (ConvDownsample(), (8, 1, 1)),
    (PoolDownsample(norm=None), ODD),
    (AveragePoolHead(norm=None), ODD),
    (Block("self_attention", "glu", "rms", "peri", "layer_scale", "squeeze_excitation"), ODD),
    (Block("pool", "mlp", "batch", "post"), ODD),
    (Block("depthwise_conv", norm=None, norm_placement="peri"), ODD),
    (Block("inverted_bottleneck", channel_mixer=None, norm=None), ODD),
    (Stage(16, (Block("pool"), Block("pool")), downsample=None), ODD),
    (Network("conv3x3", (Stage(16, (Block("pool"),)), Stage(24, (), "pool"))), (3, 9, 11)),
    (Trained(Network("conv3x3", (Stage(16, (Block("pool"),)),)), PartialRecipe(lr=0.01, optimizer="sgd")), (3, 9, 11)),
    (Tied(Network("conv3x3", (Stage(16, (Block("pool", norm_placement="post"),) * 3),)), ((0, 1, 0),)), (3, 9, 11)),
    (Cell201("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "none", 1, 8), (1, 8, 12)),
]


def defaults() -> list:
    """Every registered part that its name alone gives, on one shape."""
    needed = {"block", "stage", "network", "recipe"}
    return [(entry.value(), SHAPE) for name in FAMILIES if name not in needed for entry in FAMILIES[name]]


class TestParts(PartConformance):
    cases = defaults() + SETTINGS
    refused = [
        (GroupNorm(group_size=8), (12, 4, 4)),
        (SelfAttention(heads=3), SHAPE),
        (WindowAttention(heads=3), SHAPE),
        (PatchifyStem(patch=16), (3, 8, 8)),
        (Paths(("pool", "pool", "pool"), "split"), SHAPE),
        (Paths(("pool", SelfAttention(heads=16)), "split"), SHAPE),
        (Chain(("pool", SelfAttention(heads=3))), SHAPE),
        (ConvDownsample(kernel=2), (8, 1, 1)),
        (PoolDownsample(), (8, 1, 4)),
        (Stage(24, (Block("pool"),), downsample=None), SHAPE),
        (Block("pool", norm=GroupNorm(group_size=5)), SHAPE),
        (InvertedBottleneck(expansion=3, norm=GroupNorm(group_size=32)), SHAPE),
        (Cell201("none", "none", "none", "none", "none", "none"), (3, 30, 30)),
    ]


def test_every_registered_part_is_tested():
    tested = {(part.family, part.name) for part, _ in TestParts.cases}
    # Other tests register parts of their own in this process.
    ours = {
        (name, entry.name)
        for name in FAMILIES
        for entry in FAMILIES[name]
        if entry.value.__module__.startswith("search_spaces.")
    }
    assert ours <= tested


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda: DepthwiseConv(kernel=4), "depthwise_conv.kernel"),
        (lambda: DilatedConv(kernel=1), "dilated_conv.kernel"),
        (lambda: DilatedConv(dilation=1), "dilated_conv.dilation"),
        (lambda: InvertedBottleneck(kernel=2), "inverted_bottleneck.kernel"),
        (lambda: InvertedBottleneck(expansion=0.5), "inverted_bottleneck.expansion"),
        (lambda: InceptionConv(kernel=1), "inception_conv.kernel"),
        (lambda: InceptionConv(dilations=()), "inception_conv.dilations"),
        (lambda: InceptionConv(dilations=((1, 0),)), "inception_conv.dilations"),
        (lambda: InceptionConv(dilations=(2, 1)), "inception_conv.dilations"),
        (lambda: Pooling(kernel=1), "pool.kernel"),
        (lambda: SelfAttention(heads=0), "self_attention.heads"),
        (lambda: WindowAttention(heads=0), "window_attention.heads"),
        (lambda: WindowAttention(window=1), "window_attention.window"),
        (lambda: Paths(("pool",)), "paths.children"),
        (lambda: Paths(("pool", None)), "paths.children"),
        (lambda: Paths(("pool", "pool"), "add"), "paths.allocation"),
        (lambda: Chain(("pool",)), "chain.children"),
        (lambda: MLP(expansion=0), "mlp.expansion"),
        (lambda: GLU(expansion=-1), "glu.expansion"),
        (lambda: GroupNorm(group_size=0), "group.group_size"),
        (lambda: LayerScale(initial=0), "layer_scale.initial"),
        (lambda: SqueezeExcitation(reduction=0), "squeeze_excitation.reduction"),
        (lambda: ConditionalEncoding(kernel=2), "conditional.kernel"),
        (lambda: Conv3x3Stem(stride=0), "conv3x3.stride"),
        (lambda: PatchifyStem(patch=0), "patchify.patch"),
        (lambda: ConvDownsample(kernel=5), "conv.kernel"),
        (lambda: Block("pool", residual=None), "block.residual"),
        (lambda: Block(None), "block.token_mixer"),
        (lambda: Stage(0, ()), "stage.width"),
        (lambda: Stage(8, Block("pool")), "stage.blocks"),
        (lambda: Network("conv3x3", ()), "network.stages"),
        (lambda: Block("poool"), "Block.token_mixer"),
        (lambda: Block(MLP()), "Block.token_mixer"),
    ],
)
def test_wrong_values_raise_with_their_path(make, path):
    with pytest.raises(SpaceError) as caught:
        make()
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_window_attention_never_sees_padding_nor_the_far_side():
    """What one window computes depends on the real positions of its own region alone."""
    module = WindowAttention(heads=2, window=4, shift=True).build(Site((8, 6, 6))).double().eval()
    x = torch.randn(1, 8, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    # Rolled by 2, the 8x8 padded map has windows over rows 2-5, and 6-7 (padding) with 0-1 (wrapped around).
    module(x)[0, :, 0, 0].sum().backward()
    seen = x.grad[0].abs().sum(0) > 1e-12
    expected = torch.zeros(6, 6, dtype=torch.bool)
    expected[:2, :2] = True
    assert torch.equal(seen, expected)


def test_inverted_bottleneck_attends_on_expanded_channels():
    module = InvertedBottleneck(expansion=4, channel_attention="squeeze_excitation").build(Site((8, 4, 4)))
    squeezes = [m for m in module.modules() if type(m).__name__ in ("SqueezeExcite", "SEModule")]
    assert [squeeze.fc1.in_channels for squeeze in squeezes] == [32]


def test_norm_placements_compute_their_formulas():
    """On random input, each placement equals its formula written out."""
    x = torch.randn(2, 8, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    formulas = {
        "pre": lambda f, n: x + f(n(x)),
        "post": lambda f, n: n(x + f(x)),
        "peri": lambda f, n: x + n(f(n(x))),
    }
    for name, formula in formulas.items():
        block = Block("depthwise_conv", channel_mixer=None, norm="layer", norm_placement=name)
        module = block.build(Site((8, 4, 4))).double()
        conv = next(m for m in module.modules() if isinstance(m, torch.nn.Conv2d))
        expected = formula(
            conv, lambda t: torch.nn.functional.layer_norm(t.permute(0, 2, 3, 1), (8,), eps=1e-6).permute(0, 3, 1, 2)
        )
        assert torch.allclose(module(x), expected, atol=1e-12)


NAMES = ("parts", "site", "declarations", "errors", "families", "example_networks", "torchvision_operators", "holes")
ALLOWED = {"torch", "timm", *(f"search_spaces.{name}" for name in NAMES)}
STANDARD = {"copy", "collections", "collections.abc", "dataclasses", "typing", "math", "functools", "itertools"}


def block_files() -> list[Path]:
    root = Path(search_spaces.__file__).parent
    found = sorted(file for folder in ("blocks", "topologies", "layers") for file in (root / folder).rglob("*.py"))
    return [file for file in found if file.parent.parent != root or file.name != "__init__.py"]


@pytest.mark.parametrize("file", block_files(), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_block_files_import_only_what_an_export_can_carry(file):
    for node in ast.walk(ast.parse(file.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            ours = name.startswith(("search_spaces.layers", "search_spaces.topologies.wired"))
            declares = file.name == "__init__.py" and name.startswith("search_spaces.")
            assert ours or declares or name in ALLOWED | STANDARD or name.partition(".")[0] in ("torch", "timm"), name


def test_no_two_block_files_define_the_same_class():
    """`from search_spaces.blocks import Name` finds the one file that has it."""
    owners: dict[str, str] = {}
    for file in block_files():
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef):
                assert node.name not in owners, f"{node.name} is in {owners[node.name]} and {file.stem}"
                owners[node.name] = file.stem
