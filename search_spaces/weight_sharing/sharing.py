"""Which weights configurations of a part share in a supernet, from what the part itself says (`parts.part`, `size`).

Sliced parts: a smaller tensor is the leading slice of the largest along each dimension, and the centre of it along the
sides of a convolution's kernel. Any setting that isn't shared makes a branch with weights of its own. Parts that don't
say that they are sliced are branched: every configuration, the shape it is built for included, has its own.
"""

from typing import Any, Literal

from search_spaces.canonical import default_texts, text
from search_spaces.parts import Part, fields_of, told
from search_spaces.site import Site


def weights_of(cls: type[Part]) -> Literal["sliced", "branched"]:
    """How supernets hold a class of parts: configurations as slices of one, or each with weights of its own."""
    return "sliced" if cls.sliced else "branched"


def tells_apart(cls: type[Part]) -> bool:
    """Whether more than its own settings may give a configuration of this class of parts weights of its own."""
    return not cls.sliced or cls.weight_branch is not Part.weight_branch or cls.weight_name is not Part.weight_name


def branch_of(part: Any, site: Site | None) -> str:
    """What the configurations that share weights with `part` have in common: part of their tensors' keys.

    Settings at their defaults are left out, so that a setting that a later version adds changes no key.
    """
    defaults = default_texts(type(part))
    settings = []
    for name in fields_of(part):
        said = told(part, name)
        value = getattr(part, name)
        if "family" not in said and not said.get("shared") and text(value) != defaults.get(name):
            settings.append(f"{name}={value}")
    extra = part.weight_branch(site) if site is not None else ""
    kind = ",".join([part.name, *settings, *([extra] if extra else [])])
    return kind if part.sliced else f"{kind},{_built_for(site)}"


Arguments = tuple[Any, ...]
"""What a part is given that decides about its weights: shape, width, maps, condition; empty without a site."""


def arguments_of(site: Site | None) -> Arguments:
    """What of a site decides about weights; where in the network it is makes no difference to them."""
    return () if site is None else (site.shape, site.width or 0, site.maps, site.condition or ())


def site_of(arguments: Arguments) -> Site | None:
    """A site with these arguments."""
    if not arguments:
        return None
    shape, width, maps, condition = arguments
    return Site(shape, width or None, condition=condition or None, maps=maps)


def shared_fields(part: Part) -> tuple[str, ...]:
    """The fields that configurations of a part may differ in and still share weights."""
    return tuple(name for name in fields_of(part) if told(part, name).get("shared"))


def _built_for(site: Site | None) -> str:
    """The shapes that a part is built for, in a word; where in the network it is makes no difference to its weights."""
    if site is None:
        return "anywhere"
    shapes = [site.shape, *([(site.width,)] if site.width is not None else []), *site.maps]
    return ">".join("x".join(map(str, shape)) for shape in [*shapes, *([site.condition] if site.condition else [])])
