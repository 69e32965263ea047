"""What an edit is: one change of an architecture that a trained network survives; the registry of edits."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, ClassVar, TypeVar

from search_spaces.canonical import outline
from search_spaces.errors import SpaceError
from search_spaces.parts import fields_of, told
from search_spaces.registry import Registry

Inserted = Mapping[str, Mapping[int, int | None]]
"""For each stage by its path: the places of new blocks, each with the block before the edit that it copies, if any."""

EDITS: "Registry[type[Edit]]" = Registry("edit", "search_spaces.edits")
"""Every kind of edit, by name."""


class Edit(ABC):
    """One change of an architecture that a trained network's function survives, where it `preserves` that."""

    name: ClassVar[str] = ""
    source: ClassVar[str] = ""
    preserves: ClassVar[bool] = True
    """Whether the network computes after the edit what it did before."""
    moves_weights: ClassVar[bool] = True
    """Whether weights change their places or shapes; else the edited network takes them as they are."""

    @abstractmethod
    def applied(self, architecture: Any) -> Any:
        """The edited architecture; raises `SpaceError` where the edit doesn't fit."""

    def inserted(self, architecture: Any) -> Inserted:
        """The blocks that `applied` adds."""
        return {}

    def __str__(self) -> str:
        values = [getattr(self, field.name) for field in fields(self)]  # type: ignore[arg-type]
        return " ".join([self.name, *(outline(value) for value in values if value is not None)])


E = TypeVar("E", bound=type[Edit])


def edit(name: str, *, source: str) -> Callable[[E], E]:
    """Register the decorated kind of edit as `name`; `source` is the exact title of the publication."""

    def decorate(cls: E) -> E:
        cls.name, cls.source = name, source
        EDITS.add(name, cls, source=source)
        return cls

    return decorate


def at(tree: Any, path: str) -> Any:
    """What stands at `path` of an architecture: names of fields and places in tuples, as in `stages.0.blocks.1`."""
    for step in filter(None, path.split(".")):
        try:
            tree = tree[int(step)] if isinstance(tree, tuple) else getattr(tree, step)
        except (AttributeError, IndexError, ValueError):
            raise SpaceError(f"there is nothing at '{step}'", path) from None
    return tree


def put(tree: Any, path: str, value: Any) -> Any:
    """The architecture with `value` at `path`."""
    outer, _, step = path.rpartition(".")
    if not step:
        return value
    holder = at(tree, outer)
    if isinstance(holder, tuple):
        place = int(step)
        return put(tree, outer, (*holder[:place], value, *holder[place + 1 :]))
    return put(tree, outer, replace(holder, **{step: value}))


def grown(architecture: Any, path: str, kinds: tuple[str, ...], to: float) -> Any:
    """The architecture with the size at `path` that is of one of the kinds, and says that it grows, larger."""
    part = at(architecture, path)
    names = () if not hasattr(part, "family") else [name for name in fields_of(part) if told(part, name).get("grows")]
    field = next((name for kind in kinds for name in names if told(part, name)["size"] == kind), None)
    if field is None:
        raise SpaceError(f"{outline(part)} has no {' or '.join(kinds)} that can grow", path)
    if to <= getattr(part, field):
        raise SpaceError(f"{field} can only grow, not go from {getattr(part, field)} to {to}", path)
    if isinstance(getattr(part, field), int) and to == int(to):
        to = int(to)
    return put(architecture, path, replace(part, **{field: to}))


def branched(architecture: Any, path: str, branches: int, allocation: str) -> Any:
    """The architecture with the token mixer at `path` so many times side by side."""
    mixer = at(architecture, path)
    if getattr(mixer, "family", "") != "token_mixer":
        raise SpaceError(f"{outline(mixer)} is no token mixer, so it can't become several paths", path)
    from search_spaces.blocks.token_mixer.paths import Paths

    return put(architecture, path, Paths((mixer,) * branches, allocation))


def blocks_at(architecture: Any, path: str) -> tuple[Any, ...]:
    """The blocks of the stage at `path`, to which others can be added."""
    stage = at(architecture, path)
    if getattr(stage, "family", "") != "stage" or not isinstance(getattr(stage, "blocks", None), tuple):
        raise SpaceError("is no stage of blocks; name one, as stages.0", path)
    if not stage.wiring.insertable():
        raise SpaceError(f"its wiring '{stage.wiring.name}' would compute something else with another block", path)
    return stage.blocks
