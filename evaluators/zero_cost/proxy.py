"""The registry of zero-cost proxies, and what several of them are made of."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.errors import SpaceError
from search_spaces.registry import Registry

Proxy = Callable[..., float]
"""From a network, inputs (n, ...) and targets (n, ...) to its score, the higher the better.

A proxy that has a fourth parameter, `loss`, is given the task's: from outputs and targets to the mean loss.

The network is the proxy's own copy, in training mode (batch normalization by the batch's statistics, as in the
publications' code), and may be changed. Random draws come from torch's global generator, which is seeded for each
proxy. A score that doesn't exist is NaN or infinite.
"""

PROXIES: Registry[Proxy] = Registry("proxy", "evaluators.zero_cost")
"""All zero-cost proxies by name; `path/to/file.py:name` counts, too."""

Loss = Callable[[Tensor, Tensor], Tensor]

LAYERS = (nn.modules.conv._ConvNd, nn.Linear)


def layers(model: nn.Module) -> list[nn.Module]:
    """The convolutions and linear layers, which proxies made for pruning look at."""
    return [module for module in model.modules() if isinstance(module, LAYERS)]


def weights(model: nn.Module) -> list[Tensor]:
    """The weights, without biases, of the convolutions and linear layers; shared ones once."""
    found = {id(layer.weight): layer.weight for layer in layers(model)}
    return list(found.values())


def gradients(
    model: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss = functional.cross_entropy, double: bool = False
) -> list[Tensor]:
    """The gradients of the mean loss by `weights(model)`, zeros for unused ones.

    With `double` they can be differentiated again.
    """
    chosen = weights(model)
    found = torch.autograd.grad(
        loss(model(inputs), targets), chosen, create_graph=double, allow_unused=True, materialize_grads=True
    )
    return list(found)


def total(terms: list[Tensor]) -> float:
    """The sum of all elements of all tensors, in double precision."""
    return float(sum(float(term.detach().double().sum()) for term in terms))


def differentiable(model: nn.Module, inputs: Tensor) -> tuple[list[Tensor], Tensor]:
    """The inputs that a network's outputs (given, too) can be differentiated by: numbers, or what tokens are made of.

    Of token ids, these are the outputs of the network's first embedding.
    """
    if inputs.is_floating_point():
        inputs = inputs.detach().requires_grad_()
        return [inputs], model(inputs)
    found: list[Tensor] = []
    embedding = next((module for module in model.modules() if isinstance(module, nn.Embedding)), None)
    if embedding is None:
        raise SpaceError("the network takes numbers of tokens, but has no embedding (nn.Embedding) of them")
    handle = embedding.register_forward_hook(lambda _, __, output: found.append(output))
    try:
        return found, model(inputs)
    finally:
        handle.remove()
