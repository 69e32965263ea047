"""What it takes to find all tensors of a supernet: by the covering of all pairs, and by learning what acts together.

`many` has three stages of up to three blocks, each of which chooses among 60 token mixers, 12 normalizations and 10
channel mixers: of the token mixers some have sizes, some have weights that depend on the map, some have no rule for
sharing. Of a covering that would take too long, the rows are counted (`>`: at least so many) and the seconds estimated
from the first networks of it. `missed` is how many tensors some of
`--check` random networks would still need.

    python -m benchmarks.supernet_covering [--spaces many hybrid mobile] [--side 32] [--cap 400] [--check 100]
"""

import argparse
import time
from itertools import islice
from math import prod
from random import Random
from typing import Any

import torch
from torch import nn

from search_spaces.blocks import AbsoluteEncoding, Block, ConditionalEncoding, Conv3x3Stem, ConvDownsample, PatchifyStem
from search_spaces.holes import integers, one_of, repeat
from search_spaces.parts import Part, part, size, slot
from search_spaces.site import Site
from search_spaces.space import Space
from search_spaces.spaces import get_space
from search_spaces.topologies import Network, Stage
from search_spaces.weight_sharing.recording import shapes_of
from search_spaces.weight_sharing.sampling import axes_of, covering, rows_of_kinds
from search_spaces.weight_sharing.survey import Survey

SAMPLE = 30
"""Networks from which the seconds of a covering that isn't built are estimated."""
COUNTED = 20
"""Seconds after which the rows of a covering aren't counted any further."""

Map = tuple[int, int, int]


class Branch(nn.Module):
    """The sum of what its layers give, plus the attention of all positions where there are heads."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([layer(x) for layer in self.layers]).sum(0)


class Windows(nn.Module):
    """A learned mixture of the positions of each window, which is cut by the map; the rest of the map is left."""

    def __init__(self, shape: tuple[int, ...], window: int) -> None:
        super().__init__()
        self.window = min(window, *shape[1:])
        self.mixing = nn.Linear(self.window**2, self.window**2)
        self.channels = nn.Conv2d(shape[0], shape[0], 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = self.window
        rows, columns = x.shape[2] // size * size, x.shape[3] // size * size
        tiles = x[:, :, :rows, :columns].unflatten(2, (-1, size)).unflatten(4, (-1, size)).transpose(3, 4)
        mixed = self.mixing(tiles.flatten(4)).unflatten(4, (size, size)).transpose(3, 4).flatten(4, 5).flatten(2, 3)
        found = x.clone()
        found[:, :, :rows, :columns] = mixed
        return self.channels(found)


class Gate(nn.Module):
    """`value(x) * sigmoid(gate(x))`, through `hidden` channels."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.value, self.gate = nn.Conv2d(channels, hidden, 1), nn.Conv2d(channels, hidden, 1)
        self.out = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.value(x) * self.gate(x).sigmoid())


class Depthwise(Part):
    """One filter per channel."""

    kernel: int = size("kernel", default=7)
    dilation: int = 1

    def build(self, site: Site) -> nn.Module:
        padding = self.dilation * (self.kernel // 2)
        return nn.Conv2d(site.channels, site.channels, self.kernel, 1, padding, self.dilation, site.channels)


class Bottleneck(Part):
    """Through `expansion` times the channels, with a normalization of its own; without a first layer for 1."""

    kernel: int = size("kernel", default=5)
    expansion: int = size("expansion", default=4)
    norm: Any = slot("norm", default="batch")

    def weight_branch(self, site: Site) -> str:
        """An expansion of 1 has no first layer."""
        return "expands" if self.expansion > 1 else ""

    def build(self, site: Site) -> nn.Module:
        channels, hidden = site.channels, site.channels * self.expansion
        first = [nn.Conv2d(channels, hidden, 1), self.norm.build(site.wide(hidden))] if hidden != channels else []
        inner = nn.Conv2d(hidden, hidden, self.kernel, padding=self.kernel // 2, groups=hidden)
        return nn.Sequential(*first, nn.SiLU(), inner, nn.SiLU(), nn.Conv2d(hidden, channels, 1))


class Windowed(Part):
    """A mixture of positions inside windows."""

    window: int = size("window", default=8)
    positions: Any = slot("positional_encoding", default=None)

    def weight_branch(self, site: Site) -> str:
        """A window's mixture belongs to its size, which the map cuts."""
        return f"window={min(self.window, *site.sides)}"

    def build(self, site: Site) -> nn.Module:
        inner = Windows(site.shape, self.window)
        return inner if self.positions is None else nn.Sequential(self.positions.build(site), inner)


class Gated(Part):
    """A gated unit."""

    expansion: int = size("expansion", default=2)

    def build(self, site: Site) -> nn.Module:
        return Gate(site.channels, site.channels * self.expansion)


class Several(Part):
    """Convolutions of several kernels side by side."""

    kernels: tuple[int, ...] = (3, 5)
    mode: str = "full"

    def build(self, site: Site) -> nn.Module:
        groups = site.channels if self.mode == "depthwise" else 1
        return Branch(
            *(nn.Conv2d(site.channels, site.channels, k, padding=k // 2, groups=groups) for k in self.kernels)
        )


class LowRank(Part):
    """Two 1x1 layers through `rank` channels; it has no rule for sharing."""

    rank: int = 4

    def build(self, site: Site) -> nn.Module:
        return nn.Sequential(nn.Conv2d(site.channels, self.rank, 1), nn.Conv2d(self.rank, site.channels, 1))


class Scaled(Part):
    """A normalization of groups."""

    groups: int = 4

    def build(self, site: Site) -> nn.Module:
        return nn.GroupNorm(self.groups, site.channels)


def registered(family: str, name: str, base: type[Part], sliced: bool = True) -> Any:
    """A class of its own for each number, as if someone had written it."""
    made: dict[str, Any] = {"__doc__": base.__doc__, "__module__": __name__, "__qualname__": name, **vars(base)}
    made = {key: value for key, value in made.items() if key not in ("__dict__", "__weakref__")}
    return part(family, name, source="A benchmark", sliced=sliced)(type(name, (Part,), made))


def token_mixers() -> list[Any]:
    """60 of them: 20 depthwise, 12 bottlenecks, 8 windowed, 8 gated, 8 of several kernels, 4 without a rule."""
    found: list[Any] = []
    for i in range(60):
        base = ([Depthwise] * 20 + [Bottleneck] * 12 + [Windowed] * 8 + [Gated] * 8 + [Several] * 8 + [LowRank] * 4)[i]
        cls = registered("token_mixer", f"benchmark_mixer_{i}", base, sliced=base is not LowRank)
        if base is Depthwise:
            found.append(cls(kernel=one_of(3, 5, 7), dilation=1 + i % 3))
        elif base is Bottleneck:
            found.append(cls(one_of(3, 5), one_of(1, 2, 4), norm=one_of("batch", "layer") if i % 2 else "batch"))
        elif base is Windowed:
            encodings = one_of(None, ConditionalEncoding(), *([AbsoluteEncoding()] if i % 4 == 0 else []))
            found.append(cls(window=one_of(4, 8), positions=encodings))
        elif base is Gated:
            found.append(cls(expansion=one_of(1, 2)))
        elif base is Several:
            found.append(cls(kernels=(3, 5 + 2 * (i % 2)), mode=one_of("full", "depthwise")))
        else:
            found.append(cls(rank=one_of(2, 4)))
    return found


def many() -> Space:
    """The space of many designs."""
    norms: list[Any] = ["batch", "layer", "rms"]
    for i in range(9):
        cls = registered("norm", f"benchmark_norm_{i}", Scaled)
        norms.append(cls(groups=2 ** (i % 3 + 1)))
    channel_mixers: list[Any] = [None]
    for i in range(9):
        cls = registered("channel_mixer", f"benchmark_channels_{i}", Gated)
        channel_mixers.append(cls(expansion=one_of(1, 2, 3)))
    block: Any = Block(
        token_mixer=one_of(*token_mixers()),
        channel_mixer=one_of(*channel_mixers),
        norm=one_of(*norms),
        norm_placement=one_of("pre", "post", "peri"),
        residual=one_of("add", "layer_scale"),
    )
    stages = tuple(
        Stage(one_of(*widths), repeat(integers(1, 3), block), one_of("conv", ConvDownsample(2)) if i else None)
        for i, widths in enumerate(((16, 24), (32, 48), (64, 96)))
    )
    stem: Any = one_of(Conv3x3Stem(stride=one_of(1, 2)), PatchifyStem(2), PatchifyStem(4))
    return Space(Network(stem=stem, stages=stages), "many")


def main() -> None:
    """Print one line per space and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", nargs="+", default=["many", "hybrid", "mobile"])
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--cap", type=int, default=400, help="networks of a covering that are built at most")
    parser.add_argument("--check", type=int, default=100)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    inputs = (3, arguments.side, arguments.side)
    print(f"{'space':<8} {'way':<22} {'builds':>8} {'seconds':>9} {'tensors':>8} {'missed':>7}")
    for name in arguments.spaces:
        space = many() if name == "many" else get_space(name, inputs, 60_000)
        assert isinstance(space, Space)
        before(space, inputs, arguments.cap, arguments.check)
        for way in ("learnt", "fitting"):
            survey(space, inputs, way, arguments.check)


def before(space: Space, inputs: Map, cap: int, check: int) -> None:
    """The covering of all pairs, built where that is at most `cap` networks, and otherwise counted."""
    axes, _ = axes_of(space)
    rows, ended = counted(rows_of_kinds(axes))
    if ended and rows <= cap:
        survey(space, inputs, "whole", check)
        return
    start = time.perf_counter()
    for architecture in islice(covering(space), SAMPLE):
        shapes_of(architecture, inputs, 10)
    each = (time.perf_counter() - start) / SAMPLE
    if any(view.alone for seed in range(SAMPLE) for view in shapes_of(space.sample(seed), inputs, 10)):
        # With parts without a rule, every three choices, too: at least as many as the three largest ones need.
        always = sorted(len(axis.labels) for axis in axes if axis.parent is None)
        rows, ended = rows + prod(always[-3:]), False
    label = "all pairs (before)"
    builds, seconds = f"{rows:,}", f"{rows * each:,.0f}"
    builds, seconds = (builds, f"~{seconds}") if ended else (f">{builds}", f">{seconds}")
    print(f"{space.name:<8} {label:<22} {builds:>8} {seconds:>9} {'?':>8} {'?':>7}")


def counted(rows: Any) -> tuple[int, bool]:
    """How many rows there are, as far as they can be counted in some seconds, and whether that is all of them."""
    start, count = time.perf_counter(), 0
    for _ in rows:
        count += 1
        if time.perf_counter() - start > COUNTED:
            return count, False
    return count, True


def survey(space: Space, inputs: Map, way: Any, check: int) -> None:
    """Find the tensors, and look for networks that need others."""
    start = time.perf_counter()
    found = Survey(space, inputs, 10, None, way)
    seconds = time.perf_counter() - start
    rng, missed = Random(1), set()
    for _ in range(check):
        for view in shapes_of(space.sample(rng), inputs, 10):
            known = found.shapes.get(view.key)
            if known is None or view.larger(known) != known:
                missed.add(view.key)
    label = {"whole": "all pairs (before)", "learnt": "learnt", "fitting": "as Supernet does (after)"}[way]
    print(f"{space.name:<8} {label:<22} {found.builds:>8,} {seconds:>9.1f} {len(found.shapes):>8,} {len(missed):>7}")


if __name__ == "__main__":
    main()
