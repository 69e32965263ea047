"""Augmentations: what training may do to examples without changing what they show, or as much as targets then say."""

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from evaluators.recipes import Member
from search_spaces.families import Family

AUGMENTATION = Family("augmentation", __name__)


class Augmentation(Member):
    """An augmentation of batches. `media` are the media of data sets that it is for, see `DataSet.medium`.

    `masks` says whether it is for tasks whose targets have the pictures' sides, which it then changes with them.
    """

    media: ClassVar[tuple[str, ...]] = ("pictures",)
    masks: ClassVar[bool] = True

    @abstractmethod
    def applied(self, inputs: Tensor, targets: Tensor, data: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A batch changed: prepared inputs (n, ...) and targets as losses take them, neither in place.

        All draws come from `generator`, which is on the CPU; `data` is the `DataSet`.
        """

    def refuses(self, data: Any) -> str | None:
        if data.medium not in self.media:
            return f"is for {' and '.join(self.media)}, and this data set holds {data.medium}"
        if has_masks(data) and not self.masks:
            return "can't keep masks in step with pictures; shift, flip, crop and cutmix can"
        return None


def has_masks(data: Any) -> bool:
    """Whether targets have the pictures' sides."""
    return len(data.task.gives(data.inputs)) > 2
