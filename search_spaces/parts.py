"""Parts: the small frozen dataclasses that architectures are trees of, registered by family."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, dataclass_transform

from search_spaces.errors import SpaceError
from search_spaces.families import FAMILIES
from search_spaces.holes import OneOf, Repeat
from search_spaces.site import Shape, Site

if TYPE_CHECKING:
    from random import Random

    from search_spaces.space import Space

Kind = Literal["width", "expansion", "reduction", "kernel", "window", "depth", "heads", "stride"]
"""What a number in a field is: channels, times or parts of the channels, a side of a filter or window, layers, …"""
Placed = tuple[str, Any, Site]
"""An inner part: its path within the outer one, itself (or None), and where it is built."""
Edge = tuple[int, int, str]
"""A connection that is drawn, from a place to another, and what it is.

That is "" for what a chain has, "skip" for what goes past others, "join" for one of several that are concatenated,
"again" for what leads back, "exit" for what may leave early.
"""
Drawn = tuple[str, tuple[str, ...], tuple[Edge, ...]]
"""A graph to be drawn: its title, a line for each node, and the edges by the nodes' places."""


class Part:
    """Base of every part: a frozen dataclass that describes a part of a network and builds its module.

    A part is an architecture when none of its fields holds a hole, and a search space when one does. `build(site)`
    gives its module; what that takes and gives is said by the part's family (`search_spaces/blocks/<family>`). The
    methods below say what the mechanisms (checks, supernets, edits, export) must know of a design; `part` takes what
    can be said in a word. All but `build` and what it calls is left out of an exported network's source.
    """

    family: ClassVar[str] = ""
    name: ClassVar[str] = ""
    source: ClassVar[str] = ""
    sliced: ClassVar[bool] = False
    chunks: ClassVar[Mapping[str, int]] = {}
    channelwise: ClassVar[bool] = False
    identity: ClassVar[bool] = False
    routed: ClassVar[bool] = False
    sides: ClassVar[tuple[int, ...] | None] = None
    _slots: ClassVar[dict[str, str]] = {}

    def __post_init__(self) -> None:
        for field, family in self._slots.items():
            where = f"{type(self).__name__}.{field}"
            object.__setattr__(self, field, resolve(getattr(self, field), family, where))
        for field in _field_names(type(self)):
            value = getattr(self, field)
            if isinstance(value, list):
                object.__setattr__(self, field, tuple(value))
        if not has_holes(self):
            self.validate()

    def validate(self) -> None:
        """Raise `SpaceError` when the values of the fields, all holes filled, make no sense together."""

    def accepts(self, site: Site) -> str | None:
        """Why this part can't be built at the site, or None when it can."""
        return None

    def parts_at(self, site: Site) -> Iterable[Placed]:
        """The parts that this one builds inside of itself, and where; so checks reach them."""
        return ()

    def shape_after(self, site: Site) -> Shape:
        """The shape of what its module gives; that of its input unless said otherwise."""
        return site.shape

    def takes_ids(self) -> bool:
        """Whether its module takes numbers of tokens, int64 (batch, length), at a site of (vocabulary, length).

        Asked of a network, which asks its stem.
        """
        return False

    def layers(self) -> int:
        """How many blocks it counts as, where blocks are numbered."""
        return 1

    def canonical(self) -> "Part":
        """The one spelling for all parts that build the same network; most parts have only one."""
        return self

    def traits(self) -> dict[str, float]:
        """Numbers that say what the network is like beyond its decisions one by one; what isn't named counts as 0.

        Controllers that model candidates see them, too: of a graph, for example, what lies on its paths. They must be
        had from the fields alone, in microseconds. Most parts have none.
        """
        return {}

    def drawn(self) -> "tuple[Drawn, ...]":
        """The graphs within it that aren't told by its stages, their blocks and their wirings, as a cell."""
        return ()

    def without_recipe(self) -> "Part":
        """What is built of this architecture: itself, unless it holds the network beside how it is trained."""
        return self

    def weight_branch(self, site: Site) -> str:
        """What, besides the fields that aren't shared, gives this part at this site weights of its own in a supernet.

        Of a bias table, for example, the size of the window that it is for. Empty for most parts.
        """
        return ""

    def weight_name(self, site: Site, name: str) -> str:
        """The name that a tensor of its module has in a supernet: the same in all configurations that share it."""
        return name

    def follows(self, before: Any, path: str, check: Callable[[Any, Any, str], None]) -> bool:
        """Whether this part says itself which parts edits lead from to it; it raises `SpaceError` for others.

        `check(before, after, path)` raises where no edit leads from one to the other. False for most parts, to which
        edits lead from those of their own kind, field by field.
        """
        return False

    def space(self) -> "Space":
        """This tree as a search space (compiled once)."""
        from search_spaces.space import Space

        if "_space" not in self.__dict__:
            object.__setattr__(self, "_space", Space(self))
        return self.__dict__["_space"]

    def sample(self, seed: "int | str | Random" = 0) -> Any:
        """One architecture drawn from this tree's holes: the same tree, no holes."""
        return self.space().sample(seed)

    def where(self, rule: Callable[[Any], bool], reason: str = "") -> "Space":
        """This tree as a search space in which `rule(architecture)` must hold."""
        return self.space().where(rule, reason)


P = TypeVar("P", bound=type)


def slot(family: str, default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field that holds a part of `family`; a string stands for the registered part of that name."""
    return dataclasses.field(default=default, metadata={"family": family})


def size(kind: Kind, default: Any = dataclasses.MISSING, *, shared: bool = True, grows: bool = False) -> Any:
    """A dataclass field that holds a number of the `kind` named.

    In a supernet, configurations that differ in it share weights: the smaller one's are slices of the larger one's
    (unless `shared` is False). `grows` says that edits may make it larger without a change of what is computed.
    """
    return dataclasses.field(default=default, metadata={"size": kind, "shared": shared, "grows": grows})


def shared(default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field, no size, in which configurations may differ and still share all weights in a supernet."""
    return dataclasses.field(default=default, metadata={"shared": True})


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field, slot, size, shared))
def part(
    family: str,
    name: str,
    *,
    source: str,
    sliced: bool = False,
    chunks: Mapping[str, int] | None = None,
    channelwise: bool = False,
    identity: bool = False,
    routed: bool = False,
    sides: int | tuple[int, ...] | None = None,
) -> Callable[[P], P]:
    """Make the decorated class a frozen dataclass and register it as the part `name` of `family`.

    `source` is the exact title of the publication the part implements. `sliced` says that in a supernet its weights
    are slices of those of its largest configuration, along each dimension the first ones, of a convolution's kernel
    the centre; else each configuration, the shape it is built for included, has weights of its own. `chunks` names
    tensors whose first dimension holds several equal ones, as queries, keys and values (`{"qkv.weight": 3}`): each is
    sliced alone. `channelwise` says that each channel of the output depends on the same channel of the input alone,
    `identity` that it has weights with which it passes on its input (`Growth.pass_on` knows them for convolutions).
    `routed` says that its path depends on the input, so that a batch may leave some of its weights without gradient.
    `sides` is how many sides the maps have that it works on (2: height and width); any number where nothing is said.
    """
    registry = FAMILIES.find(family)

    def decorate(cls: P) -> P:
        made: Any = dataclass(frozen=True)(cls)
        made.family, made.name, made.source = family, name, source
        made.sliced, made.chunks, made.channelwise, made.identity = sliced, dict(chunks or {}), channelwise, identity
        made.routed = routed
        made.sides = (sides,) if isinstance(sides, int) else sides
        made._slots = {f.name: f.metadata["family"] for f in dataclasses.fields(made) if "family" in f.metadata}
        registry.add(name, made, source=source)
        return made

    return decorate


def resolve(value: Any, family: str, where: str) -> Any:
    """`value` with every string in it replaced by the part of `family` it names."""
    if isinstance(value, str):
        try:
            return FAMILIES[family].get(value)()
        except TypeError as error:
            raise SpaceError(f"'{value}' can't be named without its settings: {error}", where) from None
        except SpaceError as error:
            raise SpaceError(str(error), where) from None
    if isinstance(value, OneOf):
        return OneOf(tuple(resolve(option, family, where) for option in value.options))
    if isinstance(value, Repeat):
        return Repeat(value.count, resolve(value.item, family, where), value.shared)
    if isinstance(value, tuple | list):
        return tuple(resolve(item, family, where) for item in value)
    if isinstance(value, Part) and value.family != family:
        raise SpaceError(f"takes a {family}, but {type(value).__name__} is a {value.family}", where)
    if value is not None and not isinstance(value, Part):
        raise SpaceError(f"takes a {family} (a part, its name, or None), not {value!r}", where)
    return value


def without_recipe(architecture: Any) -> Any:
    """The network alone of an architecture, which is all that can be measured without training."""
    return architecture.without_recipe() if isinstance(architecture, Part) else architecture


def has_holes(value: Any) -> bool:
    """Whether anything in the tree `value` is a hole."""
    if isinstance(value, OneOf | Repeat):
        return True
    if isinstance(value, Part):
        known = value.__dict__.get("_holes")
        if known is None:
            known = any(has_holes(getattr(value, field)) for field in _field_names(type(value)))
            object.__setattr__(value, "_holes", known)
        return known
    return isinstance(value, tuple) and any(has_holes(item) for item in value)


def fields_of(part: "Part | type[Part]") -> tuple[str, ...]:
    """The names of a part's fields, in order."""
    return _field_names(part if isinstance(part, type) else type(part))


def told(part: "Part | type[Part]", field: str) -> Mapping[str, Any]:
    """What `slot`, `size` or `shared` said of a field of a part: `family`, `size`, `shared`, `grows`."""
    cls = part if isinstance(part, type) else type(part)
    if cls not in _TOLD:
        _TOLD[cls] = {found.name: found.metadata for found in dataclasses.fields(cls)}  # type: ignore[arg-type]
    return _TOLD[cls].get(field, {})


_TOLD: dict[type, dict[str, Mapping[str, Any]]] = {}
_FIELDS: dict[type, tuple[str, ...]] = {}


def _field_names(cls: type) -> tuple[str, ...]:
    if cls not in _FIELDS:
        _FIELDS[cls] = tuple(field.name for field in dataclasses.fields(cls)) if dataclasses.is_dataclass(cls) else ()
    return _FIELDS[cls]
