"""Proxies from the gradient of the loss: what pruning at initialization, and training's first step, look at."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from evaluators.zero_cost.proxy import PROXIES, Loss, gradients, layers, total, weights


@PROXIES.register("snip", source="SNIP: Single-shot Network Pruning based on Connection Sensitivity")
def snip(model: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss = functional.cross_entropy) -> float:
    """The sum of |weight x gradient|."""
    found = gradients(model, inputs, targets, loss)
    return total([(weight * gradient).abs() for weight, gradient in zip(weights(model), found, strict=True)])


@PROXIES.register("grad_norm", source="Zero-Cost Proxies for Lightweight NAS")
def grad_norm(model: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss = functional.cross_entropy) -> float:
    """The sum of the layers' Euclidean norms of the gradient."""
    return total([gradient.norm() for gradient in gradients(model, inputs, targets, loss)])


@PROXIES.register("grasp", source="Picking Winning Tickets Before Training by Preserving Gradient Flow")
def grasp(model: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss = functional.cross_entropy) -> float:
    """The sum of -weight x (Hessian x gradient), at temperature 1."""
    # The fused attention kernels can't be differentiated twice.
    with sdpa_kernel(SDPBackend.MATH):
        found = gradients(model, inputs, targets, loss, double=True)
        flow = sum(((gradient * gradient.detach()).sum() for gradient in found), torch.zeros(()))
        chosen = weights(model)
        products = torch.autograd.grad(flow, chosen, allow_unused=True, materialize_grads=True)
    return total([-weight * product for weight, product in zip(chosen, products, strict=True)])


@PROXIES.register("fisher", source="BlockSwap: Fisher-guided Block Substitution for Network Compression on a Budget")
def fisher(model: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss = functional.cross_entropy) -> float:
    """Half the mean over examples of (activation x gradient, summed over a channel's positions)^2, over all channels.

    Activations are the outputs of the convolutions and linear layers.
    """
    outputs: list[Tensor] = []
    channels_last: list[bool] = []

    def keep(layer: nn.Module, _: object, output: Tensor) -> Tensor:
        outputs.append(output)
        channels_last.append(isinstance(layer, nn.Linear))
        # What follows works on a copy: an activation may change it in place.
        return output.clone()

    for layer in layers(model):
        layer.register_forward_hook(keep)
    found = torch.autograd.grad(loss(model(inputs), targets), outputs, allow_unused=True, materialize_grads=True)
    scores = []
    for output, gradient, last in zip(outputs, found, channels_last, strict=True):
        product = (output * gradient).detach()
        if last:
            # An example's tokens, and the windows that it was cut into, lie one after another.
            product = product.reshape(len(inputs), -1, product.shape[-1]).transpose(1, 2)
        scores.append(product.flatten(2).sum(2).double().square().mean(0) / 2)
    return total(scores)


@PROXIES.register("zico", source="ZiCo: Zero-shot NAS via Inverse Coefficient of Variation on Gradients")
def zico(model: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss = functional.cross_entropy) -> float:
    """The sum over layers of log(sum over weights of mean / standard deviation of |gradient|).

    Both are taken over two batches, the halves of the one; weights with a deviation of zero don't count.
    """
    if len(inputs) < 2:
        return float("nan")
    halves = [
        gradients(model, some, their, loss)
        for some, their in zip(inputs.tensor_split(2), targets.tensor_split(2), strict=True)
    ]
    score = torch.zeros((), dtype=torch.float64)
    for pair in zip(*halves, strict=True):
        sizes = torch.stack(pair).double().abs()
        deviation = sizes.std(0, correction=0)
        ratio = (sizes.mean(0) / deviation)[deviation > 0].sum()
        if ratio > 0:
            score += ratio.log()
    return float(score)
