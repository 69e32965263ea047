"""The space of the classic families holds the ready networks, and works from its root on."""

from random import Random
from typing import Any

import pytest

from search_spaces.building import build
from search_spaces.errors import SpaceError
from search_spaces.networks.convnext import convnext
from search_spaces.networks.ghostnet import ghostnet
from search_spaces.networks.lcnet import lcnet
from search_spaces.networks.mobilenet import efficientnet_lite, mobilenetv3_large, mobilenetv3_small
from search_spaces.networks.repvgg import repvgg
from search_spaces.networks.resnet import resnet
from search_spaces.networks.staging import halvings
from search_spaces.networks.vit import vit
from search_spaces.portfolio import CANDIDATES, portfolio
from search_spaces.space import Space
from search_spaces.spaces import get_space
from search_spaces.testing import SpaceConformance

SIDES = (8, 28, 32, 64, 128, 224)


def space_for(side: int) -> Space:
    space = get_space("families", (3, side, side), 5_000)
    assert isinstance(space, Space)
    return space


class TestFamilies(SpaceConformance):
    space = get_space("families", (3, 32, 32), 5_000)
    inputs = (3, 32, 32)
    samples = 100
    builds = 4


def ready(inputs: tuple[int, ...]) -> list[Any]:
    """Each family's networks at several widths."""
    found = [family(inputs, width) for family in (lcnet, mobilenetv3_small, ghostnet) for width in (0.35, 0.5, 1.0)]
    found += [mobilenetv3_large(inputs, width) for width in (0.75, 1.0)]
    found += [efficientnet_lite(inputs, width) for width in (0.5, 1.0)]
    found += [resnet(inputs), resnet(inputs, (24, 48, 96), (1, 2, 3)), resnet(inputs, shortcut="pool")]
    found += [resnet(inputs, (128, 256, 512, 1024), (1, 2, 2, 1), "bottleneck")]
    found += [repvgg(inputs, (16, 32, 64), (1, 2, 1)), repvgg(inputs, (48, 96, 192, 1280), (2, 4, 4, 1))]
    found += [convnext(inputs, (40, 80, 160, 320), (2, 2, 6, 2)), convnext(inputs, (16, 32, 64), (1, 2, 1))]
    return [*found, vit(inputs), vit(inputs, 96, 6, 3)]


@pytest.mark.parametrize("side", [32, 64, 128])
def test_it_holds_the_ready_networks(side):
    space = space_for(side)
    for network in ready((3, side, side)):
        genes = space.genes(network)
        assert space.digest(space.architecture(genes)) == space.digest(network)


@pytest.mark.parametrize("side", SIDES)
def test_it_holds_the_portfolio_and_all_of_it_builds(side):
    """In the order of the figures, each network once; as the canonical form, which a study stores."""
    import torch

    space, found = space_for(side), portfolio((3, side, side), 5_000)
    assert len({space.digest(network) for _, network in found}) == len(found) >= 16
    assert {name for name, _ in found} <= CANDIDATES.keys()
    for _, network in found:
        assert network in space
        with torch.device("meta"):
            build(network, (3, side, side), 10)


def test_families_are_mostly_kept_and_sometimes_left():
    space, rng = space_for(32), Random(0)
    network = space.sample(rng)
    genes, left = space.genes(network), 0
    for _ in range(300):
        network = space.mutate(network, rng)
        left += space.genes(network)[0] != genes[0]
        genes = space.genes(network)
    assert 0 < left < 60


def test_children_of_two_families_are_of_one_of_them():
    space, rng = space_for(32), Random(0)
    inputs = (3, 32, 32)
    mother, father = resnet(inputs, (16, 32, 64), (1, 1, 1)), lcnet(inputs, 0.5)
    children = [space.crossover(mother, father, rng) for _ in range(20)]
    firsts = {space.genes(child)[0] for child in children}
    assert firsts == {space.genes(mother)[0], space.genes(father)[0]}


@pytest.mark.parametrize(("side", "count"), [(8, 1), (16, 2), (28, 3), (32, 3), (48, 3), (64, 4), (128, 5), (512, 5)])
def test_small_pictures_are_halved_less_often(side, count):
    assert halvings((3, side, side)) == count


def test_what_is_no_picture_is_refused():
    with pytest.raises(SpaceError, match="8x8 pixels or more"):
        get_space("families", (3, 7, 32), 100)
    with pytest.raises(SpaceError, match="channels, height, width"):
        resnet((12,))
