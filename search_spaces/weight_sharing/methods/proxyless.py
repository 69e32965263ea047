"""ProxylessNAS: binary gates; the logits learn from two paths, the weights from one.

## Differentiable methods
For the logits, two options of a decision are drawn by the policy, one of them is let through, and the gradient in
each binary gate is <d loss / d output, output of the option>, which reaches the two logits through the softmax of the
two. The two are then shifted together, so that the other options' probabilities stay. This is for decisions whose
modules can stand in for one another; a step takes those that lie apart, in a random order. Decisions that set shapes
(widths, depths, stems) learn by the paper's REINFORCE variant, with a moving average of the loss as baseline. Weights
learn from one path drawn by the policy. Where a latency table is given, its expectation under the policy is added to
the loss, times `latency_weight` per ms; then the shift is left out, since latency moves every option.
"""

from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from search_spaces.decisions import INACTIVE
from search_spaces.weight_sharing.latency_table import LatencyTable
from search_spaces.weight_sharing.methods.base import METHODS, Batch
from search_spaces.weight_sharing.methods.differentiable import Differentiable, Draw, positive
from search_spaces.weight_sharing.methods.fbnet import table_setting
from search_spaces.weight_sharing.relaxation import Place, apart
from search_spaces.weight_sharing.supernet import Supernet

MEMORY = 0.9
"""How much of the baseline stays at a step."""
Pairs = dict[int, tuple[int, int]]


@METHODS.register("proxyless", source="ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware")
class Proxyless(Differentiable):
    """Binary gates: two drawn paths for the architecture, one for the weights, REINFORCE where shapes differ."""

    name = "proxyless"
    held_out = 0.1

    def __init__(
        self,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        warm_up: float = 0.0,
        latency_table: dict[str, Any] | str | None = None,
        latency_weight: float = 0.1,
    ) -> None:
        """`lr` and `weight_decay` are of the logits' Adam, which has no momentum, so that unsampled options stay."""
        super().__init__(lr, weight_decay, (0.0, 0.999), warm_up)
        self._given = table_setting(latency_table)
        self.latency_weight = positive("latency_weight", latency_weight, zero=True)
        self.table: LatencyTable | None = None
        self.baseline: float | None = None

    def prepare(self, supernet: Supernet) -> None:
        super().prepare(supernet)
        self.table = None if self._given is None else LatencyTable.of(self._given, supernet.space)

    def outputs(self, supernet: Supernet, draw: Draw, images: Tensor, rng: Random) -> Tensor:
        """The outputs (n, classes) of the drawn path alone."""
        return self.relaxed.outputs(supernet, draw.genes, images, draw.pick, {}, {})

    def learn(self, supernet: Supernet, batch: Batch, rng: Random, progress: float) -> float:
        draw = self.draw(supernet, rng, progress)
        places = self.relaxed.places.of(supernet, supernet.space.architecture(draw.genes))
        pairs: Pairs = {}
        for index in apart(places, rng):
            first = draw.genes[index]
            others = [0.0 if i == first else p for i, p in enumerate(draw.weights[index].tolist())]
            if sum(others) > 0:
                pairs[index] = first, rng.choices(range(len(others)), others)[0]
        mixtures = {index: self.binary_gates(index, pair, rng) for index, pair in pairs.items()}
        outputs = self.relaxed.outputs(supernet, draw.genes, batch.inputs, draw.pick, {}, mixtures)
        loss = batch.criterion(outputs)
        objective = loss + self._reinforced(float(loss.detach()), draw, places)
        if self.table is not None:
            expected = self.table.expected(draw.weights, supernet.space)
            objective = objective + self.latency_weight * expected.to(loss.device)
        before = {index: self.logits[index].detach().clone() for index in pairs}
        self.descend(objective)
        if self.table is None:
            self._keep_others(pairs, before)
        return float(loss.detach())

    def binary_gates(self, index: int, pair: tuple[int, int], rng: Random) -> dict[int, Tensor]:
        """1 for the one of the two options that is let through, 0 for the other, with the softmax's gradient."""
        chances = functional.softmax(self.logits[index][list(pair)], 0)
        passes = rng.choices((0, 1), chances.tolist())[0]
        return {
            option: float(place == passes) + (chances[place] - chances[place].detach())
            for place, option in enumerate(pair)
        }

    def _reinforced(self, loss: float, draw: Draw, places: dict[int, Place]) -> Tensor:
        """The surrogate whose gradient is REINFORCE's, for the decisions that can't be mixed."""
        advantage = 0.0 if self.baseline is None else loss - self.baseline
        self.baseline = loss if self.baseline is None else MEMORY * self.baseline + (1 - MEMORY) * loss
        total = torch.zeros(())
        for index, gene in enumerate(draw.genes):
            if gene != INACTIVE and not (index in places and places[index].mixable):
                total = total + advantage * draw.weights[index][gene].log()
        return total

    def _keep_others(self, pairs: Pairs, before: dict[int, Tensor]) -> None:
        """Shift the two options' logits so that their joint probability is as it was."""
        with torch.no_grad():
            for index, pair in pairs.items():
                logits, two = self.logits[index], list(pair)
                logits[two] += before[index][two].logsumexp(0) - logits[two].logsumexp(0)

    def state(self) -> dict[str, Tensor]:
        baseline = float("nan") if self.baseline is None else self.baseline
        return {**super().state(), "baseline": torch.tensor(baseline, dtype=torch.float64)}

    def restore(self, state: dict[str, Tensor]) -> None:
        found = float(state.get("baseline", torch.tensor(float("nan"))))
        self.baseline = None if found != found else found
        super().restore({key: value for key, value in state.items() if key != "baseline"})
