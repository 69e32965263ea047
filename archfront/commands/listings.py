"""`archfront spaces`, `controllers`, `evaluators`, `devices`: what there is, each with its source."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archfront.commands.printing import AsJson, print_rows

if TYPE_CHECKING:
    from search_spaces.registry import Entry

Pattern = Annotated[str, typer.Argument(help="Names to list, with * and ?.")]


def spaces(
    pattern: Pattern = "*",
    as_json: AsJson = False,
) -> None:
    """List the ready search spaces with their exact sizes."""
    from search_spaces.spaces import SPACES, get_space

    rows = []
    for entry in matching(SPACES, pattern):
        space = get_space(entry.name)
        rows.append({"name": entry.name, "size": space.size(), "decisions": len(space.decisions), **described(entry)})
    print_rows(rows, as_json, f"no space's name matches '{pattern}'")


def controllers(pattern: Pattern = "*", as_json: AsJson = False) -> None:
    """List the controllers, which decide what to try next."""
    from controllers import CONTROLLERS, Controller

    rows = [
        {"name": entry.name, "settings": settings_of(entry.value, beyond=Controller), **described(entry)}
        for entry in matching(CONTROLLERS, pattern)
    ]
    print_rows(rows, as_json, f"no controller's name matches '{pattern}'")


def evaluators(pattern: Pattern = "*", as_json: AsJson = False) -> None:
    """List the evaluators, which say what a candidate is worth."""
    from evaluators.base import EVALUATORS

    rows = [
        {"name": entry.name, "resource": entry.value.resource, "settings": settings_of(entry.value), **described(entry)}
        for entry in matching(EVALUATORS, pattern)
    ]
    print_rows(rows, as_json, f"no evaluator's name matches '{pattern}'")


def devices(pattern: Pattern = "*", as_json: AsJson = False) -> None:
    """List the devices that latency can be measured on."""
    from fnmatch import fnmatch

    from hardware_profiles import names, profile

    rows: list[dict[str, Any]] = []
    chosen = [name for name in names() if fnmatch(name, pattern)] if _wild(pattern) else [pattern]
    for name in chosen:
        found = profile(name)
        plain = {key: getattr(found, key) for key in ("runtime", "precision", "threads", "batch", "reached")}
        rows.append({"name": found.name, **plain, "about": found.description})
    print_rows(rows, as_json, f"no device's name matches '{pattern}'")


def _wild(pattern: str) -> bool:
    return any(sign in pattern for sign in "*?[")


def matching(registry: Any, pattern: str) -> Iterable["Entry[Any]"]:
    """The entries whose names fit; a name without wildcards that there isn't raises with the near ones."""
    if _wild(pattern):
        return [registry.entry(name) for name in registry.names(pattern)]
    return [registry.entry(pattern)]


def described(entry: "Entry[Any]") -> dict[str, str]:
    """What every listing says of an entry."""
    return {"source": entry.source or "-", "about": entry.about}


def settings_of(cls: type, beyond: type | None = None) -> str:
    """The settings that the class takes in its constructor, with their defaults."""
    from inspect import Parameter, signature

    known = set(signature(beyond).parameters) if beyond else set()
    taken = [
        p for p in signature(cls).parameters.values() if p.name not in known and p.kind is not Parameter.VAR_KEYWORD
    ]
    return ", ".join(p.name if p.default is Parameter.empty else f"{p.name}={p.default!r}" for p in taken)
