"""Search spaces: architectures with holes in them."""

from search_spaces.canonical import Change, diff, digest, from_json, outline, to_json
from search_spaces.errors import SpaceError
from search_spaces.holes import integers, log_uniform, one_of, repeat, uniform
from search_spaces.parts import FAMILIES, Part, part, slot
from search_spaces.registry import Registry
from search_spaces.space import SearchSpace, Space

__all__ = [
    "FAMILIES",
    "Change",
    "Part",
    "Registry",
    "SearchSpace",
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
    "slot",
    "to_json",
    "uniform",
]
