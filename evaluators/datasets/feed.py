"""The examples of a split as a network takes them, on its device, batch by batch."""

from collections.abc import Iterator

import torch
from torch import Tensor

from evaluators.datasets.dataset import DataSet, Split


def laid_out(inputs: Tensor) -> Tensor:
    """Pictures in channels last, the layout that convolutions are fastest in; all else contiguous."""
    return inputs.contiguous(memory_format=torch.channels_last if inputs.ndim == 4 else torch.contiguous_format)


class Feed:
    """A split's prepared inputs and targets.

    What is held in memory is prepared once; what is read from a file, whenever it is taken.
    """

    def __init__(self, dataset: DataSet, split: Split, device: str = "cpu") -> None:
        self.dataset, self.split, self.device = dataset, split, device
        self._inputs: Tensor | None = None
        if isinstance(split.inputs, Tensor):
            self._inputs = laid_out(dataset.prepared(split.inputs)).to(device)
            self._targets = dataset.task.targets(split.targets[:]).to(device)

    @property
    def size(self) -> int:
        """The number of examples."""
        return self.split.size

    def take(self, chosen: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Inputs and targets of some examples, by their numbers."""
        if self._inputs is not None:
            chosen = chosen if isinstance(chosen, slice) else chosen.to(self.device)
            return self._inputs[chosen], self._targets[chosen]
        inputs = laid_out(self.dataset.prepared(self.split.inputs[chosen]))
        return inputs.to(self.device), self.dataset.task.targets(self.split.targets[chosen]).to(self.device)

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All examples in their order."""
        for start in range(0, self.size, size):
            yield self.take(slice(start, start + size))
