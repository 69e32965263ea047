"""Architectures in their JSON form made readable: as a tree of branches, and as the differences of two."""

from dataclasses import dataclass
from typing import Any

from search_spaces.canonical import shown

JSON = Any


@dataclass(frozen=True)
class Branch:
    """One line of an architecture's tree: the field it stands in, the part's name, its plain settings."""

    path: str
    field: str
    part: str
    settings: str
    children: tuple["Branch", ...] = ()


def branches(value: JSON, field: str = "network", path: str = "") -> Branch:
    """The tree of an architecture in its JSON form; needs none of its parts installed."""
    if isinstance(value, dict):
        plain = {k: v for k, v in shown(value).items() if not _deep(v)}
        part = str(value.get("part", "")).partition("/")[2]
        settings = ", ".join(f"{key}={_text(inner)}" for key, inner in plain.items())
        deep = [(key, inner) for key, inner in value.items() if _deep(inner)]
        return Branch(path, field, part, settings, tuple(branches(v, k, _join(path, k)) for k, v in deep))
    if isinstance(value, list) and _deep(value):
        children = tuple(branches(v, str(i), _join(path, str(i))) for i, v in enumerate(value))
        return Branch(path, field, "", f"{len(value)}×", children)
    return Branch(path, field, "", _text(value))


def differences(before: JSON, after: JSON, path: str = "") -> list[tuple[str, str, str]]:
    """What changes from one architecture to the other: path, before, after, at the deepest paths that tell."""
    if isinstance(before, dict) and isinstance(after, dict) and before.get("part") == after.get("part"):
        keys = list(dict.fromkeys([*before, *after]))
        return [d for k in keys for d in differences(before.get(k), after.get(k), _join(path, k))]
    if isinstance(before, list) and isinstance(after, list):
        pairs = [(_at(before, i), _at(after, i)) for i in range(max(len(before), len(after)))]
        return [d for i, (left, right) in enumerate(pairs) for d in differences(left, right, _join(path, str(i)))]
    return [] if before == after else [(path or "architecture", outline(before), outline(after))]


def outline(value: JSON) -> str:
    """One readable line for a value or part: `depthwise_conv(kernel=3)`."""
    if isinstance(value, dict):
        inner = ", ".join(f"{key}={outline(v)}" for key, v in shown(value).items())
        name = str(value.get("part", "")).partition("/")[2]
        return f"{name}({inner})" if inner else name
    if isinstance(value, list):
        return "(" + ", ".join(map(outline, value)) + ")"
    return "–" if value is None else str(value)


def _deep(value: JSON) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(_deep(item) for item in value))


def _text(value: JSON) -> str:
    return "–" if value is None else ("×".join(map(str, value)) if isinstance(value, list) else str(value))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _at(items: list[JSON], place: int) -> JSON:
    return items[place] if place < len(items) else None
