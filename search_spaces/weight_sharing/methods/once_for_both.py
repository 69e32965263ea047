"""Once for Both: importance and sparsity of a network's units, learnt in one stage down to a budget.

## Differentiable methods
The largest network is compressed. Its prunable units are the groups of channels that each option of a size decision
(a width, an expansion, a reduction) adds to the next smaller one. The modules whose outputs have these channels are
masked by lambda x importance + (1 - lambda) x sparsity: the importance of a group is learnt freely; its sparsity score
is the probability, by the decision's logits, that an option with the group is taken. Lambda falls from 1 to 0 over the
training, so that importance guides first and the masks end as the sparsity scores, which an adaptive one-hot loss
(entropy, and how far the probabilities' variance is from a one-hot vector's) drives to 0 or 1 while the expected cost
is drawn to the budget. The outcome are the most probable sizes, made smaller where their cost is above the budget.

Left out, or other than in the paper: Progressive Masked Image Modeling, the regulariser of the feature space; ranking
single channels by their importance (networks share weights by leading slices, so a group's importance says whether it
is kept, not which of its channels are); kinds, kernels, heads and depths, which stay those of the largest network.
Normalizations over channels see masked channels as zeros until the network is cut. Attention's own products aren't in
the cost.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import pi
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.decisions import INACTIVE
from search_spaces.errors import SpaceError
from search_spaces.policy import Policy
from search_spaces.space import Genes, Space
from search_spaces.weight_sharing.methods.base import METHODS, Batch, Method, regularisation
from search_spaces.weight_sharing.methods.differentiable import adam_state, count_skips, positive, restore_adam
from search_spaces.weight_sharing.prunable import Cost, Prunable
from search_spaces.weight_sharing.supernet import Supernet

EDGE = 0.05
"""How near to an even or a one-hot vector the variance term goes, where its tangent would be infinite."""


@METHODS.register(
    "once-for-both",
    source="Once for Both: Single Stage of Importance and Sparsity Search for Vision Transformer Compression",
)
class OnceForBoth(Method):
    """Bi-masks of importance and sparsity on the largest network's channels, in one stage down to a budget."""

    name = "once-for-both"

    def __init__(
        self,
        budget: float = 0.5,
        cost: Cost = "macs",
        lr: float = 0.01,
        one_hot_weight: float = 0.5,
        budget_weight: float = 10.0,
        importance_weight: float = 1e-3,
    ) -> None:
        """`budget` is a share of the largest network's `cost`: "macs" (of layers with weights) or "params".

        `lr` is of the scores' Adam; the weights are of the adaptive one-hot loss, of the squared distance of the
        expected cost from the budget, and of the sum of importance scores.
        """
        if not isinstance(budget, int | float) or isinstance(budget, bool) or not 0 < budget <= 1:
            raise SpaceError(f"budget is a share above 0 and at most 1 of the largest network's cost, not {budget!r}")
        if cost not in ("macs", "params"):
            raise SpaceError(f"cost is 'macs' or 'params', not {cost!r}")
        self.budget, self.cost = float(budget), cost
        self._lr = positive("lr", lr)
        self.one_hot_weight = positive("one_hot_weight", one_hot_weight, zero=True)
        self.budget_weight = positive("budget_weight", budget_weight, zero=True)
        self.importance_weight = positive("importance_weight", importance_weight, zero=True)

    def prepare(self, supernet: Supernet) -> None:
        """Find the prunable sizes; raises `SpaceError` where there are none, or the budget is below the smallest."""
        self.prunable = Prunable(supernet, self.cost)
        sizes, space = self.prunable.sizes, supernet.space
        if not sizes:
            raise SpaceError(f"the space '{space.name}' has no size that cuts channels, so nothing to prune")
        least = self.prunable.cost_at(space, dict.fromkeys(sizes, 0))
        if least is not None and least > self.budget:
            raise SpaceError(f"the budget {self.budget:g} can't be met: the smallest sizes cost {least:.3f}; raise it")
        self.logits = [nn.Parameter(torch.zeros(len(size.options))) for size in sizes.values()]
        self.importance = [nn.Parameter(torch.full((len(size.options),), 3.0)) for size in sizes.values()]
        self.optimizer = torch.optim.Adam([*self.logits, *self.importance], lr=self._lr)

    def bi_masks(self, progress: float) -> list[Tensor]:
        """Of each size, the mask of each rank's group of channels; the smallest option's are always there."""
        found = []
        for logits, importance in zip(self.logits, self.importance, strict=True):
            sparsity = functional.softmax(logits, 0).flip(0).cumsum(0).flip(0)
            mask = (1 - progress) * importance.sigmoid() + progress * sparsity
            found.append(torch.cat([torch.ones(1), mask[1:]]))
        return found

    @contextmanager
    def masked(self, network: nn.Module, progress: float) -> Iterator[None]:
        """The network with its prunable channels masked."""
        # What each rank adds to the mask of the channels that it keeps.
        added = {
            index: mask - torch.cat([mask[1:], torch.zeros(1)])
            for index, mask in zip(self.prunable.sizes, self.bi_masks(progress), strict=True)
        }
        masks: dict[str, Tensor] = {}
        for name, (sizes, present, chunks) in self.prunable.channels.items():
            joint = torch.ones(1)
            for index in sizes:
                joint = torch.outer(joint, added[index]).flatten()
            masks[name] = (present @ joint).repeat(chunks)
        handles = [network.get_submodule(name).register_forward_hook(_masking(mask)) for name, mask in masks.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def step(
        self,
        supernet: Supernet,
        batch: Batch,
        optimizer: torch.optim.Optimizer,
        rng: Random,
        progress: float,
        clip: float | None = None,
        frozen: Supernet | None = None,
    ) -> list[float]:
        """Train weights and scores on one batch."""
        optimizer.zero_grad(set_to_none=True)
        self.optimizer.zero_grad(set_to_none=True)
        supernet.activate(supernet.space.architecture(self.prunable.genes))
        supernet.following.tell(progress)
        with regularisation(supernet, True), self.masked(supernet.network, progress):
            loss = supernet.following.with_losses(batch.criterion(supernet(batch.inputs)), batch.criterion)
        (loss + self.penalty(progress).to(loss.device)).backward()
        if clip:
            nn.utils.clip_grad_norm_(supernet.parameters(), clip)
        optimizer.step()
        self.optimizer.step()
        return [float(loss.detach())]

    def penalty(self, progress: float) -> Tensor:
        """What drives the scores to be discrete, more so the further the training is, and to the budget."""
        discrete = torch.stack([adaptive_one_hot(functional.softmax(logits, 0)) for logits in self.logits]).mean()
        over = (self.prunable.expected_cost(self.logits) - self.budget).square()
        scores = torch.stack([importance.sigmoid().sum() for importance in self.importance]).sum()
        return self.one_hot_weight * progress * discrete + self.budget_weight * over + self.importance_weight * scores

    def outcome(self, space: Space) -> Genes:
        """The genes of the most probable sizes, made smaller, least probability lost per cost saved, to the budget.

        Raises `SpaceError` where the space's rules ban all that would keep it.
        """
        found = self.prunable
        rows = {i: row.detach().log_softmax(0).tolist() for i, row in zip(found.sizes, self.logits, strict=True)}
        ranks = {index: max(range(len(row)), key=row.__getitem__) for index, row in rows.items()}
        cost = found.cost_at(space, ranks)
        while cost is None or cost > self.budget:
            steps = []
            for index, rank in ranks.items():
                if rank:
                    less = found.cost_at(space, {**ranks, index: rank - 1})
                    saved = 1.0 if less is None or cost is None else max(cost - less, 1e-9)
                    steps.append((less is None, (rows[index][rank] - rows[index][rank - 1]) / saved, index, less))
            if not steps:
                raise SpaceError(f"no sizes of the space '{space.name}' keep the budget {self.budget:g}; raise it")
            _, _, index, cost = min(steps, key=lambda step: step[:3])
            ranks[index] -= 1
        chosen = found.options(ranks)
        return tuple(chosen.get(index, gene) for index, gene in enumerate(found.genes))

    def policy(self, space: Space) -> Policy:
        """What was learnt, for the controller `one-shot`; its most probable architecture is the outcome.

        Its report says what that costs, as a share of the largest network's cost, and counts the skips.
        """
        genes = self.outcome(space)
        rows = [self._even(len(d.options), gene) for d, gene in zip(space.decisions, genes, strict=True)]
        for (index, size), logits in zip(self.prunable.sizes.items(), self.logits, strict=True):
            row = [0.0] * len(rows[index])
            for option, probability in zip(size.options, logits.detach().double().softmax(0).tolist(), strict=True):
                row[option] = probability
            best = max(range(len(row)), key=row.__getitem__)
            row[best], row[genes[index]] = row[genes[index]], row[best]
            rows[index] = row
        found = Policy.of(space, self.name, rows)
        ranks = {index: size.options.index(genes[index]) for index, size in self.prunable.sizes.items()}
        cost = self.prunable.cost_at(space, ranks)
        return replace(found, report={"cost": cost, "budget": self.budget, **count_skips(space, found)})

    @staticmethod
    def _even(count: int, gene: int) -> list[float]:
        """All for the option that the largest network takes; even chances where it decides nothing."""
        return [1 / count] * count if gene == INACTIVE else [float(option == gene) for option in range(count)]

    def state(self) -> dict[str, Tensor]:
        return adam_state([*self.logits, *self.importance], self.optimizer)

    def restore(self, state: dict[str, Tensor]) -> None:
        restore_adam([*self.logits, *self.importance], self.optimizer, state)


def adaptive_one_hot(probabilities: Tensor) -> Tensor:
    """Entropy, and the tangent of how far the variance is from that of a one-hot vector: small when nearly one-hot."""
    count = len(probabilities)
    entropy = -(probabilities * probabilities.clamp_min(1e-12).log()).sum()
    spread = (probabilities - 1 / count).square().sum() / (1 - 1 / count)
    return entropy + torch.tan(pi / 2 - pi * spread.clamp(EDGE, 1 - EDGE)) / count


def _masking(mask: Tensor) -> Any:
    def masking(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        shape = (-1,) if isinstance(module, nn.Linear) else (-1, *[1] * (output.dim() - 2))
        return output * mask.to(output).view(shape)

    return masking
