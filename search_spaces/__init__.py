"""Search spaces: architectures with holes in them."""

from search_spaces.canonical import Change, diff, digest, from_json, outline, to_json
from search_spaces.errors import SpaceError
from search_spaces.families import FAMILIES, Family
from search_spaces.holes import integers, log_uniform, one_of, repeat, uniform
from search_spaces.parts import Part, part, shared, size, slot
from search_spaces.registry import Registry
from search_spaces.site import Site
from search_spaces.space import SearchSpace, Space

__all__ = [
    "FAMILIES",
    "Change",
    "Family",
    "Part",
    "Registry",
    "SearchSpace",
    "Site",
    "Space",
    "SpaceError",
    "diff",
    "digest",
    "from_json",
    "integers",
    "log_uniform",
    "one_of",
    "outline",
    "part",
    "repeat",
    "shared",
    "size",
    "slot",
    "to_json",
    "uniform",
]
