"""The edge of a cell that passes its input on."""

from torch import nn

from search_spaces.parts import Part, part
from search_spaces.site import Site


@part(
    "cell_operation",
    "skip_connect",
    source="NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search",
    sliced=True,
    sides=2,
)
class SkipConnection(Part):
    """The identity."""

    def build(self, site: Site) -> nn.Module:
        return nn.Identity()
