"""Supernets of the ready spaces, of parts without a rule, and what sharing means."""

import copy
import dataclasses
import time
import warnings

import pytest
import torch
from torch import nn

from search_spaces import FAMILIES, SpaceError, integers, one_of, part, repeat
from search_spaces.blocks import GLU, MLP, Block, Conv3x3Stem, DepthwiseConv, SelfAttention, WindowAttention
from search_spaces.building import build
from search_spaces.parts import Part
from search_spaces.space import Space
from search_spaces.spaces import get_space
from search_spaces.table import TableSpace
from search_spaces.testing import PartConformance, SupernetConformance, assert_extracted_equal, randomise_supernet
from search_spaces.topologies import Network, Stage
from search_spaces.weight_sharing import Supernet
from search_spaces.weight_sharing.sampling import covering, fair
from search_spaces.weight_sharing.sharing import weights_of


class TestTinyHybrid(SupernetConformance):
    space = get_space("hybrid", (1, 8, 8), 1_400)
    inputs = (1, 8, 8)


class TestTinyMobile(SupernetConformance):
    space = get_space("mobile", (1, 8, 8), 1_400)
    inputs = (1, 8, 8)


class TestTied(SupernetConformance):
    space = get_space("tied", (1, 8, 8), 1_400)
    inputs = (1, 8, 8)
    samples = 6


class TestWired(SupernetConformance):
    space = get_space("wired", (1, 8, 8), 1_400)
    inputs = (1, 8, 8)


class TestCell201(SupernetConformance):
    space = Space(dataclasses.replace(get_space("cell201").tree, cells=1, width=8), "cell201")
    inputs = (3, 8, 8)


class TestBanned(SupernetConformance):
    """A space with a rule, which the largest network breaks."""

    space = get_space("mobile", (1, 8, 8), 1_400).where(lambda network: len(network.stages[0].blocks) == 1, "one block")
    inputs = (1, 8, 8)
    samples = 4


@pytest.mark.slow
class TestTinyHybridThoroughly(TestTinyHybrid):
    samples = 100


@pytest.mark.slow
class TestSmallHybridThoroughly(SupernetConformance):
    space = get_space("hybrid", (3, 32, 32), 60_000)
    inputs = (3, 32, 32)
    samples = 100


@pytest.mark.slow
class TestMobileThoroughly(SupernetConformance):
    space = get_space("mobile", (3, 32, 32), 60_000)
    inputs = (3, 32, 32)
    samples = 100


@pytest.mark.slow
class TestCell201Thoroughly(SupernetConformance):
    space = get_space("cell201")
    inputs = (3, 16, 16)
    samples = 100


WIDTHS = one_of(8, 16)


def network(block, width=WIDTHS, count=1):
    """Networks of one stage, on small images."""
    return Network(Conv3x3Stem(stride=1), (Stage(width, repeat(count, block), None),))


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_sizes_share_and_kinds_branch():
    sizes = network(
        Block(DepthwiseConv(one_of(3, 5, 7)), MLP(expansion=one_of(1, 2, 4))), one_of(8, 12, 16), integers(1, 3)
    )
    supernet = Supernet(sizes, (1, 8, 8), 10, seed=0)
    assert parameters(supernet) == parameters(build(supernet.largest(), (1, 8, 8), 10))
    mixed = network(Block(one_of(DepthwiseConv(3), "pool", SelfAttention(2)), one_of(MLP(2), GLU(2))), 16)
    whole = [parameters(build(a, (1, 8, 8), 10)) for a in mixed.space().enumerate()]
    assert max(whole) < parameters(Supernet(mixed, (1, 8, 8), 10, seed=0)) < sum(whole) / 2
    space = get_space("mobile", (1, 8, 8), 1_400)
    supernet = Supernet(space, (1, 8, 8), 10, seed=0)
    most = max(parameters(build(a, (1, 8, 8), 10)) for a in (supernet.largest(i) for i in range(20)))
    assert most <= parameters(supernet) <= 1.05 * most


def test_slices_have_the_same_meaning():
    """Queries, keys and values, values and gates are sliced alone; kernels share their centres."""
    space = network(
        Block(one_of(SelfAttention(one_of(2, 4)), DepthwiseConv(one_of(3, 7))), one_of(GLU(one_of(1, 2)), MLP(2)))
    )
    supernet = Supernet(space, (1, 8, 8), 10, seed=0)
    whole = {key: value.detach() for key, value in supernet.store.named_parameters()}

    def small(mixer):
        supernet.activate(network(Block(mixer, GLU(1)), 8).sample())
        return supernet.slices(whole)

    def find(text):
        return next(value for key, value in whole.items() if text in key)

    slices = small(SelfAttention(2))
    qkv = find("qkv/weight")
    expected = torch.cat([qkv[start : start + 8, :8] for start in (0, 16, 32)])
    assert torch.equal(slices["stages.0.blocks.0.0.branch.1.attention.qkv.weight"], expected)
    gate = find("[glu]:fc1/weight")
    assert torch.equal(slices["stages.0.blocks.0.1.branch.1.fc1.weight"], torch.cat([gate[:8, :8], gate[32:40, :8]]))
    slices = small(DepthwiseConv(3))
    kernel = find("[depthwise_conv]:weight")
    assert torch.equal(slices["stages.0.blocks.0.0.branch.1.weight"], kernel[:8, :, 2:5, 2:5])


def test_every_registered_part_shares_or_branches():
    """All parts that ship have a rule, but for networks that aren't ours; whether it works the parts' suite tells."""
    without = [
        f"{family}/{entry.name}"
        for family in FAMILIES
        for entry in FAMILIES[family]
        if entry.value.__module__.startswith("search_spaces.") and not entry.value.sliced
    ]
    assert without == ["network/timm"]


def test_a_part_without_a_rule_is_a_branch():
    @part("token_mixer", "low_rank_for_supernets", source="A test")
    class LowRank(Part):
        """Two 1x1 layers through `rank` channels."""

        rank: int = 2

        def build(self, site):
            return nn.Sequential(nn.Conv2d(site.channels, self.rank, 1), nn.Conv2d(self.rank, site.channels, 1))

    try:
        supernet = Supernet(network(Block(LowRank(one_of(2, 3)), None)), (1, 4, 4), 3, seed=0)
        keys = [key for key, _ in supernet.store.named_parameters() if "low_rank" in key and key.endswith("0/weight")]
        assert len(keys) == 4  # 2 ranks at each of 2 widths
        randomise_supernet(supernet, 0)
        for architecture in supernet.space.enumerate():
            assert_extracted_equal(supernet, architecture)
        # The conformance suite takes it for what it is.
        assert weights_of(LowRank) == "branched"
        PartConformance().test_works_in_a_supernet((LowRank(3), (8, 4, 4)))
    finally:
        FAMILIES["token_mixer"]._entries.pop("low_rank_for_supernets")


def test_covering_shows_all_that_samples_need():
    for space in (get_space("hybrid", (1, 8, 8), 1_400), get_space("mobile", (3, 32, 32), 60_000)):
        shown = list(covering(space))
        assert len(shown) < 100 and all(architecture in space for architecture in shown)
    supernet = Supernet(get_space("hybrid", (1, 8, 8), 1_400), (1, 8, 8), 10, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(40):
            supernet.activate(supernet.space.sample(seed))


def test_grows_where_covering_missed_something():
    supernet = Supernet(network(Block("pool", None)), (1, 4, 4), 3, seed=0)
    key, small = next((k, p) for k, p in supernet.store.named_parameters() if k.endswith("weight") and p.dim() == 4)
    before = small.detach()[:8].clone()
    supernet.store._parameters[key] = nn.Parameter(before.clone())
    supernet._forget()
    with pytest.warns(UserWarning, match="grew by 1 tensor"):
        supernet.activate(supernet.largest())
    grown = supernet.store.tensor(key)
    assert grown.shape[0] == 16 and torch.equal(grown[:8], before)


def test_training_one_network_trains_what_others_share():
    supernet = Supernet(network(Block(DepthwiseConv(one_of(3, 5)), GLU(one_of(1, 2)))), (1, 6, 6), 4, seed=0)
    small, large = supernet.smallest(), supernet.largest()
    x = torch.randn(8, 1, 6, 6, generator=torch.Generator().manual_seed(0))

    def outputs(architecture):
        supernet.eval().activate(architecture)
        with torch.no_grad():
            return supernet(x)

    before = outputs(large)
    assert torch.equal(outputs(small), outputs(small))
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.1)
    supernet.train().activate(small)
    supernet(x).square().sum().backward()
    optimizer.step()
    assert not torch.equal(before, outputs(large))
    assert torch.equal(outputs(small), supernet.extract(small).eval()(x).detach())
    supernet.activate(small)
    with torch.no_grad():
        current = supernet.slices(dict(supernet.store.named_parameters()))
        assert all(torch.equal(current[name], p) for name, p in supernet.network.named_parameters())


def test_weights_survive_checkpoints_and_moves():
    tree = network(Block(WindowAttention(one_of(2, 4), window=4), GLU(one_of(1, 2))))
    first, second = (Supernet(tree, (1, 8, 8), 4, seed=seed).eval() for seed in (0, 1))
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    small = first.smallest()
    with torch.no_grad():
        first.activate(small)
        second.activate(small)
        expected = first(x)
        assert not torch.equal(expected, second(x))
        second.load_state_dict(first.state_dict())
        assert torch.equal(expected, second(x))
        copied = copy.deepcopy(second)
        for parameter in copied.parameters():  # Other memory, as vector_to_parameters gives.
            parameter.data = parameter.data.clone()
            parameter.data.mul_(2)
        assert not torch.equal(expected, copied(x))
        for parameter in copied.parameters():
            parameter.data = parameter.data / 2
        assert torch.allclose(expected.double(), second.double()(x.double()), atol=1e-5)
        assert torch.equal(expected, copied(x))


def test_gradients_come_through_views_that_are_kept():
    """Pass after pass, after steps of the optimizer, evaluations between, and as weights are frozen and thawed."""
    supernet = Supernet(network(Block(SelfAttention(one_of(2, 4)), GLU(one_of(1, 2)))), (1, 6, 6), 4, seed=0).double()
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.01, momentum=0.9)
    generator = torch.Generator().manual_seed(0)
    for step in range(3):
        for architecture in (supernet.smallest(), supernet.largest(), supernet.smallest()):
            x = torch.randn(2, 1, 6, 6, generator=generator, dtype=torch.float64)
            supernet.activate(architecture)
            with torch.inference_mode():
                supernet.eval()(x)
            supernet.train().zero_grad(set_to_none=True)
            for _ in range(2):
                supernet(x).square().sum().backward()
            extracted = supernet.extract(architecture)
            (2 * extracted(x).square().sum()).backward()
            found = supernet.slices({k: p.grad for k, p in supernet.store.named_parameters() if p.grad is not None})
            for name, parameter in extracted.named_parameters():
                assert torch.allclose(found[name], parameter.grad, rtol=1e-9, atol=1e-10), (step, name)
            optimizer.step()
    frozen = next(iter(supernet.store.parameters())).requires_grad_(False)
    supernet.zero_grad(set_to_none=True)
    supernet(x).sum().backward()
    assert frozen.grad is None
    frozen.requires_grad_(True)
    supernet(x).sum().backward()
    assert frozen.grad is not None


def test_equal_seeds_give_equal_weights_and_leave_the_generator_alone():
    space = network(Block(one_of(DepthwiseConv(one_of(3, 5)), WindowAttention(2)), GLU(one_of(1, 2))))
    state = torch.get_rng_state()
    first, second, third = (Supernet(space, (1, 8, 8), 10, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(state, torch.get_rng_state())
    pairs = list(zip(first.parameters(), second.parameters(), third.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs) and not all(torch.equal(a, c) for a, _, c in pairs)


def test_fair_samples_take_every_option_once():
    from random import Random

    drawn = fair(get_space("cell201"), Random(0))
    assert len(drawn) == 5
    for edge in range(6):
        assert len({architecture.operations[edge].name for architecture in drawn}) == 5


def test_only_spaces_of_networks_have_supernets():
    with pytest.raises(SpaceError, match="isn't a tree of parts"):
        Supernet(TableSpace("rows", ("a",), [("x",), ("y",)]), (1, 8, 8), 10)
    with pytest.raises(SpaceError, match="only a network can be built"):
        Supernet(Block(DepthwiseConv(one_of(3, 5))), (1, 8, 8), 10)
    supernet = Supernet(network(Block(DepthwiseConv(one_of(3, 5)), None)), (1, 8, 8), 10)
    with pytest.raises(SpaceError, match="isn't in the space"):
        supernet.activate(network(Block(DepthwiseConv(9), None), 8).sample())


@pytest.mark.slow
def test_switching_costs_little():
    """Activating a known network and running it, against the stand-alone network: the least CPU time of each."""
    space = get_space("hybrid", (3, 32, 32), 8_000)
    supernet = Supernet(space, (3, 32, 32), 10, seed=0).eval()
    architectures = [space.sample(i) for i in range(4)]
    alone = [supernet.extract(architecture).eval() for architecture in architectures]
    x = torch.randn(64, 3, 32, 32)
    alone_s, switched_s = [], []
    with torch.no_grad():
        for architecture, model in zip(architectures, alone, strict=True):
            times = []
            for _ in range(30):
                started = time.thread_time()
                model(x)
                middle = time.thread_time()
                supernet.activate(architecture)
                supernet(x)
                times.append((middle - started, time.thread_time() - middle))
            alone_s.append(min(first for first, _ in times))
            switched_s.append(min(second for _, second in times))
    assert sum(switched_s) <= 1.05 * sum(alone_s), (alone_s, switched_s)
