"""The registry of zero-cost proxies, and what several of them are made of."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.registry import Registry

Proxy = Callable[[nn.Module, Tensor, Tensor], float]
"""From a network, images (n, channels, height, width) and labels (n,) to its score, the higher the better.

The network is the proxy's own copy, in training mode (batch normalization by the batch's statistics, as in the
publications' code), and may be changed. Random draws come from torch's global generator, which is seeded for each
proxy. A score that doesn't exist is NaN or infinite.
"""

PROXIES: Registry[Proxy] = Registry("proxy", "evaluators.zero_cost")
"""All zero-cost proxies by name; `path/to/file.py:name` counts, too."""

LAYERS = (nn.modules.conv._ConvNd, nn.Linear)


def layers(model: nn.Module) -> list[nn.Module]:
    """The convolutions and linear layers, which proxies made for pruning look at."""
    return [module for module in model.modules() if isinstance(module, LAYERS)]


def weights(model: nn.Module) -> list[Tensor]:
    """The weights, without biases, of the convolutions and linear layers; shared ones once."""
    found = {id(layer.weight): layer.weight for layer in layers(model)}
    return list(found.values())


def gradients(model: nn.Module, images: Tensor, labels: Tensor, double: bool = False) -> list[Tensor]:
    """The gradients of the mean cross-entropy by `weights(model)`, zeros for unused ones.

    With `double` they can be differentiated again.
    """
    loss = functional.cross_entropy(model(images), labels)
    chosen = weights(model)
    return list(torch.autograd.grad(loss, chosen, create_graph=double, allow_unused=True, materialize_grads=True))


def total(terms: list[Tensor]) -> float:
    """The sum of all elements of all tensors, in double precision."""
    return float(sum(float(term.detach().double().sum()) for term in terms))
