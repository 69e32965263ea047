"""Progressive shrinking opens kernels, then depths, then widths, each taught by the largest network as it was."""

import copy
import dataclasses
from random import Random

import pytest
import torch
from torch.nn import functional

from search_spaces import SpaceError, integers, one_of, repeat
from search_spaces.blocks import MLP, Block, Conv3x3Stem, DepthwiseConv
from search_spaces.spaces import get_space
from search_spaces.topologies import Network, Stage
from search_spaces.weight_sharing import METHODS, Supernet
from search_spaces.weight_sharing.methods import Batch
from search_spaces.weight_sharing.methods.progressive_shrinking import dimension_of

INPUTS = (1, 6, 6)


KERNELS, DEPTHS, WIDTHS = one_of(3, 5, 7), integers(1, 3), one_of(4, 6, 8)


def space_of(kernel=KERNELS, count=DEPTHS, width=WIDTHS):
    block = Block(one_of(DepthwiseConv(kernel), "pool"), MLP(1))
    return Network(Conv3x3Stem(stride=1), (Stage(width, repeat(count, block), None),)).space()


def supernet_of(**settings):
    return Supernet(space_of(**settings), INPUTS, 4, seed=0)


def seen(supernet, progress, method=None, draws=60):
    """The kernels, depths and widths of the networks drawn at a point of the training, and how many a step."""
    method = method or METHODS.get("progressive-shrinking")()
    kernels, depths, widths, rng = set(), set(), set(), Random(0)
    for _ in range(draws):
        lessons = method.lessons(supernet, rng, progress)
        for lesson in lessons:
            (stage,) = lesson.architecture.stages
            kernels |= {b.token_mixer.kernel for b in stage.blocks if isinstance(b.token_mixer, DepthwiseConv)}
            depths.add(len(stage.blocks))
            widths.add(stage.width)
            assert (lesson.teacher, lesson.regularised) == (("labels", True) if progress < 0.3 else ("frozen", False))
    return kernels, depths, widths, len(lessons)


def test_sizes_open_one_after_the_other():
    supernet = supernet_of()
    unit = 0.7 / (120 + 145 + 145)
    kernel, depth, width = 0.3, 0.3 + 120 * unit, 0.3 + 265 * unit
    assert seen(supernet, 0.0) == seen(supernet, 0.299) == ({7}, {3}, {8}, 1)
    assert seen(supernet, kernel) == seen(supernet, depth - 0.001) == ({3, 5, 7}, {3}, {8}, 1)
    assert seen(supernet, depth) == ({3, 5, 7}, {2, 3}, {8}, 2)
    assert seen(supernet, depth + 26 * unit) == ({3, 5, 7}, {1, 2, 3}, {8}, 2)
    assert seen(supernet, width + 24 * unit) == ({3, 5, 7}, {1, 2, 3}, {6, 8}, 4)
    assert seen(supernet, width + 26 * unit) == seen(supernet, 1.0) == ({3, 5, 7}, {1, 2, 3}, {4, 6, 8}, 4)


def test_spaces_that_lack_a_dimension_give_its_time_to_the_others():
    fixed = supernet_of(kernel=5, count=2)
    assert seen(fixed, 0.29) == ({5}, {2}, {8}, 1)
    assert seen(fixed, 0.3) == ({5}, {2}, {6, 8}, 4)
    assert seen(fixed, 1) == ({5}, {2}, {4, 6, 8}, 4)
    kinds = Supernet(dataclasses.replace(get_space("cell201").tree, cells=1), (3, 8, 8), 10, seed=0)
    lessons = METHODS.get("progressive-shrinking")().lessons(kinds, Random(0), 0.9)
    assert [lesson.teacher for lesson in lessons] == ["labels"]


def test_kinds_are_drawn_from_the_start():
    supernet, method, rng = supernet_of(), METHODS.get("progressive-shrinking")(), Random(0)
    for progress in (0, 0.5, 1):
        drawn = [lesson for _ in range(60) for lesson in method.lessons(supernet, rng, progress)]
        mixers = [type(lesson.architecture.stages[0].blocks[0].token_mixer) for lesson in drawn]
        assert 0.3 < mixers.count(DepthwiseConv) / len(mixers) < 0.7


def test_decisions_are_told_apart_by_their_fields():
    found = {}
    for decision in get_space("hybrid").decisions:
        if decision.ordered:
            found.setdefault(dimension_of(decision), set()).add(decision.path.rpartition(".")[2])
    assert found == {"kernel": {"kernel"}, "depth": {"count"}, "width": {"width", "expansion", "heads"}}


def test_rules_hold():
    space = space_of().where(lambda network: network.stages[0].width < 8, "narrow")
    supernet = Supernet(space, INPUTS, 4, seed=0)
    method, rng = METHODS.get("progressive-shrinking")(), Random(0)
    for progress in (0, 0.4, 0.6, 1):
        assert all(lesson.architecture in space for lesson in method.lessons(supernet, rng, progress))


def test_every_network_learns():
    supernet = supernet_of(count=integers(1, 2))
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (32,), generator=generator)
    images = torch.randn(32, *INPUTS, generator=generator) + labels.view(-1, 1, 1, 1) * 0.7
    networks = [supernet.smallest(), supernet.largest(), *(supernet.space.sample(i) for i in range(4))]

    def losses():
        found = []
        with torch.no_grad():
            for architecture in networks:
                supernet.activate(architecture)
                found.append(float(functional.cross_entropy(supernet(images), labels)))
        return torch.tensor(found)

    before, rng, method, frozen = losses(), Random(0), METHODS.get("progressive-shrinking")(), None
    optimizer = torch.optim.AdamW(supernet.parameters(), lr=0.01)
    for step in range(40):
        if step / 40 >= method.frozen_from and frozen is None:
            frozen = copy.deepcopy(supernet).requires_grad_(False)
        method.step(supernet, Batch(images, labels), optimizer, rng, step / 40, clip=1.0, frozen=frozen)
    assert (losses() < 0.8 * before).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"full": 1}, "leaves no step"),
        ({"full": 0}, "leaves no step"),
        ({"full": 2}, "full is a share"),
        ({"depth_networks": 0}, "depth_networks is an integer"),
        ({"divergence": "kll"}, "did you mean 'kl'"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(SpaceError, match=message):
        METHODS.get("progressive-shrinking")(**settings)
