"""Networks to export: small, with random weights and statistics, so that their outputs depend on everything."""

import dataclasses
from typing import Any

import torch

from archfront.export import Subject
from search_spaces.building import build
from search_spaces.spaces import get_space


def randomized(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The model with weights, biases, normalizations' factors and statistics that are all drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point():
                continue
            if "running_var" in name:
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.5 + 0.5)
            elif tensor.ndim > 1:
                fan_in = tensor[0].numel()
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * (1.5 / fan_in) ** 0.5)
            else:
                offset = 1.0 if name.endswith(("weight", "gamma")) else 0.0
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.2 + offset)
    return model


def subject_of(architecture: Any, inputs: tuple[int, ...], outputs: int = 10, **about: Any) -> Subject:
    """The architecture as a subject, its weights randomized."""
    model = randomized(build(architecture, inputs, outputs, seed=0))
    return Subject(architecture, dict(model.state_dict()), inputs, outputs, **about)


def space_subject(name: str) -> Subject:
    """One small network of a ready space."""
    if name == "cell201":
        from search_spaces.spaces.cell201 import from_arch_str

        cell = from_arch_str("|nor_conv_3x3~0|+|avg_pool_3x3~0|skip_connect~1|+|nor_conv_1x1~0|none~1|skip_connect~2|")
        return subject_of(dataclasses.replace(cell, cells=1, width=4), (3, 8, 8))
    return subject_of(get_space(name, (1, 8, 8), 1000).sample(seed=3), (1, 8, 8))
