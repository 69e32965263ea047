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
from dataclasses import dataclass, field
from math import pi, prod
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
from search_spaces.weight_sharing.recording import Piece, shapes_of
from search_spaces.weight_sharing.supernet import Supernet

EDGE = 0.05
"""How near to an even or a one-hot vector the variance term goes, where its tangent would be infinite."""


@dataclass
class Size:
    """A prunable decision: its options from the smallest to the largest, and what they cut.

    `ratios[rank]` are the tensors' sizes relative to the largest network's; `groups[module]` says of each channel of a
    module, and of how many equal chunks it has, from which rank on it is there.
    """

    options: list[int]
    ratios: Tensor
    groups: dict[str, tuple[Tensor, int]] = field(default_factory=dict)


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
        cost: str = "macs",
        lr: float = 0.01,
        one_hot_weight: float = 0.1,
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
        space = supernet.space
        self.shape = supernet.inputs, supernet.outputs
        self.genes = space.genes(supernet.largest(0))
        self.whole = shapes_of(space.architecture(self.genes), *self.shape)
        self.uses = uses_of(supernet, space.architecture(self.genes)) if self.cost == "macs" else {}
        self.full = self.cost_of(self.whole)
        self.sizes = {
            index: size
            for index, decision in enumerate(space.decisions)
            if decision.ordered and self.genes[index] != INACTIVE and (size := self._size(space, index)) is not None
        }
        if not self.sizes:
            raise SpaceError(f"the space '{space.name}' has no size that cuts channels, so nothing to prune")
        smallest = self._with(space, {index: size.options[0] for index, size in self.sizes.items()})
        least = None if smallest is None else self.cost_of(smallest) / self.full
        if least is not None and least > self.budget:
            raise SpaceError(f"the budget {self.budget:g} can't be met: the smallest sizes cost {least:.3f}; raise it")
        self.logits = [nn.Parameter(torch.zeros(len(size.options))) for size in self.sizes.values()]
        self.importance = [nn.Parameter(torch.full((len(size.options),), 3.0)) for size in self.sizes.values()]
        self.optimizer = torch.optim.Adam([*self.logits, *self.importance], lr=self._lr)

    def _size(self, space: Space, index: int) -> Size | None:
        """What the options of a decision cut; None where they cut no channels."""
        decision = space.decisions[index]
        variants = {option: self._with(space, {index: option}) for option in range(len(decision.options))}
        order = sorted((o for o, pieces in variants.items() if pieces), key=decision.options.__getitem__)
        names = [piece.name for piece in self.whole]
        found = [variants[option] or [] for option in order]
        if len(order) < 2 or any([piece.name for piece in pieces] != names for pieces in found):
            return None
        ratios = [[prod(p.shape) / prod(w.shape) for p, w in zip(pieces, self.whole, strict=True)] for pieces in found]
        size = Size(order, torch.tensor(ratios))
        for place, piece in enumerate(self.whole):
            rows = [pieces[place].shape[0] // piece.chunks if piece.shape else 0 for pieces in found]
            if piece.parameter and piece.shape and rows == sorted(rows) and rows[0] < rows[-1]:
                channels = torch.arange(piece.shape[0] // piece.chunks)
                ranks = torch.stack([channels >= row for row in rows[:-1]]).sum(0)
                size.groups[piece.name.rpartition(".")[0]] = ranks, piece.chunks
        return size if size.groups else None

    def _with(self, space: Space, changes: dict[int, int]) -> list[Piece] | None:
        """The tensors of the largest network with some options changed; None where it is banned or doesn't build."""
        genes = tuple(changes.get(index, gene) for index, gene in enumerate(self.genes))
        try:
            architecture = space.drawn(lambda index, _: max(0, genes[index]))
            return shapes_of(architecture, *self.shape) if space.allows(architecture) else None
        except SpaceError:
            return None

    def cost_of(self, pieces: list[Piece]) -> float:
        """Multiply-accumulates, or the number of parameters, of the network with these tensors."""
        return float(sum(prod(p.shape) * self._use(p) for p in pieces if p.parameter))

    def _use(self, piece: Piece) -> int:
        return 1 if self.cost == "params" else self.uses.get(piece.name, 0)

    def expected_cost(self) -> Tensor:
        """The expected cost as a share of the largest network's, each size drawn by its probabilities."""
        kept = torch.tensor([float(prod(p.shape) * self._use(p)) if p.parameter else 0.0 for p in self.whole])
        for size, logits in zip(self.sizes.values(), self.logits, strict=True):
            kept = kept * (functional.softmax(logits, 0) @ size.ratios)
        return kept.sum() / self.full

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
        masks: dict[str, Tensor] = {}
        for size, groups in zip(self.sizes.values(), self.bi_masks(progress), strict=True):
            for name, (ranks, chunks) in size.groups.items():
                mask = groups[ranks].repeat(chunks)
                masks[name] = masks[name] * mask if name in masks else mask
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
        supernet.activate(supernet.space.architecture(self.genes))
        with regularisation(supernet, True), self.masked(supernet.network, progress):
            loss = functional.cross_entropy(supernet(batch.images), batch.labels)
        (loss + self.penalty(progress).to(loss.device)).backward()
        if clip:
            nn.utils.clip_grad_norm_(supernet.parameters(), clip)
        optimizer.step()
        self.optimizer.step()
        return [float(loss.detach())]

    def penalty(self, progress: float) -> Tensor:
        """What drives the scores to be discrete, more so the further the training is, and to the budget."""
        discrete = torch.stack([adaptive_one_hot(functional.softmax(logits, 0)) for logits in self.logits]).mean()
        over = (self.expected_cost() - self.budget).square()
        scores = torch.stack([importance.sigmoid().sum() for importance in self.importance]).sum()
        return self.one_hot_weight * progress * discrete + self.budget_weight * over + self.importance_weight * scores

    def outcome(self, space: Space) -> Genes:
        """The genes of the most probable sizes, each made smaller where it costs the least probability per cost saved.

        They keep the budget. Raises `SpaceError` where the space's rules ban all that would.
        """
        rows = {i: row.detach().log_softmax(0).tolist() for i, row in zip(self.sizes, self.logits, strict=True)}
        ranks = {index: max(range(len(row)), key=row.__getitem__) for index, row in rows.items()}
        cost = self._cost_at(space, ranks)
        while cost is None or cost > self.budget * self.full:
            steps = []
            for index in ranks:
                if ranks[index]:
                    lower = {**ranks, index: ranks[index] - 1}
                    less = self._cost_at(space, lower)
                    lost = rows[index][ranks[index]] - rows[index][ranks[index] - 1]
                    saved = 1.0 if less is None or cost is None else max(cost - less, 1.0)
                    steps.append((less is None, lost / saved, index, less))
            if not steps:
                raise SpaceError(f"no sizes of the space '{space.name}' keep the budget {self.budget:g}; raise it")
            _, _, index, cost = min(steps, key=lambda step: step[:3])
            ranks[index] -= 1
        chosen = {index: size.options[ranks[index]] for index, size in self.sizes.items()}
        return tuple(chosen.get(index, gene) for index, gene in enumerate(self.genes))

    def _cost_at(self, space: Space, ranks: dict[int, int]) -> float | None:
        pieces = self._with(space, {index: self.sizes[index].options[rank] for index, rank in ranks.items()})
        return None if pieces is None else self.cost_of(pieces)

    def policy(self, space: Space) -> Policy:
        """What was learnt, for the controller `one-shot`; its most probable architecture is the outcome."""
        genes, rows = self.outcome(space), []
        learnt = {i: row.detach().double().softmax(0).tolist() for i, row in zip(self.sizes, self.logits, strict=True)}
        for index, decision in enumerate(space.decisions):
            row = [0.0] * len(decision.options)
            if index in learnt:
                for option, probability in zip(self.sizes[index].options, learnt[index], strict=True):
                    row[option] = probability
                best = max(range(len(row)), key=row.__getitem__)
                row[best], row[genes[index]] = row[genes[index]], row[best]
            elif genes[index] != INACTIVE:
                row[genes[index]] = 1.0
            else:
                row = [1 / len(row)] * len(row)
            rows.append(row)
        return Policy.of(space, self.name, rows)

    def report(self, space: Space) -> dict[str, Any]:
        """What to say of the outcome, as JSON values: its cost, as a share of the largest network's, and the skips."""
        genes = self.outcome(space)
        pieces = shapes_of(space.architecture(genes), *self.shape)
        return {"cost": self.cost_of(pieces) / self.full, "budget": self.budget} | count_skips(
            space, self.policy(space)
        )

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


def uses_of(supernet: Supernet, architecture: Any) -> dict[str, int]:
    """How often one forward pass uses each weight of the architecture's convolutions and linear layers."""
    found: dict[str, int] = {}
    supernet.activate(architecture)
    network = supernet.network
    handles = []
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):

            def count(module: nn.Module, inputs: Any, output: Tensor, name: str = name) -> None:
                features = output.shape[-1] if isinstance(module, nn.Linear) else output.shape[1]
                found[f"{name}.weight"] = found.get(f"{name}.weight", 0) + output[:1].numel() // features

            handles.append(module.register_forward_hook(count))
    modes = [(module, module.training) for module in network.modules()]
    try:
        network.eval()
        example = next(iter(supernet.store.parameters()))
        with torch.no_grad():
            network(torch.zeros(1, *supernet.inputs, device=example.device, dtype=example.dtype))
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training
    return found
