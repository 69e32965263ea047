"""Parts: the small frozen dataclasses that architectures are trees of, registered by family."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

from search_spaces.errors import SpaceError, near
from search_spaces.holes import OneOf, Repeat
from search_spaces.registry import Registry

if TYPE_CHECKING:
    from random import Random

    from search_spaces.space import Space

PACKAGES = {
    "network": "search_spaces.topologies",
    "stage": "search_spaces.topologies",
    "block": "search_spaces.blocks",
    "stem": "search_spaces.blocks",
    "downsample": "search_spaces.blocks",
    "token_mixer": "search_spaces.blocks",
    "channel_mixer": "search_spaces.blocks",
    "norm": "search_spaces.blocks",
    "norm_placement": "search_spaces.blocks",
    "residual": "search_spaces.blocks",
    "channel_attention": "search_spaces.blocks",
    "activation": "search_spaces.blocks",
    "positional_encoding": "search_spaces.blocks",
    "head": "search_spaces.blocks",
    "cell_operation": "search_spaces.blocks",
}
"""Every family of parts, and the package that holds its members."""

FAMILIES: dict[str, "Registry[type[Part]]"] = {
    family: Registry(family.replace("_", " "), package) for family, package in PACKAGES.items()
}


class Part:
    """Base of every part: a frozen dataclass that describes a piece of a network and builds its module.

    A part is an architecture when none of its fields holds a hole, and a search space when one does. What a family
    expects of `build` is in `search_spaces/blocks/__init__.py`.
    """

    family: ClassVar[str] = ""
    name: ClassVar[str] = ""
    source: ClassVar[str] = ""
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

    def accepts(self, shape: tuple[int, ...]) -> str | None:
        """Why this part can't work on features of `shape` (channels first, no batch), or None when it can."""
        return None

    def canonical(self) -> "Part":
        """The one spelling for all parts that build the same network; most parts have only one."""
        return self

    def traits(self) -> dict[str, float]:
        """Numbers that say what the network is like beyond its decisions one by one; what isn't named counts as 0.

        Controllers that model candidates see them, too: of a graph, for example, what lies on its paths. They must be
        had from the fields alone, in microseconds. Most parts have none.
        """
        return {}

    def bare(self) -> "Part":
        """What is built of this architecture: itself, unless it holds the network beside something else."""
        return self

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


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field, slot))
def part(family: str, name: str, *, source: str) -> Callable[[P], P]:
    """Make the decorated class a frozen dataclass and register it as the part `name` of `family`.

    `source` is the exact title of the publication the part implements.
    """
    if family not in FAMILIES:
        raise SpaceError(f"no family of parts is named '{family}'; {near(family, FAMILIES)}")

    def decorate(cls: P) -> P:
        made: Any = dataclass(frozen=True)(cls)
        made.family, made.name, made.source = family, name, source
        made._slots = {f.name: f.metadata["family"] for f in dataclasses.fields(made) if "family" in f.metadata}
        FAMILIES[family].add(name, made, source=source)
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


def bare(architecture: Any) -> Any:
    """The network alone of an architecture, which is all that can be measured without training."""
    return architecture.bare() if isinstance(architecture, Part) else architecture


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


_FIELDS: dict[type, tuple[str, ...]] = {}


def _field_names(cls: type) -> tuple[str, ...]:
    if cls not in _FIELDS:
        _FIELDS[cls] = tuple(field.name for field in dataclasses.fields(cls)) if dataclasses.is_dataclass(cls) else ()
    return _FIELDS[cls]
