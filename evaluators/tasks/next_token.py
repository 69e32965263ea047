"""Next-token prediction: at each place of a text, which token follows."""

import copy
from dataclasses import dataclass, replace
from math import exp, inf
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from archfront.contracts import Metric, Provenance
from evaluators.intervals import averaged
from evaluators.tasks.task import IGNORED, Shape, Tally, Task
from search_spaces.errors import SpaceError

ALLOWED = 1e-4
"""What other arithmetic may change of an output, as a share of the largest one."""


class TokenTally(Tally):
    """Of each window of text, the summed cross-entropy, the tokens foretold correctly, and those that count."""

    def __init__(self) -> None:
        self._windows: list[Tensor] = []

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        known = targets != IGNORED
        losses = functional.cross_entropy(outputs, targets, reduction="none")
        right = (outputs.argmax(1) == targets) & known
        self._windows.append(torch.stack([part.sum(1).double() for part in (losses, right, known)]).cpu())

    def metrics(self, provenance: Provenance, prefix: str = "") -> list[Metric]:
        losses, right, known = torch.cat(self._windows, 1).numpy()
        loss = averaged(f"{prefix}loss", losses, known, provenance, "nats")
        perplexity = replace(
            loss,
            name=f"{prefix}perplexity",
            value=_exp(loss.value),
            unit="",
            low=None if loss.low is None else _exp(loss.low),
            high=None if loss.high is None else _exp(loss.high),
        )
        return [loss, perplexity, averaged(f"{prefix}accuracy", right, known, provenance, "fraction")]


def _exp(value: float) -> float:
    """e to the power of `value`; infinity where that is no float any more."""
    return exp(value) if value < 700 else inf


@dataclass(frozen=True)
class NextToken(Task):
    """The token after each of a window's; targets are integers (n, length), the inputs' successors.

    `classes` is the vocabulary.
    """

    name: ClassVar[str] = "next-token prediction"
    measures: ClassVar[tuple[str, ...]] = ("loss", "perplexity", "accuracy")
    counted: ClassVar[str] = "tokens"
    needs: ClassVar[str] = "take a head that gives one value per token of the vocabulary at every place, as 'language'"

    def gives(self, inputs: Shape) -> Shape:
        return (self.outputs, *inputs[1:])

    def tally(self) -> TokenTally:
        return TokenTally()

    def describe(self) -> str:
        return self.name

    @property
    def readable(self) -> str:
        return "probabilities of the next token, at every place"

    def check(self, model: nn.Module, examples: Tensor) -> None:
        super().check(model, examples)
        if looks_ahead(model, examples[:1], self.outputs):
            raise SpaceError(
                "the network looks ahead: what it gives for a place depends on later tokens, so it couldn't foretell "
                "them; take causal parts only, as those of the space 'language'"
            )


def looks_ahead(model: nn.Module, tokens: Tensor, vocabulary: int) -> bool:
    """Whether other tokens at the end of a window (1, length) change what a network gives for the places before.

    It is tried on a copy without constant weights, since a branch that begins at zero would hide what it sees.
    """
    network = copy.deepcopy(model).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.numel() and bool((weight == weight.flatten()[0]).all()):
                values = torch.rand(weight.shape, generator=generator) + 0.5
                weight.copy_(values.to(weight))
        length = tokens.shape[1]
        shift = torch.randint(1, vocabulary, tokens.shape, generator=generator).to(tokens)
        before = network(tokens)
        for place in sorted({1, length // 2, length - 1} - {0, length}):
            other = tokens.clone()
            other[:, place:] = (other[:, place:] + shift[:, place:]) % vocabulary
            moved = (network(other) - before)[..., :place].abs().max()
            if not bool(moved <= ALLOWED * before.abs().max()):
                return True
    return False
