"""Operations of cells: `build(site)` gives a module from a node's map to its contribution to another's, same shape."""

from typing import Any

from search_spaces.families import Family
from search_spaces.site import Site


class CellOperations(Family):
    """How its parts are tested."""

    def network(self, part: Any, site: Site) -> Any:
        from search_spaces.holes import one_of
        from search_spaces.topologies.network.cell201 import Cell201

        return Cell201(part, part, part, part, part, part, cells=1, width=one_of(site.channels, 2 * site.channels))


CELL_OPERATION = CellOperations("cell_operation", __name__)
