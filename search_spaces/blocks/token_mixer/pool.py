"""Pooling as a token mixer."""

from timm.models import metaformer
from torch import nn

from search_spaces.declarations import keeps_zeros
from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part, size
from search_spaces.site import Site

keeps_zeros(metaformer.Pooling)


class Pooling1d(metaformer.Pooling):
    """The same along a sequence."""

    def __init__(self, kernel: int) -> None:
        super().__init__(kernel)
        self.pool = nn.AvgPool1d(kernel, 1, kernel // 2, count_include_pad=False)


@part(
    "token_mixer",
    "pool",
    source="MetaFormer Is Actually What You Need for Vision",
    sliced=True,
    channelwise=True,
    sides=(1, 2),
)
class Pooling(Part):
    """The average of each neighbourhood, less its centre (which the shortcut of the block adds again)."""

    kernel: int = size("kernel", default=3)

    def validate(self) -> None:
        if self.kernel < 3 or self.kernel % 2 == 0:
            raise SpaceError(f"must be odd and 3 or more, not {self.kernel}", "pool.kernel")

    def build(self, site: Site) -> nn.Module:
        return metaformer.Pooling(self.kernel) if len(site.sides) == 2 else Pooling1d(self.kernel)
