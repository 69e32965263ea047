"""Group normalization."""

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part
from search_spaces.site import Site


@part("norm", "group", source="Group Normalization", sliced=True)
class GroupNorm(Part):
    """Each group of `group_size` channels over all positions; the size, not the number, of groups is kept."""

    group_size: int = 8

    def validate(self) -> None:
        if self.group_size < 1:
            raise SpaceError(f"must be 1 or more, not {self.group_size}", "group.group_size")

    def accepts(self, site: Site) -> str | None:
        fits = site.channels % self.group_size == 0
        return None if fits else f"{site.channels} channels don't divide into groups of {self.group_size}"

    def build(self, site: Site) -> nn.Module:
        return nn.GroupNorm(site.channels // self.group_size, site.channels)
