"""Ready networks that were good on other data sets, in the order in which a search should try them.

The figures that the order is from are in `portfolio.json` beside this file, which `benchmarks/portfolio.py` writes.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from search_spaces.canonical import canonical
from search_spaces.networks.convnext import convnext
from search_spaces.networks.ghostnet import ghostnet
from search_spaces.networks.lcnet import lcnet
from search_spaces.networks.mobilenet import efficientnet_lite, mobilenetv3_large, mobilenetv3_small
from search_spaces.networks.repvgg import repvgg
from search_spaces.networks.resnet import resnet
from search_spaces.networks.vit import vit
from search_spaces.topologies import Network

FIGURES = Path(__file__).with_suffix(".json")
"""The order, and for each network what it was found by."""

CANDIDATES: dict[str, Callable[[tuple[int, ...]], Network]] = {
    "resnet-16-32-64": lambda inputs: resnet(inputs, (16, 32, 64), (1, 1, 1)),
    "resnet-16-32-64-deep": lambda inputs: resnet(inputs, (16, 32, 64), (3, 3, 3)),
    "resnet-24-48-96": lambda inputs: resnet(inputs, (24, 48, 96), (2, 2, 2)),
    "resnet-32-64-128-256": lambda inputs: resnet(inputs, (32, 64, 128, 256), (1, 1, 1, 1)),
    "resnet-32-64-128-256-deep": lambda inputs: resnet(inputs, (32, 64, 128, 256), (2, 2, 2, 2)),
    "resnet-64-128-256-512": lambda inputs: resnet(inputs),
    "repvgg-8-16-32": lambda inputs: repvgg(inputs, (8, 16, 32), (1, 1, 1), 8),
    "repvgg-16-32-64": lambda inputs: repvgg(inputs, (16, 32, 64), (1, 2, 1), 16),
    "repvgg-24-48-96-192": lambda inputs: repvgg(inputs, (24, 48, 96, 192), (1, 2, 2, 1), 24),
    "repvgg-48-96-192-384": lambda inputs: repvgg(inputs, (48, 96, 192, 384), (1, 2, 3, 1), 48),
    "lcnet-0.25": lambda inputs: lcnet(inputs, 0.25),
    "lcnet-0.5": lambda inputs: lcnet(inputs, 0.5),
    "lcnet-1": lambda inputs: lcnet(inputs, 1.0),
    "mobilenetv3-small-0.5": lambda inputs: mobilenetv3_small(inputs, 0.5),
    "mobilenetv3-small-1": lambda inputs: mobilenetv3_small(inputs, 1.0),
    "mobilenetv3-large-0.75": lambda inputs: mobilenetv3_large(inputs, 0.75),
    "efficientnet-lite-0.5": lambda inputs: efficientnet_lite(inputs, 0.5),
    "ghostnet-0.5": lambda inputs: ghostnet(inputs, 0.5),
    "convnext-16-32-64-128": lambda inputs: convnext(inputs, (16, 32, 64, 128), (1, 1, 2, 1)),
    "convnext-40-80-160-320": lambda inputs: convnext(inputs, (40, 80, 160, 320), (2, 2, 6, 2)),
    "vit-96": lambda inputs: vit(inputs, 96, 6, 3),
}
"""Every network that the order is drawn from, by its name; each is in the space `families`."""


def portfolio(
    inputs: tuple[int, ...], examples: int, without: frozenset[str] | set[str] = frozenset()
) -> list[tuple[str, Any]]:
    """Names and networks for pictures of `inputs` (channels, height, width), the most useful ones first.

    The first n of them cover the range of latencies, whatever n is. Data sets that the figures are from and that are
    named in `without` have no say in the order (`leave one out`). `examples`, how many there are to train on, is taken
    as `search_spaces.spaces` takes it. Raises `SpaceError` for what isn't pictures.
    """
    return [(name, canonical(CANDIDATES[name](tuple(inputs)))) for name in order(without)]


def order(without: frozenset[str] | set[str] = frozenset()) -> list[str]:
    """The names, in the stored order, or the one that is left without some of the data sets."""
    stored = json.loads(FIGURES.read_text(encoding="utf-8"))
    names = next((row["order"] for row in stored["without"] if set(row["sets"]) == set(without)), None)
    return [name for name in (stored["order"] if names is None else names) if name in CANDIDATES]
