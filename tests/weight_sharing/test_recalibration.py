"""Batch normalization statistics: exact, restored, and independent of what was evaluated before."""

import pytest
import torch
from torch import nn

from search_spaces import SpaceError
from search_spaces.building import build
from search_spaces.spaces import get_space
from search_spaces.weight_sharing import Supernet, recalibrate

INPUTS = (1, 8, 8)


def stream(batches=6, size=16):
    """Batches of different sizes whose means differ, as those of sorted data do."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size + 3 * i, *INPUTS, generator=generator) * (1 + 0.3 * i) + i for i in range(batches)]


def test_statistics_are_those_of_the_whole_stream():
    network = nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.Dropout(0.9), nn.Conv2d(6, 4, 3)).train()
    batches = stream()
    recalibrate(network, [(batch, None) for batch in batches])
    with torch.no_grad():
        values = network[0](torch.cat(batches)).double().transpose(0, 1).flatten(1)
        each = [network[0](batch).double().transpose(0, 1).flatten(1) for batch in batches]
    assert torch.allclose(network[1].running_mean.double(), values.mean(1), rtol=1e-6)
    assert torch.allclose(network[1].running_var.double(), values.var(1), rtol=1e-6)
    shortcut = torch.stack([batch.var(1) for batch in each]).mean(0)
    assert (values.var(1) / shortcut - 1).abs().min() > 0.1, "the mean of the batches' variances would do"
    assert all(module.training for module in network.modules()) and network[1].momentum == 0.1


def test_large_means_lose_no_precision():
    network = nn.Sequential(nn.BatchNorm2d(1)).double()
    batches = [torch.randn(8, *INPUTS, dtype=torch.float64) + 1e6 for _ in range(4)]
    recalibrate(network, batches)
    assert torch.allclose(network[0].running_var, torch.cat(batches).var().reshape(1), rtol=1e-9)


def test_the_order_of_evaluation_changes_nothing():
    space = get_space("mobile", INPUTS, 1_400)
    supernet = Supernet(space, INPUTS, 10, seed=0)
    supernet.train()
    x, batches = stream()[2], stream()
    architectures = [space.sample(i) for i in range(8)]
    for architecture in architectures:  # Mixed statistics, as training leaves them.
        supernet.activate(architecture)
        supernet(x)
    before = {name: buffer.clone() for name, buffer in supernet.named_buffers()}

    def evaluated(order):
        found = {}
        for i in order:
            supernet.eval().activate(architectures[i])
            with recalibrate(supernet, batches), torch.no_grad():
                found[i] = supernet(x)
        return found

    first, second = evaluated(range(8)), evaluated([5, 5, 2, 7, 0, 1, 6, 4, 3])
    assert all(torch.equal(first[i], second[i]) for i in range(8))
    assert all(torch.equal(before[name], buffer) for name, buffer in supernet.named_buffers())
    assert any(not torch.equal(first[i], _plain(supernet, architectures[i], x)) for i in range(8))


def _plain(supernet, architecture, x):
    supernet.eval().activate(architecture)
    with torch.no_grad():
        return supernet(x)


def test_a_supernets_network_is_recalibrated_as_the_extracted_one():
    space = get_space("mobile", INPUTS, 1_400)
    supernet = Supernet(space, INPUTS, 10, seed=0).double()
    architecture, batches = space.sample(3), [batch.double() for batch in stream()]
    alone = supernet.extract(architecture)
    recalibrate(alone, batches)
    supernet.eval().activate(architecture)
    with recalibrate(supernet, batches), torch.no_grad():
        again = supernet.extract(architecture)
        assert torch.allclose(alone.eval()(batches[1]), supernet(batches[1]), rtol=1e-12)
    for (name, left), (_, right) in zip(alone.named_buffers(), again.named_buffers(), strict=True):
        assert torch.equal(left, right) or name.endswith("num_batches_tracked")


def test_an_empty_stream_is_refused_and_failures_restore():
    network = build(get_space("mobile", INPUTS, 1_400).sample(0), INPUTS, 10, seed=0)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    with pytest.raises(SpaceError, match="needs one batch or more"):
        recalibrate(network, [])
    with pytest.raises(RuntimeError):
        recalibrate(network, [stream()[0], torch.zeros(4, 3, 8, 8)])
    assert all(torch.equal(before[name], buffer) for name, buffer in network.named_buffers())
    assert all(module.training for module in network.modules())
