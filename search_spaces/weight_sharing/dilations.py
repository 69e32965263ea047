"""Efficient dilation optimisation: the dilation of each channel from one trained network with full kernels.

"Inception Convolution with Efficient Dilation Search": a kernel of 2 · reach + 1 covers every dilation up to `reach` of
a kernel of 3. Each channel gets the dilation whose part of the full kernel comes nearest to the output of all of it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.blocks.token_mixer.inception_conv import ChannelDilatedConv, InceptionConv
from search_spaces.errors import SpaceError
from search_spaces.parts import Part, fields_of
from search_spaces.space import SearchSpace

Pair = tuple[int, int]
"""Dilations down and across."""


class FullKernel(nn.Conv2d):
    """A convolution of which `pairs` of dilations of a smaller `kernel` are all part; notes how far each is from it.

    While `watching`, `distance` (pairs, channels) sums up the absolute differences of outputs over all that passes.
    """

    def __init__(self, channels: int, kernel: int, pairs: Sequence[Pair]) -> None:
        sides = [2 * max(pair[axis] for pair in pairs) * (kernel // 2) + 1 for axis in (0, 1)]
        super().__init__(channels, channels, (sides[0], sides[1]), padding=(sides[0] // 2, sides[1] // 2))
        self.kernel, self.pairs = kernel, tuple(pairs)
        self.watching = False
        self.distance = torch.zeros(len(pairs), channels)

    def left_out(self, pair: Pair) -> Tensor:
        """1 where the full kernel (height, width) has a weight that the one of these dilations lacks, else 0."""
        mask = torch.ones(self.kernel_size, device=self.weight.device, dtype=self.weight.dtype)
        rows, columns = (
            [side // 2 + step * d for step in range(-(self.kernel // 2), self.kernel // 2 + 1)]
            for side, d in zip(self.kernel_size, pair, strict=True)
        )
        mask[torch.tensor(rows)[:, None], torch.tensor(columns)] = 0
        return mask

    def forward(self, x: Tensor) -> Tensor:
        if self.watching:
            for number, pair in enumerate(self.pairs):
                # The difference of the outputs is what the weights that are left out give.
                rest = nn.functional.conv2d(x, self.weight * self.left_out(pair), None, 1, self.padding)
                self.distance[number] += rest.abs().sum(dim=(0, 2, 3)).to(self.distance)
        return super().forward(x)


def covering(space: SearchSpace, architecture: Any, model: nn.Module, seed: int = 0) -> list[tuple[str, FullKernel]]:
    """Give `model`, built of `architecture`, a full kernel for each inception convolution that the space varies.

    Returns the path of each in the architecture and the new module, its weights drawn with `seed`. Raises `SpaceError`
    where the space leaves no dilations open.
    """
    parts = [(path, part) for path, part in _parts(architecture) if isinstance(part, InceptionConv)]
    modules = [name for name, module in model.named_modules() if isinstance(module, ChannelDilatedConv)]
    found: list[tuple[str, FullKernel]] = []
    for (path, part), name in zip(parts, modules, strict=True):
        pairs = sorted({pair for _, options in _open(space, path, architecture) for pair in options})
        if pairs:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed + len(found))
                full = FullKernel(model.get_submodule(name).in_channels, part.kernel, pairs)
            parent, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(parent), attribute, full)
            found.append((path, full))
    if not found:
        raise SpaceError(
            f"the space '{space.name}' leaves no dilations open; give an inception_conv the field "
            "dilations=repeat(CHANNELS, one_of((1, 1), (1, 2), …))"
        )
    return found


def chosen(
    space: SearchSpace,
    architecture: Any,
    model: nn.Module,
    kernels: Iterable[tuple[str, FullKernel]],
    batches: Iterable[Tensor],
) -> Any:
    """`architecture` with the dilations that come nearest to the full kernels on these images.

    Where several channels share a choice, it is the one that is nearest over all of them.
    """
    known = list(kernels)
    model.eval()
    for _, full in known:
        full.distance.zero_()
        full.watching = True
    with torch.no_grad():
        for images in batches:
            model(images)
    genes = list(space.genes(architecture))
    for path, full in known:
        full.watching = False
        decisions = _open(space, path, architecture)
        period = _period(architecture, path)
        for index, options in decisions:
            place = int(space.decisions[index].path.rpartition(".")[2])
            distance = full.distance[:, place::period].sum(1)
            merit = [float(distance[full.pairs.index(pair)]) for pair in options]
            genes[index] = min(range(len(options)), key=merit.__getitem__)
    return space.architecture(tuple(genes))


def _open(space: SearchSpace, path: str, architecture: Any) -> list[tuple[int, Sequence[Pair]]]:
    """The decisions in force about the dilations of the part at `path`, one per channel, and their options."""
    genes = space.genes(architecture)
    start = f"{path}.dilations." if path else "dilations."
    return [
        (i, d.options)
        for i, d in enumerate(space.decisions)
        if d.path.startswith(start) and genes[i] >= 0 and d.path[len(start) :].isdigit()
    ]


def _period(architecture: Any, path: str) -> int:
    return len(next(part for at, part in _parts(architecture) if at == path).dilations)


def _parts(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    """All parts of an architecture with their paths, in the order in which networks build them."""
    if isinstance(tree, tuple):
        return [found for i, item in enumerate(tree) for found in _parts(item, f"{path}.{i}".removeprefix("."))]
    if not isinstance(tree, Part):
        return []
    inner = [found for f in fields_of(tree) for found in _parts(getattr(tree, f), f"{path}.{f}".removeprefix("."))]
    return [(path, tree), *inner]


__all__ = ["FullKernel", "chosen", "covering"]
