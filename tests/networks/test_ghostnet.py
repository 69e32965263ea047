"""GhostNets are timm's, with the halves of ghost modules in turn instead of one behind the other."""

import re

import timm
import torch

from search_spaces.networks.ghostnet import ghostnet
from tests.networks.parity import INPUTS, assert_equal

ROWS = re.compile(r"stem|strided|shortcut|attention.fc2")
"""Tensors whose first dimension is of channels that are in turn."""
COLUMNS = re.compile(r"primary.0.weight|shortcut.pointwise.0.weight|attention.fc1.weight|head.0.0.weight")
"""Tensors whose second one is."""


def in_turn(tensor: torch.Tensor, dim: int) -> torch.Tensor:
    """The first half of the channels at even places, the other one at odd places."""
    first, second = tensor.split([(tensor.shape[dim] + 1) // 2, tensor.shape[dim] // 2], dim)
    return torch.stack([first, second], dim + 1).flatten(dim, dim + 1)


def rule(name: str, tensor: torch.Tensor) -> torch.Tensor:
    tensor = in_turn(tensor, 0) if ROWS.search(name) else tensor
    return in_turn(tensor, 1) if COLUMNS.search(name) else tensor


def test_they_are_timms():
    assert_equal(timm.create_model("ghostnet_050", num_classes=10), ghostnet(INPUTS, 0.5), rule=rule)
