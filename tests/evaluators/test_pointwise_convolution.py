"""Strided 1x1 convolutions: what torch computes by them, and that training by them ends no process."""

import copy
import subprocess
import sys

import torch
from torch import nn

from evaluators.pointwise_convolution import sound_gradients

CRASHES = """
import torch
from torch import nn
from evaluators.pointwise_convolution import sound_gradients
torch.set_num_threads(1)
network = nn.Sequential(nn.Conv2d(3, 16, 1, 2, bias=False)).to(memory_format=torch.channels_last)
pictures = torch.randn(64, 3, 64, 64).to(memory_format=torch.channels_last)
with sound_gradients(network):
    network(pictures).square().mean().backward()
network[0].weight.grad.isfinite().all().item() or exit(3)
"""


def test_outputs_and_gradients_are_torchs_own() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(4, 6, 1, (2, 3), groups=2), nn.Conv2d(6, 8, 3, 2, 1), nn.Conv2d(8, 2, 1))
    network = network.double()
    other = copy.deepcopy(network)
    x = torch.randn(3, 4, 13, 16, dtype=torch.float64, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    expected = network(x)
    expected.square().sum().backward()
    with sound_gradients(other):
        found = other(y)
        found.square().sum().backward()
    assert torch.allclose(found, expected, atol=1e-12) and torch.allclose(x.grad, y.grad, atol=1e-10)
    for one, two in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.allclose(one.grad, two.grad, atol=1e-10)


def test_only_strided_pointwise_ones_are_changed_and_all_are_afterwards_as_before() -> None:
    network = nn.Sequential(nn.Conv2d(2, 2, 1, 2), nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 3, 2), nn.Conv2d(2, 2, 1, 2, 1))
    with sound_gradients(network):
        assert ["_conv_forward" in vars(module) for module in network] == [True, False, False, False]
    assert not any("_conv_forward" in vars(module) for module in network)


def test_where_the_library_ends_the_process_the_training_goes_on() -> None:
    done = subprocess.run([sys.executable, "-c", CRASHES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
