"""Jacobian covariance: how differently the network's outputs depend on different examples."""

import torch
from torch import Tensor, nn

from evaluators.zero_cost.proxy import PROXIES, differentiable

SMALLEST = 1e-5


@PROXIES.register("jacobian_covariance", source="Neural Architecture Search without Training")
def jacobian_covariance(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """-sum(log v + 1 / v) over the eigenvalues v (plus 1e-5) of the correlations between the examples' Jacobians.

    The Jacobian is that of the sum of outputs by an example's pixels. This is the score of the paper's first version,
    which "Zero-Cost Proxies for Lightweight NAS" compares as jacob_cov.
    """
    given, outputs = differentiable(model, inputs)
    found = torch.autograd.grad(outputs.sum(), given[0])[0]
    correlations = torch.corrcoef(found.flatten(1).double())
    if not bool(torch.isfinite(correlations).all()):
        return float("nan")
    values = torch.linalg.eigvalsh(correlations).clamp(min=0) + SMALLEST
    return float(-(values.log() + 1 / values).sum())
