"""Which architectures edits lead to from another."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from search_spaces.canonical import canonical, outline
from search_spaces.edits.edit import Inserted
from search_spaces.errors import SpaceError
from search_spaces.parts import Part, fields_of, told


def check_reachable(before: Any, after: Any, inserted: Inserted | None = None) -> Inserted:
    """Raise `SpaceError`, with path and reason, unless edits lead from one architecture to the other.

    Gives the blocks that are new in `after`. Without `inserted` they are what one deepening would have added: those
    between the blocks that agree at a stage's start and end, or else the last ones. Layers may be tied and untied
    besides; only a tie of a new block leads nowhere. Paths are those inside of the network whose layers are tied.
    """
    tied = canonical(after)
    before, after = network_of(canonical(before)), network_of(tied)
    found = dict(_added(before, after) if inserted is None else inserted)
    for place, stage in enumerate(_stages(after)):
        if found.get(f"stages.{place}") and not stage.wiring.insertable():
            name = stage.wiring.name
            raise SpaceError(f"its wiring '{name}' would compute something else with another block", f"stages.{place}")
    _check(found, before, after, "")
    for path, number, place, root in ties_of(tied):
        if {place, root} & set(found.get(path, ())):
            raise SpaceError("a new block can't be tied at once, since it must pass on what comes", f"ties.{number}")
    return found


def network_of(architecture: Any) -> Any:
    """The network inside of one with ties, or the network itself."""
    return architecture.network if hasattr(architecture, "ties") else architecture


def ties_of(architecture: Any) -> Iterator[tuple[str, int, int, int]]:
    """For each tied layer: the path of its stage, the stage's number, the layer's place, that of the one it follows."""
    for number, row in enumerate(getattr(architecture, "roots", ())):
        for place, root in enumerate(row):
            if root != place:
                yield f"stages.{number}", number, place, root


def _added(before: Any, after: Any) -> Iterator[tuple[str, dict[int, int | None]]]:
    for number, (old, new) in enumerate(zip(_stages(before), _stages(after), strict=False)):
        count = len(new.blocks) - len(old.blocks)
        if count > 0:
            same = 0
            while same < len(old.blocks) and old.blocks[same] == new.blocks[same]:
                same += 1
            rest = old.blocks[same:]
            start = same if new.blocks[same + count :] == rest else len(old.blocks)
            yield f"stages.{number}", dict.fromkeys(range(start, start + count))


def _stages(architecture: Any) -> tuple[Any, ...]:
    return getattr(architecture, "stages", ())


def _check(inserted: Inserted, before: Any, after: Any, path: str) -> None:
    if before == after and type(before) is type(after):
        return
    check = partial(_check, inserted)
    if isinstance(after, Part) and after.follows(before, path, check):
        return
    if isinstance(before, tuple) and isinstance(after, tuple):
        if path.endswith(".blocks"):
            new = inserted.get(path.removesuffix(".blocks"), {})
            after = tuple(item for place, item in enumerate(after) if place not in new)
        if len(before) != len(after):
            raise SpaceError(f"{len(before)} of them became {len(after)}, which no edit does", path or "architecture")
        for place, (old, now) in enumerate(zip(before, after, strict=True)):
            check(old, now, f"{path}.{place}" if path else str(place))
    elif isinstance(before, Part) and type(before) is type(after):
        for field in fields_of(before):
            old, now = getattr(before, field), getattr(after, field)
            inner = f"{path}.{field}" if path else field
            if not told(before, field).get("grows") or old > now:
                check(old, now, inner)
            elif told(before, field)["size"] == "width" and old != now:
                _check_no_split(before, inner)
    else:
        raise SpaceError(f"no edit leads from {outline(before)} to {outline(after)}", path or "architecture")


def _check_no_split(tree: Any, path: str) -> None:
    """Behind a split, the copies of channels aren't where the wider network has them elsewhere."""
    if isinstance(tree, Part) and getattr(tree, "allocation", "") == "split":
        raise SpaceError("a stage with parts that split its channels can't be widened", path)
    inner = tree if isinstance(tree, tuple) else [getattr(tree, name) for name in fields_of(tree)]
    for item in inner:
        if isinstance(item, Part | tuple):
            _check_no_split(item, path)
