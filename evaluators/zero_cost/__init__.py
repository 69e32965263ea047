"""Zero-cost proxies: what an untrained network's activations and gradients on one batch say about its rank."""

from evaluators.zero_cost.az_nas import az_nas
from evaluators.zero_cost.evaluator import ZeroCostEvaluator, scores
from evaluators.zero_cost.proxy import PROXIES

__all__ = ["PROXIES", "ZeroCostEvaluator", "az_nas", "scores"]
