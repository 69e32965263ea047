"""AZ-NAS: four scores of a network's blocks, and the ranking of networks by all four."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import isfinite, log
from typing import Any

import torch
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn import functional

from evaluators.zero_cost.proxy import PROXIES
from search_spaces.counting import count

SOURCE = "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search"
COMPONENTS = ("az_expressivity", "az_progressivity", "az_trainability", "az_complexity")


def az_nas(scores: Sequence[Mapping[str, float]]) -> list[float]:
    """The networks' scores against each other, the higher the better: the sum over `COMPONENTS` of log(rank / n).

    The best of n networks has rank n, equal ones share the mean rank, and a component that is missing ranks last.
    """
    total = [0.0] * len(scores)
    for name in COMPONENTS:
        values = [value if isfinite(value := float(score.get(name, "nan"))) else float("-inf") for score in scores]
        for place, rank in enumerate(rankdata(values)):
            total[place] += log(rank / len(scores))
    return total


@PROXIES.register("az_expressivity", source=SOURCE)
def az_expressivity(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """The sum over blocks of the entropy of their features' principal components."""
    return sum(_entropies(model, inputs)) if blocks(model) else float("nan")


@PROXIES.register("az_progressivity", source=SOURCE)
def az_progressivity(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """The smallest rise of that entropy from one block to the next; needs two blocks."""
    found = _entropies(model, inputs)
    return min((after - before for before, after in pairwise(found)), default=float("nan"))


@PROXIES.register("az_trainability", source=SOURCE)
def az_trainability(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """How near to 1 the spectral norm of each block's Jacobian is, estimated by one random gradient of signs.

    The mean over blocks of 2 - s - 1/s; minus infinity where a block passes gradients on unchanged.
    """
    maps = features(model, inputs)
    found = [_gain(before, after) for before, after in pairwise(maps)]
    return sum(found) / len(found) if found else float("nan")


@PROXIES.register("az_complexity", source=SOURCE)
def az_complexity(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """The multiply-accumulates of one input."""
    examples = None if inputs.is_floating_point() else inputs[:1]
    return float(count(model.float(), tuple(inputs.shape[1:]), examples).macs)


def blocks(model: nn.Module) -> list[nn.Module]:
    """The stem, residual blocks, cells and downsamples along the network's trunk, in order.

    The trunk is followed through nested `nn.Sequential`s down to those that hold a single operator of their own;
    operators beside the network's blocks belong to none.
    """
    return [block for child in model.children() for block in _blocks(child)]


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    inner = [child for child in module.children() if not isinstance(child, nn.Identity)]
    if isinstance(module, nn.Sequential) and inner and all(any(True for _ in child.children()) for child in inner):
        for child in inner:
            yield from _blocks(child)
    elif inner:
        yield module


def features(model: nn.Module, inputs: Tensor) -> list[Tensor]:
    """The maps (n, channels, *sides) that the blocks give out; what isn't a map, and the head's, is left out."""
    maps: list[Tensor] = []
    head = getattr(model, "head", None)
    least = 2 if head is not None and inputs.ndim == 2 and inputs.is_floating_point() else 3

    def keep(_: nn.Module, __: object, output: Any) -> Any:
        if not isinstance(output, Tensor) or output.ndim < least:
            return output
        maps.append(output)
        # What follows works on a copy: an activation may change it in place.
        return output.clone()

    handles = [block.register_forward_hook(keep) for block in blocks(model) if block is not head]
    try:
        model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return maps


def _entropies(model: nn.Module, inputs: Tensor) -> list[float]:
    """For each block the entropy of the shares that the principal components have in its features' variance."""
    with torch.no_grad():
        maps = features(model, inputs)
    found = []
    for one in maps:
        columns = one.movedim(1, -1).flatten(0, -2).double()
        columns = columns - columns.mean(0)
        values = torch.linalg.eigvalsh(columns.T @ columns / len(columns)).clamp(min=0)
        shares = values / values.sum()
        found.append(float(-(shares * (shares + 1e-8).log()).sum()))
    return found


def _gain(before: Tensor, after: Tensor) -> float:
    """2 - s - 1/s for the largest singular value s of the mean outer product of gradients in and out."""
    signs = torch.randint(0, 2, after.shape).to(after.dtype) * 2 - 1
    (passed,) = torch.autograd.grad(after, before, signs, allow_unused=True, materialize_grads=True)
    if passed.shape == signs.shape and torch.equal(passed, signs):
        return float("-inf")
    product = _aligned(passed, after).movedim(1, -1).flatten(0, -2).double().T
    product = product @ signs.movedim(1, -1).flatten(0, -2).double() / product.shape[1]
    largest = float(torch.linalg.matrix_norm(product, 2))
    return 2 - largest - 1 / (largest + 1e-6)


def _aligned(gradient: Tensor, like: Tensor) -> Tensor:
    """A gradient at the resolution of the map it came from: the positions of each square as channels."""
    if gradient.ndim != 4:
        return _unfolded(gradient, like)
    stride = max(1, round(gradient.shape[2] / like.shape[2]))
    height, width = (stride * side - old for side, old in zip(like.shape[2:], gradient.shape[2:], strict=True))
    return functional.pixel_unshuffle(functional.pad(gradient, (0, width, 0, height)), stride)


def _unfolded(gradient: Tensor, like: Tensor) -> Tensor:
    """As `_aligned`, of a map with one side, or with none."""
    if gradient.ndim == 2:
        return gradient
    stride = max(1, round(gradient.shape[2] / like.shape[2]))
    padded = functional.pad(gradient, (0, stride * like.shape[2] - gradient.shape[2]))
    return padded.unflatten(2, (like.shape[2], stride)).movedim(3, 2).flatten(1, 2)
