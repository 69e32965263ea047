"""Training steps: they learn, and leave alone what they don't train."""

from random import Random

import pytest
import torch
from torch.nn import functional

from search_spaces import one_of
from search_spaces.blocks import MLP, Block, Conv3x3Stem, DepthwiseConv
from search_spaces.topologies import Network, Stage
from search_spaces.weight_sharing import STEPS, Supernet

INPUTS = (1, 6, 6)


def toy():
    """A space of 24 networks, and images whose class is where they are bright."""
    mixer = one_of(DepthwiseConv(one_of(3, 5)), "pool")
    block = Block(mixer, MLP(one_of(1, 2)), norm=one_of("batch", "layer"))
    supernet = Supernet(Network(Conv3x3Stem(stride=1), (Stage(one_of(8, 16), (block,), None),)), INPUTS, 4, seed=0)
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (64,), generator=generator)
    images = torch.randn(64, *INPUTS, generator=generator)
    images += labels.view(-1, 1, 1, 1) * 0.7
    return supernet, images, labels


@pytest.mark.parametrize("name", ["sandwich", "single_path", "fair"])
def test_every_network_learns(name):
    supernet, images, labels = toy()
    optimizer = torch.optim.AdamW(supernet.parameters(), lr=0.01)
    networks = [supernet.smallest(), supernet.largest(), *(supernet.space.sample(i) for i in range(4))]

    def losses():
        found = []
        with torch.no_grad():
            for architecture in networks:
                supernet.activate(architecture)
                found.append(float(functional.cross_entropy(supernet(images), labels)))
        return torch.tensor(found)

    before, rng = losses(), Random(0)
    for _ in range(40):
        trained = STEPS.get(name)(supernet, images, labels, optimizer, rng, clip=1.0)
    assert len(trained) == {"sandwich": 4, "single_path": 1, "fair": 2}[name]
    assert (losses() < 0.7 * before).all()


def test_equal_seeds_train_alike():
    found = []
    for _ in range(2):
        supernet, images, labels = toy()
        optimizer, rng = torch.optim.SGD(supernet.parameters(), lr=0.1), Random(5)
        found.append([STEPS.get("sandwich")(supernet, images, labels, optimizer, rng) for _ in range(3)])
    assert found[0] == found[1]


def test_weights_without_a_gradient_stay():
    """Momentum of paths that weren't drawn must not move them."""
    supernet, images, labels = toy()
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.1, momentum=0.9)
    rng = Random(1)
    for _ in range(5):
        STEPS.get("single_path")(supernet, images, labels, optimizer, rng)
    before = {name: p.detach().clone() for name, p in supernet.named_parameters()}
    STEPS.get("single_path")(supernet, images, labels, optimizer, rng)
    still = [name for name, p in supernet.named_parameters() if p.grad is None]
    assert still and all(torch.equal(before[name], supernet.get_parameter(name)) for name in still)


def test_every_step_names_its_source():
    assert {"sandwich", "single_path", "fair"} <= set(STEPS.names())
    assert all(entry.source and entry.about for entry in STEPS)
