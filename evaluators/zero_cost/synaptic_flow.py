"""SynFlow: how much a network with positive weights passes on of a constant input."""

import torch
from timm.layers import RmsNorm, RmsNorm2d
from torch import Tensor, nn

from evaluators.zero_cost.proxy import PROXIES, total, weights

BY_STATISTICS = (nn.modules.batchnorm._BatchNorm,)
BY_EXAMPLE = (nn.LayerNorm, nn.GroupNorm, nn.modules.instancenorm._InstanceNorm, nn.RMSNorm, RmsNorm, RmsNorm2d)


class Rescaling(nn.Module):
    """Each example at root mean square 1, by a factor that counts as constant: positive stays so, linear, too."""

    def forward(self, x: Tensor) -> Tensor:
        power = x.detach().square().mean(tuple(range(1, x.ndim)), keepdim=True)
        return x * power.clamp(min=torch.finfo(x.dtype).tiny).rsqrt()


@PROXIES.register("synflow", source="Pruning neural networks without any data by iteratively conserving synaptic flow")
def synflow(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """Weight times its gradient of the sum of outputs, summed: all parameters absolute, the input all ones.

    All is in double precision, since flow through deep networks overflows single precision, and without dropout.
    Batch normalizations are left out, as they are the identity in an untrained network's evaluation mode. The other
    normalizations, unknown to the paper, only rescale the flow: centred, it would cancel. Flow is linear through
    rectifiers alone. Gated units and attention multiply it by itself, so scores of networks with different numbers of
    them differ by many orders of magnitude, and a deep one's may be infinite.
    """
    model = model.double().eval()
    for name, module in list(model.named_modules()):
        if isinstance(module, BY_STATISTICS):
            model.set_submodule(name, nn.Identity())
        elif isinstance(module, BY_EXAMPLE):
            model.set_submodule(name, Rescaling())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    chosen = weights(model)
    # Tokens are numbers of vectors, whose absolute values take the place of ones.
    ones = torch.ones_like(inputs[:1], dtype=torch.float64) if inputs.is_floating_point() else inputs[:1]
    flow = model(ones).sum()
    found = torch.autograd.grad(flow, chosen, allow_unused=True, materialize_grads=True)
    return total([weight * gradient for weight, gradient in zip(chosen, found, strict=True)])
