"""The deployed form of a network: what is timed and exported. Its outputs are those of the network in eval mode."""

import copy
from collections.abc import Iterator
from typing import Any

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)
import torch
from timm.layers import BatchNormAct2d, DropBlock2d, DropPath, Mlp, PatchDropout
from timm.layers.mlp import GluMlp
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

DROPPED: tuple[type, ...] = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    DropPath,
    DropBlock2d,
    PatchDropout,
)
"""Modules that act in training only."""


def deployed(model: nn.Module) -> nn.Module:
    """An eval-mode copy of `model` that computes the same with less; `model` itself is left as it was.

    Modules with a method `reparameterize()` (timm's protocol: merge in place what training kept apart) are merged;
    dropout and stochastic depth are removed; batch normalization is folded into the convolution right before it, or
    into a 1x1 convolution right after it, wherever the two are neighbours in an `nn.Sequential`, nested ones
    included. No parameter of the copy requires a gradient.
    """
    network = copy.deepcopy(model).eval().requires_grad_(False)
    tied = _tied(network)
    for module in list(network.modules()):
        merge = getattr(module, "reparameterize", None)
        if callable(merge):
            merge()
    for parent, name, child in list(_children(network)):
        if isinstance(child, DROPPED):
            setattr(parent, name, nn.Identity())
    for module in list(network.modules()):
        if _is_sequence(module):
            _fold(module, tied)
    return network.eval().requires_grad_(False)


def _children(network: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    for parent in network.modules():
        for name, child in parent.named_children():
            yield parent, name, child


def _tied(network: nn.Module) -> set[nn.Module]:
    """The modules that stand in several places: what surrounds one of these mustn't be folded into it."""
    found: dict[nn.Module, int] = {}
    for parent in network.modules():
        for child in parent._modules.values():
            if child is not None:
                found[child] = found.get(child, 0) + 1
    return {module for module, places in found.items() if places > 1}


Place = tuple[Any, str]
"""A module's parent and its name there."""


def _fold(sequence: nn.Module, tied: set[nn.Module]) -> None:
    """Fold the batch normalizations of a sequence into their neighbours, and put what remains in their places."""
    flow = [place for place in _flow(sequence, tied) if not isinstance(_module(place), nn.Identity)]
    while len(flow) > 1:
        first, second = flow[0], flow[1]
        left, right = _module(first), _module(second)
        if tied & {left, right}:
            del flow[0]
            continue
        if isinstance(left, nn.Conv2d) and _is_norm(right) and right.num_features == left.out_channels:
            setattr(*first, fuse_conv_bn_eval(left, right))
            setattr(*second, _activation(right))
            del flow[1]
            continue
        if _is_norm(left) and type(left) is nn.BatchNorm2d and _is_pointwise(right):
            setattr(*second, _fuse_norm_conv(left, right))
            setattr(*first, nn.Identity())
        del flow[0]


def _flow(module: nn.Module, tied: set[nn.Module]) -> Iterator[Place]:
    """The places of the modules that a sequence runs one after another.

    Of timm's MLPs the layers are known, too; what other modules do inside is not. Tied modules are taken whole.
    """
    for name, child in module._modules.items():
        if child is None:
            continue
        if child in tied:
            yield module, name
        elif _is_sequence(child):
            yield from _flow(child, tied)
        elif isinstance(child, Mlp | GluMlp):
            yield from ((child, layer) for layer in ("fc1", "act", "norm", "fc2"))
        else:
            yield module, name


def _is_sequence(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def _module(place: Place) -> Any:
    return getattr(*place)


def _is_norm(module: Any) -> bool:
    return isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.affine


def _is_pointwise(module: Any) -> bool:
    # Behind a normalization, only a convolution without padding sees the same shift everywhere.
    return isinstance(module, nn.Conv2d) and module.groups == 1 and not any(module.padding)


def _activation(norm: nn.BatchNorm2d) -> nn.Module:
    """What is left of a folded normalization: timm's variant has an activation inside."""
    return nn.Sequential(norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else nn.Identity()


def _fuse_norm_conv(norm: nn.BatchNorm2d, conv: nn.Conv2d) -> nn.Conv2d:
    """The convolution that does both, normalization first: W' = W diag(s), b' = b + W t."""
    fused = copy.deepcopy(conv)
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * scale
    moved = torch.einsum("oihw,i->o", conv.weight, shift)
    fused.weight = nn.Parameter(conv.weight * scale.view(1, -1, 1, 1), requires_grad=False)
    fused.bias = nn.Parameter(moved if conv.bias is None else conv.bias + moved, requires_grad=False)
    return fused
