"""The 15,625 cells of NAS-Bench-201."""

from typing import Any

from search_spaces.errors import SpaceError
from search_spaces.families import FAMILIES
from search_spaces.holes import one_of
from search_spaces.spaces import SPACES
from search_spaces.topologies import Cell201

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""In the benchmark's order."""


@SPACES.register("cell201", source="NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search")
def cell201() -> Cell201:
    """One of five operations on each of the six edges of a cell, 5 cells in each of 3 stages, widths 16, 32, 64."""
    choice: Any = one_of(*OPERATIONS)
    return Cell201(choice, choice, choice, choice, choice, choice)


def from_arch_str(text: str) -> Cell201:
    """The network whose `arch_str` is `text`, as in `|none~0|+|none~0|none~1|+|none~0|none~1|none~2|`."""
    names = [edge.partition("~")[0] for node in text.split("+") for edge in node.strip("|").split("|")]
    if len(names) != 6:
        raise SpaceError(f"'{text}' has {len(names)} operations; a cell of NAS-Bench-201 has 6", "arch_str")
    operations: Any = [FAMILIES["cell_operation"].get(name)() for name in names]
    network = Cell201(*operations)
    if network.arch_str != text:
        raise SpaceError(f"'{text}' isn't in the benchmark's format; did you mean '{network.arch_str}'?", "arch_str")
    return network
