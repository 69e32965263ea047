"""Kernel transformations: a smaller kernel is the centre of the next larger one times a matrix that is learnt.

The design of "Once-for-All: Train One Network and Specialize it for Efficient Deployment": from 7x7 to 5x5 by a 25x25
matrix, from there to 3x3 by a 9x9 one, each shared by all channels of a layer. It lets one filter serve at several
sizes without the centre having to be a good filter by itself.
"""

from collections.abc import Iterable
from math import prod

import torch
from torch import Tensor

Sides = tuple[int, ...]
"""The kernel's size along each side, as (5, 5)."""
Step = tuple[Sides, Tensor]
"""The size that a step leads to, and its matrix (n, n) for kernels of n weights."""


def key_of(key: str, sides: Sides) -> str:
    """The store's key of the matrix of the step that leads to `sides`, for the weight under `key`."""
    return f"{key}@{'x'.join(map(str, sides))}"


def identity(sides: Sides) -> Tensor:
    """The matrix that leaves the crop to `sides` as it is."""
    return torch.eye(prod(sides))


def nested(sizes: Iterable[Sides], largest: Sides) -> list[Sides]:
    """Of the sizes, those below the largest that lie within one another, from the largest on.

    Steps lead only from a kernel to one within it; another (1x7 and 7x1 in one layer) is a plain crop.
    """
    found, outer = [], largest
    for sides in sorted(sizes, key=lambda sides: (prod(sides), sides), reverse=True):
        if sides != outer and all(small <= large for small, large in zip(sides, outer, strict=True)):
            found.append(sides)
            outer = sides
    return found


def cropped(kernels: Tensor, sides: Sides) -> Tensor:
    """The centres, of size `sides`, of kernels (outputs, inputs, …)."""
    starts = [(large - small) // 2 for large, small in zip(kernels.shape[2:], sides, strict=True)]
    index = [slice(start, start + small) for start, small in zip(starts, sides, strict=True)]
    return kernels[(slice(None), slice(None), *index)]


def transformed(kernels: Tensor, steps: Iterable[Step]) -> Tensor:
    """Kernels (outputs, inputs, …) taken through the steps, from the largest size to the one wanted."""
    for sides, matrix in steps:
        centre = cropped(kernels, sides)
        kernels = (centre.flatten(2) @ matrix.T).view(centre.shape)
    return kernels
