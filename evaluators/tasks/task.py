"""The contract of a task, and what tasks of one kind have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from archfront.contracts import Metric, Provenance, WrongUse
from search_spaces.errors import SpaceError
from search_spaces.example_inputs import takes_ids

Shape = tuple[int, ...]
Kind = Literal["categorical", "binary", "numeric"]
"""How outputs relate to targets: one class of several, each class by itself, or numbers."""
IGNORED = -100
"""The class of what a categorical loss and all figures leave out, as unlabelled pixels."""


class Tally(ABC):
    """What a network got right so far, batch after batch of a split."""

    confusion: Tensor | None = None
    """Of categorical tasks, how many examples of each class (rows) were taken for each class (columns); int64."""

    @abstractmethod
    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in a batch: float32 outputs as the network gives them, targets as `Task.targets` does."""

    @abstractmethod
    def metrics(self, provenance: Provenance, prefix: str = "") -> list[Metric]:
        """The task's measures over all that was added, in their order, their names behind `prefix` ("test_")."""


@dataclass(frozen=True)
class Task(ABC):
    """What a data set asks of a network.

    `outputs` is the width of a network's head. `classes` are their names, where outputs are classes; `frequencies`
    says how many training examples (or pixels, or tokens) each has. A network gives float outputs of shape
    (batch, *gives(inputs)); where there are classes, they are in dimension 1, before any sides. Targets of kind
    "categorical" are integers of the outputs' shape without that dimension (or probabilities of their very shape, as
    mixed pictures have), of kind "binary" 0 to 1 and of kind "numeric" any floats, both of the outputs' shape.

    Class attributes: `name` as people call it; `kind`; `measures` are the names of its metrics on validation data, the
    first one is what a search seeks unless it is told otherwise (on test data they are called `test_...`).
    `balance` is the power of the class weights that losses have unless a recipe says otherwise: weights are as the
    class frequencies to the power of `-balance`, 0 for none. `batch_size` is how many examples suit a step of training.
    """

    outputs: int
    classes: tuple[str, ...] = ()
    frequencies: tuple[int, ...] = ()

    name: ClassVar[str] = ""
    kind: ClassVar[Kind] = "categorical"
    measures: ClassVar[tuple[str, ...]] = ()
    balance: ClassVar[float] = 0.0
    batch_size: ClassVar[int] = 64

    def gives(self, inputs: Shape) -> Shape:
        """The shape of what a network gives for one example of shape `inputs` (channels first); (outputs,)."""
        return (self.outputs,)

    @abstractmethod
    def tally(self) -> Tally:
        """A fresh tally."""

    def targets(self, held: Tensor) -> Tensor:
        """The targets as losses take them, from a batch of them as the split holds them."""
        return held.long() if self.kind == "categorical" else held.float()

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0, balance: float = 0.0) -> Tensor:
        """The mean loss of a batch: cross-entropy, binary cross-entropy or squared error, by the kind.

        `smoothing` mixes the targets of classes with even ones, `balance` weighs classes (see the class).
        """
        weights = self.class_weights(balance, outputs.device)
        if self.kind == "categorical":
            return functional.cross_entropy(outputs, targets, weights, label_smoothing=smoothing)
        if self.kind == "binary":
            wanted = targets * (1 - smoothing) + smoothing / 2
            return functional.binary_cross_entropy_with_logits(outputs, wanted, weights)
        return functional.mse_loss(outputs, targets)

    def class_weights(self, balance: float, device: Any = "cpu") -> Tensor | None:
        """A weight per class, about 1 in the mean over examples: its frequency to the power of `-balance`."""
        if not balance or not self.frequencies:
            return None
        counts = torch.tensor(self.frequencies, dtype=torch.float32, device=device).clamp(min=1)
        weights = counts**-balance
        return weights * (counts.sum() / (counts * weights).sum())

    @property
    def distance(self) -> Callable[[Tensor, Tensor], Tensor] | None:
        """How far a student's outputs are from a teacher's; None where they are one distribution over classes.

        For these, whoever distils has its own measures (Kullback-Leibler, alpha-divergence).
        """
        distances: dict[str, Any] = {"binary": _binary_distance, "numeric": functional.mse_loss}
        return distances.get(self.kind)

    def mixed(self, targets: Tensor) -> Tensor:
        """The targets in the form in which those of two examples may be averaged: class numbers as probabilities.

        What is left out gets zeros.
        """
        if self.kind != "categorical" or targets.is_floating_point():
            return targets
        known = (targets != IGNORED).unsqueeze(1)
        return functional.one_hot(targets.clamp(min=0), self.outputs).movedim(-1, 1) * known.float()

    def check(self, model: nn.Module, examples: Tensor) -> None:
        """Raise `SpaceError`, one line, where the network can't do this task; `examples` as it takes them."""
        if takes_ids(model) == examples.is_floating_point():
            takes, given = ("tokens", "numbers") if takes_ids(model) else ("numbers", "tokens")
            cure = "another stem than" if takes_ids(model) else "a stem for them, as"
            raise SpaceError(f"the network takes {takes}, and the data are {given}: take {cure} token_embedding")
        was = model.training
        with torch.no_grad():
            found = tuple(model.eval()(examples[:1]).shape[1:])
        model.train(was)
        shape = examples.shape[1:]
        wanted = self.gives((self.outputs, *shape) if not examples.is_floating_point() else tuple(shape))
        if found != wanted:
            raise SpaceError(f"the network gives {found} for an example, but {self.name} needs {wanted}: {self.needs}")

    def describe(self) -> str:
        """In a few words, what is asked."""
        return f"{self.outputs} classes" if self.classes else self.name

    counted: ClassVar[str] = "examples"
    """What `frequencies` counts."""
    needs: ClassVar[str] = "take a head that gives one value per output, as average_pool"
    """What to do about a network whose outputs have another shape."""

    def reading(self) -> nn.Module:
        """A module that turns outputs into what people read: probabilities, classes, values in their unit."""
        return nn.Softmax(1) if self.kind == "categorical" else nn.Sigmoid() if self.kind == "binary" else nn.Identity()

    @property
    def readable(self) -> str:
        """In a few words, what `reading` gives."""
        return {"categorical": "probabilities of the classes", "binary": "a probability for each class"}.get(
            self.kind, "values"
        )

    def check_targets(self, targets: Sequence[Any]) -> None:
        """Raise `WrongUse`, one line, for targets that are out of range; they are arrays or tensors, one a split."""
        for held in map(np.asarray, targets):
            if not np.issubdtype(held.dtype, np.integer):
                raise WrongUse(f"targets of type {held.dtype}, but {self.name} needs integers, the classes' numbers")
            wrong = held[((held < 0) | (held >= self.outputs)) & (held != IGNORED)]
            if wrong.size:
                raise WrongUse(
                    f"{wrong.size:,} targets are out of range, as {wrong.flat[0]}; the {self.outputs} classes are "
                    f"numbered 0 to {self.outputs - 1}"
                )

    def fitted(self, targets: Any) -> Self:
        """The task with what it must know of the training targets (array or tensor), where it doesn't know it yet."""
        if self.frequencies:
            return self
        held = np.asarray(targets)
        counts = np.bincount(held[held != IGNORED].reshape(-1), minlength=self.outputs)
        return replace(self, frequencies=tuple(counts.tolist()))


def _binary_distance(outputs: Tensor, wanted: Tensor) -> Tensor:
    """The mean cross-entropy with the teacher's probabilities."""
    return functional.binary_cross_entropy_with_logits(outputs, wanted.sigmoid())
