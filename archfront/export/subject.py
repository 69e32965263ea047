"""What is exported: one searched network, with all that its card and files say about it."""

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from archfront.contracts import Metric
from search_spaces.building import build
from search_spaces.canonical import digest, outline
from search_spaces.deployment import deployed
from search_spaces.example_inputs import input_shape, no_inputs, takes_ids
from search_spaces.parts import Part, without_recipe

if TYPE_CHECKING:
    from evaluators.datasets import DataSet


@dataclass(frozen=True)
class Subject:
    """One searched network. `state` holds its trained weights, `inputs` is the shape of an example, channels first."""

    architecture: Part
    state: dict[str, torch.Tensor]
    inputs: tuple[int, ...]
    outputs: int
    study: str = ""
    number: int | None = None
    space: str = ""
    metrics: tuple[Metric, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    """Settings of the training, as they were recorded."""
    classes: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)
    """What it was trained on: specification, name and sha256, as far as known."""
    data_set: "DataSet | None" = None
    """The data set itself, where it is at hand: how raw inputs are prepared, and outputs read."""

    @cached_property
    def digest(self) -> str:
        """The digest that the study knows it by."""
        return digest(self.architecture)

    @property
    def network(self) -> Part:
        """The architecture without the recipe that it may have been searched with."""
        return without_recipe(self.architecture)

    @cached_property
    def model(self) -> nn.Module:
        """The searched network with its weights, in evaluation mode."""
        model = build(self.architecture, self.inputs, self.outputs, seed=0)
        model.load_state_dict(self.state)
        return model.eval()

    @cached_property
    def deployed(self) -> nn.Module:
        """Its deployed form: batch norm folded, training-only parts removed."""
        return deployed(self.model)

    @cached_property
    def weights_sha256(self) -> str:
        """A hash of the names and values of its weights, however they are stored."""
        found = sha256()
        for name in sorted(self.state):
            found.update(name.encode())
            found.update(self.state[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return found.hexdigest()

    @property
    def takes(self) -> str:
        """What the network is given, in words: the type and shape of a batch."""
        shape = ", ".join(map(str, input_shape(self.model, self.inputs)))
        return f"{'int64' if takes_ids(self.model) else 'float32'} (batch, {shape})"

    @cached_property
    def gives(self) -> str:
        """What it gives, in words."""
        with torch.no_grad():
            found = self.model(no_inputs(self.model, self.inputs))
        return f"(batch, {', '.join(map(str, found.shape[1:]))})"

    @property
    def title(self) -> str:
        """A few words that name it."""
        of = f"candidate {self.number} of the study '{self.study}'" if self.study else "a network"
        return f"{of}, {self.digest[:12]}" if self.study else f"{of} {self.digest[:12]}"

    @property
    def outline(self) -> str:
        """The architecture in one readable line."""
        return outline(self.architecture)


def silent(line: str) -> None:
    """Takes a line on what an export does, and says nothing."""


def figure(value: float) -> str:
    """A metric's value for people: whole numbers in full, six digits of others."""
    return f"{int(value):,}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.6g}"
