"""The networks of NAS-Bench-201: one cell of four nodes and six operations, stacked in three stages."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from torch import nn

from search_spaces.declarations import may_drop
from search_spaces.errors import SpaceError
from search_spaces.layers.relu_conv_norm import relu_conv_norm
from search_spaces.parts import Drawn, Edge, Part, Placed, part, size, slot
from search_spaces.site import Shape, Site

EDGES = ("0-1", "0-2", "1-2", "0-3", "1-3", "2-3")
PATHS = (("0-3",), ("0-1", "1-3"), ("0-2", "2-3"), ("0-1", "1-2", "2-3"))
"""From the input to the output of a cell, edge by edge."""


class Cell(nn.Module):
    """Node 0 is the input; each later node is the sum of one operation of every earlier node; the last is the output.

    `operations` are in the order of `EDGES`.
    """

    def __init__(self, operations: list[nn.Module]) -> None:
        super().__init__()
        self.operations = nn.ModuleList(operations)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        to_1, from_0, from_1, last_0, last_1, last_2 = self.operations
        node_1 = to_1(x)
        node_2 = from_0(x) + from_1(node_1)
        return last_0(x) + last_1(node_1) + last_2(node_2)


@may_drop(Cell)
def _operations(module: Cell) -> list[nn.Module]:
    # What passes on its input or pools it is kept, as by ScheduledDropPath's usual form.
    return [operation for operation in module.operations if any(True for _ in operation.parameters())]


class Reduction(nn.Module):
    """The residual block between two stages: half the resolution, another width."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(relu_conv_norm(channels, width, 3, 2), relu_conv_norm(width, width, 3))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, width, 1, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shortcut(x) + self.branch(x)


@part(
    "network",
    "cell201",
    source="NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search",
    sliced=True,
    sides=2,
)
class Cell201(Part):
    """A network of one cell: `cells` times in each of three stages of `width`, 2 `width` and 4 `width` channels.

    `op_i_j` is the operation on the edge from node i to node j. The benchmark's networks have 5 cells and width 16.
    """

    op_0_1: Any = slot("cell_operation")
    op_0_2: Any = slot("cell_operation")
    op_1_2: Any = slot("cell_operation")
    op_0_3: Any = slot("cell_operation")
    op_1_3: Any = slot("cell_operation")
    op_2_3: Any = slot("cell_operation")
    cells: int = size("depth", default=5, shared=False)
    width: int = size("width", default=16)

    def validate(self) -> None:
        if min(self.cells, self.width) < 1:
            raise SpaceError(f"cells and width must be 1 or more, not {self.cells} and {self.width}", "cell201")

    def accepts(self, site: Site) -> str | None:
        # The shortcut of a reduction pools 2x2 squares, its branch rounds up: odd sides don't match.
        height, width = site.sides
        if height % 4 == 0 and width % 4 == 0:
            return None
        return f"the sides of {height}x{width} images must be multiples of 4, since two reductions halve them"

    @property
    def operations(self) -> tuple[Any, ...]:
        """The operations in the order of `EDGES`."""
        return (self.op_0_1, self.op_0_2, self.op_1_2, self.op_0_3, self.op_1_3, self.op_2_3)

    @property
    def arch_str(self) -> str:
        """The cell in the benchmark's format, `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`."""
        names = iter([operation.name for operation in self.operations])
        nodes = ["|" + "|".join(f"{next(names)}~{source}" for source in range(node)) + "|" for node in (1, 2, 3)]
        return "+".join(nodes)

    def key(self) -> dict[str, str]:
        """The column and value that find the cell's row in a table of the benchmark."""
        return {"arch_str": self.arch_str}

    def traits(self) -> dict[str, float]:
        """How often each operation lies on a path from the input to the output, and how long the paths are.

        Paths are what "A Study on Encodings for Neural Architecture Search" compares cells by. Convolutions are
        counted, since they make a path deep; an operation that leads nowhere counts for nothing.
        """
        edges = dict(zip(EDGES, (operation.name for operation in self.operations), strict=True))
        paths = [path for path in PATHS if all(edges[edge] != "none" for edge in path)]
        found: dict[str, float] = {**Counter(f"live {edges[edge]}" for edge in set(chain(*paths)))}
        on = [Counter(edges[edge] for edge in path) for path in paths]
        deep = [path["nor_conv_1x1"] + path["nor_conv_3x3"] for path in on]
        if not paths:
            return found
        return found | {
            "paths": len(paths),
            "convolutions": sum(deep),
            "deepest": max(deep),
            "shallowest": min(deep),
            "most 3x3": max(path["nor_conv_3x3"] for path in on),
            "least pooling": min(path["avg_pool_3x3"] for path in on),
        }

    def drawn(self) -> tuple[Drawn, ...]:
        """The cell: each node is the sum of what comes in; an edge of no operation is left out."""
        incoming: dict[str, list[str]] = {"1": [], "2": [], "3": []}
        edges: list[Edge] = []
        for edge, operation in zip(EDGES, self.operations, strict=True):
            start, end = edge.split("-")
            incoming[end].append(f"{operation.name}({start})")
            if operation.name != "none":
                far = int(end) - int(start) > 1
                edges.append((int(start), int(end), "skip" if far else ""))
        rows = ("0: input", *(f"{node}: {' + '.join(terms)}" for node, terms in incoming.items()))
        title = f"the cell, {self.cells} times in each of 3 stages from {self.width} channels"
        return ((title, rows, tuple(edges)),)

    def layers(self) -> int:
        return 3 * self.cells

    def shape_after(self, site: Site) -> Shape:
        return (site.leads_to,)

    def parts_at(self, site: Site) -> Iterator[Placed]:
        edges = ("op_0_1", "op_0_2", "op_1_2", "op_0_3", "op_1_3", "op_2_3")
        for edge, operation in zip(edges, self.operations, strict=True):
            yield edge, operation, site.wide(self.width)

    def build(self, site: Site) -> nn.Module:
        height, width = site.sides
        stem = nn.Sequential(nn.Conv2d(site.channels, self.width, 3, 1, 1, bias=False), nn.BatchNorm2d(self.width))
        layers: list[nn.Module] = [stem]
        for stage in range(3):
            shape = (self.width * 2**stage, height // 2**stage, width // 2**stage)
            if stage:
                layers.append(Reduction(shape[0] // 2, shape[0]))
            for number in range(stage * self.cells, (stage + 1) * self.cells):
                inner = replace(site.at(shape), index=number, depth=self.layers())
                layers.append(Cell([operation.build(inner) for operation in self.operations]))
        head = [nn.BatchNorm2d(4 * self.width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*layers, *head, nn.Linear(4 * self.width, site.leads_to))
