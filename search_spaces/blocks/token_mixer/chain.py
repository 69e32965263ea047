"""A chain of token mixers, one after another."""

from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from search_spaces.declarations import forms
from search_spaces.errors import SpaceError
from search_spaces.parts import Part, Placed, part, slot
from search_spaces.site import Site


class PathsInSequence(nn.Sequential):
    """Token mixers one after another."""


@forms(PathsInSequence)
def _followed(growth: Any, old: nn.Module, new: PathsInSequence, path: str) -> bool:
    """Let the start of a sequence compute what was there, and the rest of it pass that on."""
    before = list(old) if isinstance(old, PathsInSequence) else [old]
    for place, module in enumerate(new):
        if place < len(before):
            growth.grow(before[place], module, f"{path}.{place}")
        else:
            growth.pass_on(module, f"{path}.{place}")
    return True


@part(
    "token_mixer",
    "chain",
    source="Path-Level Network Transformation for Efficient Architecture Search",
    sliced=True,
)
class Chain(Part):
    """A path of several token mixers, each of which gets what the one before gives."""

    children: Any = slot("token_mixer", default=("depthwise_conv", "depthwise_conv"))

    def validate(self) -> None:
        if not isinstance(self.children, tuple) or len(self.children) < 2 or None in self.children:
            raise SpaceError("takes a tuple of two token mixers or more", "chain.children")

    def parts_at(self, site: Site) -> Iterator[Placed]:
        for number, child in enumerate(self.children):
            yield f"children.{number}", child, site

    def follows(self, before: Any, path: str, check: Callable[[Any, Any, str], None]) -> bool:
        """It begins with what was there; what follows can be the identity."""
        old = before.children if type(before) is type(self) else (before,)
        if len(old) > len(self.children):
            raise SpaceError(f"{len(old)} of them became {len(self.children)}, which no edit does", f"{path}.children")
        for place, (was, now) in enumerate(zip(old, self.children, strict=False)):
            check(was, now, f"{path}.children.{place}")
        for place, new in enumerate(self.children[len(old) :], len(old)):
            if not new.identity:
                raise SpaceError(f"{new.name} can't begin as the identity", f"{path}.children.{place}")
        return True

    def build(self, site: Site) -> nn.Module:
        return PathsInSequence(*(child.build(site) for child in self.children))
