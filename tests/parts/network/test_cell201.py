"""The networks of NAS-Bench-201."""

from itertools import product

import torch
from torch.nn import functional

from search_spaces import digest
from search_spaces.site import Site
from search_spaces.spaces.cell201 import from_arch_str
from search_spaces.testing import PartConformance
from search_spaces.topologies import Cell201
from tests.parts.rebuilding import map_of, rebuilt

MIXED = Cell201("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "none", 1, 8)
DENSE = Cell201("nor_conv_3x3", "avg_pool_3x3", "skip_connect", "nor_conv_1x1", "skip_connect", "nor_conv_3x3", 2, 4)


class TestCell201(PartConformance):
    cases = [(MIXED, (1, 8, 12)), (DENSE, (3, 8, 4))]
    refused = [(Cell201("none", "none", "none", "none", "none", "none"), (3, 30, 30))]
    wrong = [(lambda: Cell201("none", "none", "none", "none", "none", "none", cells=0), "cell201")]

    def reference(self, part, site, module, x):
        """The stem, three stages of cells with a residual block between, normalization, ReLU, mean, linear layer."""
        layers = iter(module)
        x = convolved(next(layers), x)
        for stage in range(3):
            if stage:
                x = reduced(next(layers), x)
            assert x.shape[1] == part.width * 2**stage
            for _ in range(part.cells):
                x = self.cell(part, next(layers), x)
        norm, _, _, _, linear = layers
        x = functional.relu(normalized(norm, x)).mean((2, 3))
        return functional.linear(x, linear.weight, linear.bias)

    def cell(self, part, module, x):
        """Each node is the sum of what the operations on the edges from all earlier nodes make of these."""
        own = dict(zip(((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)), module.operations, strict=True))
        nodes = [x]
        for node in (1, 2, 3):
            sources = [(getattr(part, f"op_{i}_{node}"), own[i, node], nodes[i]) for i in range(node)]
            nodes.append(sum(rebuilt(operation, map_of(y), edge)(y) for operation, edge, y in sources))
        return nodes[-1]

    def test_traits_are_those_of_its_paths(self):
        cell = from_arch_str("|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|")
        # 0-1-3: 3x3, pooling; 0-2-3: skip, 3x3; 0-1-2-3: 3x3, 1x1, 3x3
        assert cell.traits() == {
            "live nor_conv_3x3": 2,
            "live nor_conv_1x1": 1,
            "live skip_connect": 1,
            "live avg_pool_3x3": 1,
            "paths": 3,
            "convolutions": 5,
            "deepest": 3,
            "shallowest": 1,
            "most 3x3": 2,
            "least pooling": 0,
        }
        assert from_arch_str("|none~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|nor_conv_1x1~2|").traits() == {}

    def test_traits_are_equal_for_cells_whose_middle_nodes_are_swapped(self):
        for left, right in product(("nor_conv_3x3", "avg_pool_3x3"), ("nor_conv_1x1", "skip_connect")):
            one = from_arch_str(f"|{left}~0|+|{right}~0|none~1|+|none~0|nor_conv_1x1~1|nor_conv_3x3~2|")
            other = from_arch_str(f"|{right}~0|+|{left}~0|none~1|+|none~0|nor_conv_3x3~1|nor_conv_1x1~2|")
            assert one.traits() == other.traits() != {}

    def test_widths_are_other_networks(self):
        assert digest(MIXED) != digest(Cell201(*MIXED.operations, 1, 16))

    def test_has_the_published_parameters(self, shared_data):
        """Of cells from all over the benchmark's table, to the last one."""
        import pyarrow.parquet as parquet

        table = parquet.read_table(shared_data / "tables" / "nasbench201_dev.parquet", columns=["arch_str", "params"])
        params = dict(zip(table["arch_str"].to_pylist(), table["params"].to_pylist(), strict=True))
        for text in list(params)[::1600]:
            with torch.device("meta"):
                network = from_arch_str(text).build(Site((3, 32, 32), 10))
            assert sum(p.numel() for p in network.parameters()) == params[text]


def normalized(norm, x):
    return functional.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)


def convolved(layers, x, stride=1):
    """A 3x3 convolution and its normalization."""
    conv, norm = layers[-2:]
    assert conv.weight.shape[2:] == (3, 3) and conv.bias is None
    return normalized(norm, functional.conv2d(x, conv.weight, stride=stride, padding=1))


def reduced(module, x):
    """The residual block: two normalized convolutions with ReLU first, the first at every other position."""
    branch = convolved(module.branch[1], functional.relu(convolved(module.branch[0], functional.relu(x), 2)))
    _, shortcut = module.shortcut
    assert shortcut.weight.shape[2:] == (1, 1) and shortcut.bias is None
    return branch + functional.conv2d(functional.avg_pool2d(x, 2), shortcut.weight)
