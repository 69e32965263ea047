"""Supernets split by a decision: several in one, which go on from a trained one."""

import warnings

import pytest
import torch

from search_spaces import SpaceError, integers, one_of, repeat
from search_spaces.blocks import GLU, MLP, Block, Conv3x3Stem, DepthwiseConv, SelfAttention
from search_spaces.spaces import get_space
from search_spaces.testing import SupernetConformance, randomise_supernet
from search_spaces.topologies import Network, Stage
from search_spaces.weight_sharing import Supernet, few_shot
from search_spaces.weight_sharing.splitting import SEPARATOR

INPUTS = (1, 8, 8)


def space_of(mixer, width=8, count=1, channel_mixer=None):
    block = Block(mixer, channel_mixer or MLP(one_of(1, 2)))
    return Network(Conv3x3Stem(stride=1), (Stage(width, repeat(count, block), None),)).space()


def options_of(supernet):
    return {key.partition(SEPARATOR)[0] for key in supernet.store.views}


class TestSplitByKind(SupernetConformance):
    """A choice of mixers within a block that not all networks have."""

    space = space_of(one_of(DepthwiseConv(one_of(3, 5)), SelfAttention(one_of(2, 4)), "pool"), 8, integers(1, 2))
    inputs = INPUTS

    @classmethod
    def setup_class(cls):
        cls.supernet = Supernet(cls.space, cls.inputs, 10, seed=0, split="stages.0.blocks.1.token_mixer")


class TestSplitBySize(SupernetConformance):
    space = get_space("mobile", (1, 8, 8), 1_400)
    inputs = INPUTS
    samples = 4

    @classmethod
    def setup_class(cls):
        cls.supernet = Supernet(cls.space, cls.inputs, 10, seed=0, split="stages.0.width")


def outputs(supernet, architecture, x):
    supernet.eval().activate(architecture)
    with torch.no_grad():
        return supernet(x)


@pytest.mark.parametrize("transformations", [False, True])
@pytest.mark.parametrize(
    "decision", [None, "stages.0.width", "stages.0.blocks.0.token_mixer.kernel", "stages.0.blocks.count"]
)
def test_starts_from_the_trained_weights(decision, transformations):
    space = space_of(
        one_of(DepthwiseConv(one_of(3, 5, 7)), SelfAttention(2)), one_of(8, 12), integers(1, 2), GLU(one_of(1, 2))
    )
    whole = Supernet(space, INPUTS, 4, seed=0, kernel_transformations=transformations)
    randomise_supernet(whole, 0).train()
    split = few_shot.split(whole, decision)
    assert split.training and next(split.parameters()).dtype == torch.float64
    x = torch.randn(2, *INPUTS, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for architecture in (space.sample(seed) for seed in range(24)):
            assert torch.allclose(outputs(split, architecture, x), outputs(whole, architecture, x), atol=1e-12)


def test_each_option_has_weights_of_its_own():
    path = "stages.0.blocks.0.token_mixer"
    space = space_of(one_of(DepthwiseConv(3), "pool"))
    split = Supernet(space, INPUTS, 4, seed=0, split=path)
    assert options_of(split) == {f"{path}=0".replace(".", "/"), f"{path}=1".replace(".", "/")}
    plain = [sum(p.numel() for p in Supernet(s, INPUTS, 4).parameters()) for s in (space_of("pool"), space)]
    assert sum(p.numel() for p in split.parameters()) == sum(plain)
    convolution = next(a for a in space.enumerate() if a.stages[0].blocks[0].token_mixer == DepthwiseConv(3))
    pool = next(a for a in space.enumerate() if a.stages[0].blocks[0].token_mixer != DepthwiseConv(3))
    x = torch.randn(4, *INPUTS, generator=torch.Generator().manual_seed(0))
    before = outputs(split, pool, x)
    split.train().activate(convolution)
    split(x).square().sum().backward()
    torch.optim.SGD(split.parameters(), lr=0.1).step()
    assert torch.equal(before, outputs(split, pool, x))


def test_state_dicts_of_split_supernets_load():
    path = "stages.0.width"
    first, second = (Supernet(space_of("pool", one_of(8, 12)), INPUTS, 4, seed=s, split=path) for s in (0, 1))
    x = torch.randn(2, *INPUTS, generator=torch.Generator().manual_seed(0))
    second.load_state_dict(first.state_dict())
    assert torch.equal(outputs(first, first.smallest(), x), outputs(second, first.smallest(), x))
    sizes = {
        key.partition(SEPARATOR)[0]: first.store.tensor(key).shape[0]
        for key in first.store.views
        if key.endswith(":weight") and "[batch" in key
    }
    assert sizes == {"stages/0/width=0": 8, "stages/0/width=1": 12}


def test_splits_by_the_kind_with_the_fewest_options_unless_told():
    mixer = one_of(DepthwiseConv(3), SelfAttention(2), "pool")
    assert few_shot.decision_to_split(space_of(mixer, one_of(8, 12))) == "stages.0.blocks.0.token_mixer"
    assert few_shot.decision_to_split(space_of("pool", one_of(8, 12))) == "stages.0.width"
    channels = one_of(MLP(1), GLU(1))
    assert few_shot.decision_to_split(space_of(mixer, 8, 1, channels)) == "stages.0.blocks.0.channel_mixer"


def test_refuses_what_cannot_be_split():
    space = space_of("pool", one_of(8, 12))
    with pytest.raises(SpaceError, match=r"no decision 'stages.0.widht'.*stages.0.width"):
        Supernet(space, INPUTS, 4, split="stages.0.widht")
    with pytest.raises(SpaceError, match=r"split already, by 'stages.0.width'"):
        few_shot.split(Supernet(space, INPUTS, 4, split="stages.0.width"))
    with pytest.raises(SpaceError, match="leaves nothing to decide"):
        few_shot.split(Supernet(space_of("pool", channel_mixer=MLP(1)), INPUTS, 4))
