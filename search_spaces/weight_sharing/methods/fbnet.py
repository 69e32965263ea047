"""FBNet: Gumbel-softmax mixtures whose loss has the expected latency in it.

## Differentiable methods
The loss on held-out pictures is cross-entropy x alpha x log(latency)^beta, the latency in microseconds, expected
under the very Gumbel-softmax weights of the step, by a table {decision: {option: ms}} of the device (measured by
`evaluators.latency_table`). The weights' pictures see the mixture, too, as in the paper. Where mixtures can't be, a
single path with a gate takes their place, as in DARTS here. The paper's networks choose one of nine blocks per layer;
here all decisions of the space count.
"""

from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from search_spaces.decisions import Pick
from search_spaces.errors import SpaceError
from search_spaces.weight_sharing.latency_table import LatencyTable
from search_spaces.weight_sharing.methods.base import METHODS
from search_spaces.weight_sharing.methods.darts import Mixing
from search_spaces.weight_sharing.methods.differentiable import Draw, gumbel_softmax, positive
from search_spaces.weight_sharing.supernet import Supernet

LEAST_US = 2.0
"""Below this latency, in microseconds, the term stays as it is: the logarithm must be above 0."""


@METHODS.register(
    "fbnet", source="FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural Architecture Search"
)
class FBNet(Mixing):
    """A Gumbel-softmax mixture of options with an expected-latency term; its temperature falls exponentially."""

    name = "fbnet"
    held_out = 0.2

    def __init__(
        self,
        latency_table: dict[str, Any] | str | None = None,
        alpha: float = 0.2,
        beta: float = 0.6,
        lr: float = 0.01,
        weight_decay: float = 5e-4,
        warm_up: float = 0.11,
        temperature: float = 5.0,
        last_temperature: float = 0.09,
    ) -> None:
        """`latency_table` is a table's JSON, or the path of its file; without one, only the loss counts.

        `warm_up` (10 of 90 epochs) is the share of the training in which only the weights learn. The paper's
        temperature is 5 x 0.956^epoch.
        """
        super().__init__(lr, weight_decay, (0.9, 0.999), warm_up)
        self._given = table_setting(latency_table)
        self.alpha, self.beta = positive("alpha", alpha), positive("beta", beta)
        self.temperature = positive("temperature", temperature)
        self.last_temperature = positive("last_temperature", last_temperature)
        self.table: LatencyTable | None = None

    def prepare(self, supernet: Supernet) -> None:
        super().prepare(supernet)
        self.table = None if self._given is None else LatencyTable.of(self._given, supernet.space)

    def weights(self, generator: torch.Generator, progress: float) -> list[Tensor]:
        temperature = self.temperature * (self.last_temperature / self.temperature) ** progress
        return [gumbel_softmax(logits, temperature, generator) for logits in self.logits]

    def pick(self, weights: list[Tensor], rng: Random) -> Pick:
        """The option of the largest weight."""
        best = [int(row.argmax()) for row in weights]
        return lambda index, options: best[index]

    def objective(self, loss: Tensor, draw: Draw, supernet: Supernet) -> Tensor:
        if self.table is None:
            return loss
        microseconds = 1000 * self.table.expected(draw.weights, supernet.space)
        return loss * self.alpha * microseconds.clamp_min(LEAST_US).log().to(loss.device) ** self.beta


def table_setting(value: Any) -> dict[str, Any] | str | None:
    """A setting that is a latency table's JSON, the path of its file, or None; raises `SpaceError`."""
    if value is None or isinstance(value, dict | str):
        return value
    if isinstance(value, Path):
        return str(value)
    raise SpaceError(f"latency_table is a table's JSON or the path of its file, not {value!r}")
