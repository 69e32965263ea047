"""Building: paths in errors, seeds; the deployed form: what it folds, what it leaves."""

import subprocess
import sys

import search_spaces.torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)
import pytest
import torch
from timm.layers import BatchNormAct2d, DropPath
from timm.models.byobnet import MobileOneBlock
from torch import nn

from search_spaces import SpaceError, one_of
from search_spaces.blocks import Block, Conv3x3Stem, ConvDownsample, GroupNorm, PatchifyStem, SelfAttention
from search_spaces.building import build
from search_spaces.deployment import deployed
from search_spaces.site import Site
from search_spaces.testing import assert_deployed_equal, randomise
from search_spaces.topologies import Network, Stage


def network(*blocks: Block, stem: object = "conv3x3", head: object = "average_pool", **second: object) -> Network:
    stages = (Stage(16, (Block("pool"),)), Stage(24, blocks, **second))
    return Network(stem, stages, head)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (
            network(Block("pool"), Block(SelfAttention(5))),
            "stages.1.blocks.1.token_mixer: 24 channels don't divide into 5",
        ),
        (
            network(Block("pool", norm=GroupNorm(7))),
            "stages.1.blocks.0.norm: 24 channels don't divide into groups of 7",
        ),
        (network(stem=PatchifyStem(64)), "stem: patches of 64x64 don't fit into 32x32 pixels"),
        (
            network(stem=PatchifyStem(32), downsample=ConvDownsample(2)),
            "stages.1.downsample: a map of 1x1 can't be halved",
        ),
        (network(downsample=None), "stages.1: can't go from 16 to 24 channels without a downsample"),
        (network(stem=Conv3x3Stem(norm=GroupNorm(3))), "stem.norm: 16 channels don't divide"),
        (network(Block(one_of("pool", "self_attention"))), "architecture: has holes left"),
        (Block("pool"), "architecture: only a network can be built, not Block"),
    ],
)
def test_errors_carry_the_path(architecture, message):
    with pytest.raises(SpaceError) as caught:
        build(architecture, (3, 32, 32), 10)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_wrong_inputs_are_refused():
    for inputs, outputs in (((), 10), ((3, 0, 8), 10), ((3, 8, 8), 0)):
        with pytest.raises(SpaceError, match="build: takes inputs"):
            build(network(), inputs, outputs)
    with pytest.raises(SpaceError, match=r"^stem: stem 'conv3x3' works on maps of 1 or 2 sides, and is given \(32,\)$"):
        build(network(), (32,), 10)


def test_the_seed_alone_decides_the_weights():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = build(network(Block("depthwise_conv")), (3, 16, 16), 10, seed=1).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(3)
    second = build(network(Block("depthwise_conv")), (3, 16, 16), 10, seed=1).state_dict()
    third = build(network(Block("depthwise_conv")), (3, 16, 16), 10, seed=2).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not all(torch.equal(first[key], third[key]) for key in first)


def test_the_first_stage_needs_no_downsample_and_ignores_one():
    with_one, without = (
        Network("conv3x3", (Stage(16, (Block("pool"),), downsample=downsample),)) for downsample in ("pool", None)
    )
    from search_spaces import digest

    assert with_one != without and digest(with_one) == digest(without)
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(*(build(a, (3, 16, 16), 4, seed=0).eval()(x) for a in (with_one, without)))


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def test_deployment_folds_what_can_be_folded():
    """Pre: the norm before the 1x1 of the MLP. Peri: that one and both after the branches' last convolutions."""
    expected = {"pre": (2, 1), "post": (2, 2), "peri": (4, 1)}
    for placement, (before, after) in expected.items():
        block = Block("depthwise_conv", "mlp", "batch", placement).build(Site((8, 6, 6)))
        assert (norms(block), norms(deployed(block))) == (before, after)
        assert_deployed_equal(block, (8, 6, 6))


def test_deployment_leaves_the_original_alone():
    model = randomise(build(network(Block("inverted_bottleneck", None, None)), (3, 16, 16), 10, seed=0), 0).train()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    copy = deployed(model)
    assert model.training and all(p.requires_grad for p in model.parameters())
    assert not copy.training and not any(p.requires_grad for p in copy.parameters())
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert norms(copy) < norms(model)


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Conv2d(4, 6, 3, padding=1, bias=False), BatchNormAct2d(6), nn.Dropout(0.5), DropPath(0.5)),
        nn.Sequential(nn.Conv2d(4, 8, 3, groups=2), nn.Dropout2d(0.3), nn.Sequential(nn.BatchNorm2d(8), nn.ReLU())),
        nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, padding=1)),
        nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 2, stride=2), nn.BatchNorm2d(6)),
        nn.Sequential(nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6), nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6), nn.BatchNorm2d(6)),
        nn.Sequential(nn.Conv2d(4, 6, 1), nn.ReLU(), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 1)),
        nn.Sequential(nn.ConvTranspose2d(4, 6, 2), nn.BatchNorm2d(6)),
        nn.Sequential(
            nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6, affine=False), nn.BatchNorm2d(6, track_running_stats=False)
        ),
        nn.Sequential(MobileOneBlock(4, 6, 3, num_conv_branches=2), nn.Conv2d(6, 6, 1)),
    ],
    ids=["act", "nested", "padded", "strided", "chain", "apart", "transposed", "no statistics", "reparameterize"],
)
def test_deployment_keeps_the_outputs(model):
    assert_deployed_equal(model, (4, 7, 7))


def test_reparameterisation_merges_the_branches():
    model = nn.Sequential(MobileOneBlock(4, 6, 3, num_conv_branches=3))
    assert sum(isinstance(m, nn.Conv2d) for m in deployed(model).modules()) == 1
    assert sum(isinstance(m, nn.Conv2d) for m in model.modules()) > 1


def test_training_only_parts_are_gone():
    model = nn.Sequential(nn.Dropout(0.1), nn.Sequential(DropPath(0.2), nn.Dropout2d(0.1)), nn.Linear(3, 3))
    kinds = {type(module).__name__ for module in deployed(model).modules()}
    assert kinds == {"Sequential", "Identity", "Linear"}


def test_the_algebra_and_its_import_need_no_torch():
    code = "import sys, search_spaces, search_spaces.spaces; assert not {'torch', 'timm', 'ray'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
