"""Early exits: who leaves where, what is computed, how exits learn, and that traces select the same."""

import copy

import pytest
import torch
from torch.nn import functional

from search_spaces import SpaceError, digest
from search_spaces.blocks import AveragePoolHead, Block
from search_spaces.building import build
from search_spaces.deployment import deployed
from search_spaces.testing import PartConformance, randomise
from search_spaces.topologies import Network, Stage
from search_spaces.topologies.wiring.early_exit import EarlyExit
from search_spaces.training_protocols import unrouted, with_auxiliary_losses
from search_spaces.weight_sharing import recalibrate
from tests.topologies.wired_networks import BLOCK, INPUTS, OUTPUTS, exiting, off, random

THRESHOLD = 1.2


class TestEarlyExit(PartConformance):
    cases = [(EarlyExit((AveragePoolHead(None),), 1.5, 0.3), (8, 5, 7)), (exiting(), (3, 8, 8))]

    def reference(self, part, site, module, x):
        return one_by_one(module, x)[0]


X = random(64, *INPUTS, seed=1) * torch.linspace(0.1, 4, 64, dtype=torch.float64)[:, None, None, None] + 2 * random(
    64, 3, 1, 1, seed=2
)


@pytest.fixture(scope="module")
def model():
    """Weights with which about half of the examples that come to an exit leave there."""
    network = randomise(build(exiting(THRESHOLD), INPUTS, OUTPUTS, seed=0).double(), 3).eval()
    with torch.no_grad():
        x = network.stem(X)
        for place, stage in enumerate(list(network.stages)[:2]):
            x = stage(x)
            network.exits[str(place)][-1].bias.zero_()
            weight = network.exits[str(place)][-1].weight
            low, high, start = 0.0, 1000.0, weight.clone()
            for _ in range(60):
                weight.copy_(start * (low + high) / 2)
                entropies = torch.distributions.Categorical(logits=network.exits[str(place)](x)).entropy()
                low, high = ((low + high) / 2, high) if entropies.median() > THRESHOLD else (low, (low + high) / 2)
            x = x[entropies > THRESHOLD]
    return network


def one_by_one(model, x):
    """Each example alone through the stages, and where it left."""
    outputs, left = [], []
    for example in x.split(1):
        y = model.stem(example)
        for place, stage in enumerate(model.stages):
            y = stage(y)
            head = model.exits[str(place)] if place < len(model.exits) else model.head
            logits = head(y)
            p = functional.softmax(logits, 1)
            if float(-(p * p.log()).sum()) < model.threshold:
                break
        outputs.append(logits)
        left.append(place)
    return torch.cat(outputs), left


def test_each_example_leaves_where_it_is_sure(model):
    with torch.no_grad():
        expected, left = one_by_one(model, X)
        assert min(left.count(place) for place in range(3)) >= 3, left
        assert off(expected, model(X)) < 1e-10
        with unrouted(model):
            assert off(expected, model(X)) < 1e-10
        assert off(expected, deployed(model)(X)) < 1e-10
    assert model.routed, "it is routed again afterwards"


def test_only_the_rest_of_the_batch_goes_on(model):
    seen = {}

    def note(place):
        return lambda _, inputs: seen.update({place: len(inputs[0])})

    hooks = [stage.register_forward_pre_hook(note(place)) for place, stage in enumerate(model.stages)]
    with torch.no_grad():
        model(X)
        routed = dict(seen)
        seen.clear()
        with unrouted(model):
            model(X)
    for hook in hooks:
        hook.remove()
    _, left = one_by_one(model, X)
    assert routed == {0: 64, 1: 64 - left.count(0), 2: left.count(2)}
    assert seen == {0: 64, 1: 64, 2: 64}


def test_where_all_leave_nothing_goes_on():
    model = build(exiting(100.0), INPUTS, OUTPUTS, seed=0).eval()
    model.stages[1].register_forward_pre_hook(lambda *_: pytest.fail("no example is left"))
    with torch.no_grad():
        assert model(torch.zeros(3, *INPUTS)).shape == (3, OUTPUTS)


def test_traces_compute_all_and_select_the_same(model):
    with torch.no_grad():
        expected = model(X)
        exported = torch.export.export(model, (X[:4],), dynamic_shapes=({0: torch.export.Dim("n", min=1, max=999)},))
        assert off(expected, exported.module()(X)) < 1e-10
        traced = torch.jit.trace(model, X[:4], check_trace=False)
        assert off(expected, traced(X)) < 1e-10


def test_training_minimises_the_exits_losses_too():
    """The gradients are those of the loss written out, and the trunk's have the exits' share."""
    model = build(exiting(weight=0.3), INPUTS, OUTPUTS, seed=0).double()
    alone = copy.deepcopy(model)
    x, labels = X[:8], torch.arange(8) % OUTPUTS

    def criterion(outputs):
        return functional.cross_entropy(outputs, labels)

    with_auxiliary_losses(criterion(model(x)), model, criterion).backward()
    y = alone.stem(x)
    loss, maps = 0.0, []
    for stage in alone.stages:
        y = stage(y)
        maps.append(y)
    loss = criterion(alone.head(y)) + 0.3 * sum(criterion(alone.exits[str(place)](maps[place])) for place in (0, 1))
    loss.backward()
    for (name, got), expected in zip(model.named_parameters(), alone.parameters(), strict=True):
        assert torch.allclose(got.grad, expected.grad, atol=1e-12), name
    assert all(p.grad.abs().sum() > 0 for p in model.exits.parameters())
    assert model.auxiliary_loss(criterion) == 0, "a step's outputs count once"


def test_a_network_can_be_copied_after_a_step():
    model = build(exiting(), INPUTS, OUTPUTS, seed=0)
    model(torch.randn(2, *INPUTS))
    assert copy.deepcopy(model)._kept == [] != model._kept


def test_statistics_are_of_all_examples():
    model = build(exiting(100.0), INPUTS, OUTPUTS, seed=0)
    recalibrate(model, [X[:8].float()])
    means = [m.running_mean for m in model.stages[2].modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert means and all(mean.abs().sum() > 0 for mean in means)


def test_names_of_the_trunks_weights_are_those_without_exits():
    exits = set(build(exiting(), INPUTS, OUTPUTS).state_dict())
    plain = set(build(Network("conv3x3", exiting().stages), INPUTS, OUTPUTS).state_dict())
    assert plain < exits and all(name.startswith("exits.") for name in exits - plain)


def test_one_network_has_one_digest():
    stages = (Stage(8, (BLOCK,)), Stage(8, (Block("pool"),), "pool"))
    plain = Network("conv3x3", stages)
    none = Network("conv3x3", stages, wiring=EarlyExit((None, "average_pool")))
    assert digest(none) == digest(plain)
    assert build(none, INPUTS, 5).state_dict().keys() == build(plain, INPUTS, 5).state_dict().keys()
    longer = [
        Network("conv3x3", stages, wiring=EarlyExit(("average_pool", *rest)))
        for rest in ((), (None,), ("average_pool",))
    ]
    assert len(set(map(digest, longer))) == 1 and digest(longer[0]) != digest(plain)


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda: EarlyExit(threshold=-1), "early_exit.threshold"),
        (lambda: EarlyExit(weight=-1), "early_exit.weight"),
        (lambda: EarlyExit(AveragePoolHead()), "early_exit.exits"),
        (lambda: Stage(8, (BLOCK,), wiring=EarlyExit()), "stage.wiring"),
    ],
)
def test_wrong_settings_are_refused(make, path):
    with pytest.raises(SpaceError) as caught:
        make()
    assert str(caught.value).startswith(f"{path}: ")
