"""Formulas of a neck and a head that take all stages' maps, for tests."""

import torch
from torch import nn
from torch.nn import functional


def aggregated(module, maps):
    """Each map joined to what was fused of the maps before it."""
    fused = [maps[0]]
    for node, x in zip(module.nodes, maps[1:], strict=True):
        small = functional.adaptive_avg_pool2d(fused[-1], x.shape[2:])
        norm, y = node.join.norm, functional.conv2d(small, node.join.convs[0].weight)
        y = y + functional.conv2d(x, node.join.convs[1].weight)
        if isinstance(norm, nn.BatchNorm2d):
            y = functional.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
        elif not isinstance(norm, nn.Identity):
            rows = functional.layer_norm(y.movedim(1, -1), (y.shape[1],), norm.weight, norm.bias, norm.eps)
            y = rows.movedim(-1, 1)
        kinds = {nn.ReLU: functional.relu, nn.GELU: functional.gelu, nn.Identity: lambda value: value}
        fused.append(kinds[type(node.activation)](y))
    return fused


def pooled(module, maps):
    """One linear layer of all averages."""
    means = torch.cat([norm(x).flatten(2).mean(2) for norm, x in zip(module.norms, maps, strict=True)], 1)
    weight = torch.cat([linear.weight for linear in module.linears], 1)
    return functional.linear(means, weight, module.linears[-1].bias)
