"""A data set as evaluators see it: three splits of tensors, and what was found out about them."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Augmentation = Literal["none", "shift", "flip"]
"""What training may do to a picture without changing its class: nothing, shift it, or shift and mirror it."""


class Split(NamedTuple):
    """Images, uint8 (0 to 255) or float32, of shape (n, channels, height, width), and int64 labels of shape (n,)."""

    images: Tensor
    labels: Tensor

    @property
    def size(self) -> int:
        """The number of examples."""
        return self.labels.shape[0]


@dataclass(frozen=True)
class DataSet:
    """An image classification task.

    `validation` is drawn from the training pictures (or was given) and selects; `test` is for the report alone.
    `mean` and `std`, one per channel, are those of the training split, in units of 0 to 1 for uint8 images. `sha256`
    is that of all pictures and labels. `problems` are lines on what was found wrong but could be worked around.
    """

    name: str
    inputs: tuple[int, int, int]
    outputs: int
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sha256: str
    augmentation: Augmentation = "shift"
    problems: tuple[str, ...] = ()

    def normalized(self, images: Tensor) -> Tensor:
        """`images` as a network takes them: float32, zero mean and unit variance per channel; the same shape."""
        scale = 255.0 if images.dtype == torch.uint8 else 1.0
        mean = torch.tensor(self.mean, device=images.device).view(-1, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(-1, 1, 1)
        return (images.float() / scale - mean) / std


def describe(dataset: DataSet) -> str:
    """One paragraph: sizes, splits, class balance, augmentation, hash, and the problems found."""
    channels, height, width = dataset.inputs
    counts = torch.bincount(dataset.train.labels, minlength=dataset.outputs)
    rarest, commonest = int(counts.argmin()), int(counts.argmax())
    balance = (
        f"balanced, {int(counts.min())} to {int(counts.max())} training examples a class"
        if counts.max() <= 1.5 * counts.min()
        else f"unbalanced: '{dataset.classes[rarest]}' has {int(counts.min())} training examples, "
        f"'{dataset.classes[commonest]}' {int(counts.max())}"
    )
    augmentation = {"none": "none", "shift": "shifts", "flip": "shifts and mirroring"}[dataset.augmentation]
    text = (
        f"{dataset.name}: {dataset.outputs} classes, {height}×{width} pixels, {channels} channel"
        f"{'s' if channels > 1 else ''}; {dataset.train.size:,} train, {dataset.validation.size:,} validation, "
        f"{dataset.test.size:,} test examples; {balance}; augmentation: {augmentation}; "
        f"sha256 {dataset.sha256[:12]}."
    )
    return text + "".join(f" Note: {problem}." for problem in dataset.problems)
