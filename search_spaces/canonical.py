"""The canonical form of an architecture: JSON both ways, a digest, a readable outline, the diff of two."""

import dataclasses
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from search_spaces.errors import SpaceError, near
from search_spaces.families import FAMILIES
from search_spaces.holes import OneOf, Repeat
from search_spaces.parts import Part, fields_of, has_holes

JSON = Any
"""What `json.loads` gives: dict, list, str, int, float, bool or None."""


KEPT = 1000
"""Texts of parts up to this length are kept: blocks, which many architectures share, but not whole networks."""


IDENTITY = 2
"""How architectures are written, and so which digests and fingerprints they have: 1 with all fields, 2 without those
at their defaults. What has an earlier number is written anew when it goes on."""


def to_json(value: Any, whole: bool = False) -> JSON:
    """An architecture as JSON values; a part becomes `{"part": "family/name", **fields}`.

    Fields at their defaults are left out, except of a `whole` one, which is for people to read.
    """
    if not whole:
        return json.loads(text(value))
    if isinstance(value, Part):
        inner = {field: to_json(getattr(value, field), whole) for field in fields_of(value)}
        return {"part": f"{value.family}/{value.name}", **inner}
    return [to_json(item, whole) for item in value] if isinstance(value, tuple | list) else json.loads(text(value))


def from_json(value: JSON, path: str = "") -> Any:
    """The architecture that `to_json` wrote; unknown parts and fields raise `SpaceError` with their path."""
    if isinstance(value, list):
        return tuple(from_json(item, f"{path}.{i}" if path else str(i)) for i, item in enumerate(value))
    if isinstance(value, str) and ".py:" in value:
        raise SpaceError(f"'{value}' names a file; only registered parts are read", path or "architecture")
    if not isinstance(value, dict):
        return value
    family, slash, name = str(value.get("part", "")).partition("/")
    if not slash:
        raise SpaceError(
            f'\'{value.get("part")}\' names no part; expected "part": "family/name"', path or "architecture"
        )
    if ".py:" in name:  # A file is run for whoever names it on the command line, never for what is read.
        raise SpaceError(f"'{value['part']}' names a file; only registered parts are read", path or "architecture")
    try:
        cls = FAMILIES.find(family).get(name)
    except SpaceError as error:
        raise SpaceError(str(error), path or "architecture") from None
    known = fields_of(cls)
    for key in value:
        if key != "part" and key not in known:
            raise SpaceError(f"{family}/{name} has no field '{key}'; {near(key, known)}", path or "architecture")
    inner = {key: from_json(item, f"{path}.{key}" if path else key) for key, item in value.items() if key != "part"}
    try:
        return cls(**inner)
    except TypeError as error:
        raise SpaceError(f"{family}/{name}: {error}", path or "architecture") from None


def digest(architecture: Any) -> str:
    """32 hexadecimal digits, equal for two architectures exactly when they are spellings of one network."""
    return sha256(text(canonical(architecture)).encode()).hexdigest()[:32]


def canonical(value: Any) -> Any:
    """The tree with every part in its canonical spelling."""
    if isinstance(value, tuple):
        items = tuple(canonical(item) for item in value)
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    if not isinstance(value, Part):
        return value
    known = value.__dict__.get("_canonical")
    if known is None:
        inner = {field: canonical(getattr(value, field)) for field in fields_of(value)}
        same = all(inner[field] is getattr(value, field) for field in inner)
        known = (value if same else type(value)(**inner)).canonical()
        object.__setattr__(value, "_canonical", known)
    return known


def text(value: Any) -> str:
    """Compact JSON of an architecture, the fields in order; kept on small parts, which samples share.

    A field at its default is left out, so that a field that a later version adds changes no text, and no digest.
    """
    if isinstance(value, Part):
        known = value.__dict__.get("_text")
        if known is None:
            cls, held = type(value), value.__dict__
            head, fields = _FORMS.get(cls) or _form(cls)
            known = head
            for field, lead, default in fields:
                written = text(held[field])
                if written != default:
                    known += lead + written
            known += "}"
            if len(known) <= KEPT:
                object.__setattr__(value, "_text", known)
        return known
    if isinstance(value, tuple | list):
        return "[" + ",".join(map(text, value)) + "]"
    if value is None or isinstance(value, bool | int | float | str):
        return json.dumps(value)
    raise SpaceError(f"an architecture can't hold a {type(value).__name__} ({value!r}); fill every hole first")


_FORMS: dict[type[Part], tuple[str, list[tuple[str, str, str | None]]]] = {}
"""How a part of each class is written: what comes first, then of each field its name, what leads it in, its default."""


def _form(cls: type[Part]) -> tuple[str, list[tuple[str, str, str | None]]]:
    defaults = default_texts(cls)
    fields = [(field, f',"{field}":', defaults.get(field)) for field in fields_of(cls)]
    _FORMS[cls] = f'{{"part":"{cls.family}/{cls.name}"', fields
    return _FORMS[cls]


_DEFAULTS: dict[type[Part], dict[str, str]] = {}


def default_texts(cls: type[Part]) -> dict[str, str]:
    """The texts of the defaults of a part's fields; a part that a default names isn't imported for it."""
    if cls not in _DEFAULTS:
        _DEFAULTS[cls] = _written_defaults(cls)
    return _DEFAULTS[cls]


def _written_defaults(cls: type[Part]) -> dict[str, str]:
    found = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        made = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        if made is not dataclasses.MISSING:
            found[field.name] = _default_text(made, field.metadata.get("family", ""))
    return found


def _default_text(value: Any, family: str) -> str:
    if family and isinstance(value, str):
        return f'{{"part":"{family}/{value}"}}'
    if isinstance(value, tuple | list):
        return "[" + ",".join(_default_text(item, family) for item in value) + "]"
    return text(value)


@dataclass(frozen=True)
class Change:
    """One difference between two architectures, at a path; None stands for what isn't there."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.path}: {outline(self.before)} -> {outline(self.after)}"


def diff(before: Any, after: Any, path: str = "") -> list[Change]:
    """What changes from one architecture to the other, at the deepest paths that tell."""
    if isinstance(before, Part) and type(before) is type(after):
        prefix = f"{path}." if path else ""
        return [
            change
            for field in fields_of(before)
            for change in diff(getattr(before, field), getattr(after, field), prefix + field)
        ]
    if isinstance(before, tuple) and isinstance(after, tuple):
        if None in before[len(after) :] + after[len(before) :]:
            # An item that is None can't be told from none at all, so the whole tuple is shown.
            return [Change(path or "architecture", before, after)]
        changes: list[Change] = []
        for i in range(max(len(before), len(after))):
            left = before[i] if i < len(before) else None
            right = after[i] if i < len(after) else None
            changes += diff(left, right, f"{path}.{i}" if path else str(i))
        return changes
    same = type(before) is type(after) and before == after  # 1, 1.0 and True are different options
    return [] if same else [Change(path or "architecture", before, after)]


def outline(value: Any) -> str:
    """One readable line for a value, part or hole: `depthwise_conv(kernel=3)`, fields at their defaults left out."""
    if isinstance(value, Part):
        inner = ", ".join(f"{field}={outline(inner)}" for field, inner in _other_than_default(value))
        return f"{value.name}({inner})" if inner else value.name
    if isinstance(value, OneOf):
        return "one_of(" + ", ".join(map(outline, value.options)) + ")"
    if isinstance(value, Repeat):
        return f"repeat({outline(value.count)}, {outline(value.item)}{', shared' if value.shared else ''})"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(outline, value)) + ")"
    return str(value) if not isinstance(value, str) else value


def _other_than_default(part: Part) -> list[tuple[str, Any]]:
    defaults = default_texts(type(part))
    values = [(field, getattr(part, field)) for field in fields_of(part)]
    return [(field, value) for field, value in values if has_holes(value) or text(value) != defaults.get(field)]


def shown(value: dict[str, JSON]) -> dict[str, JSON]:
    """The fields of a part in its JSON form that say something: of a recipe, those that it doesn't leave out."""
    partial = str(value.get("part", "")).startswith("recipe/")
    return {k: v for k, v in value.items() if k != "part" and not (partial and v is None)}


def tree(value: JSON, label: str = "network", depth: int = 0) -> list[str]:
    """The lines of an indented tree of an architecture in its JSON form; needs none of its parts installed."""
    pad = "  " * depth
    if isinstance(value, dict):
        plain = {k: v for k, v in shown(value).items() if not isinstance(v, dict | list)}
        deep = {k: v for k, v in value.items() if isinstance(v, dict | list)}
        short = str(value.get("part", "")).partition("/")[2]
        inner = " ".join(f"{k}={v}" for k, v in plain.items())
        lines = [f"{pad}{label}: {short}" + (f" {inner}" if inner else "")]
        return lines + [line for k, v in deep.items() for line in tree(v, k, depth + 1)]
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return [f"{pad}{label}:"] + [line for i, item in enumerate(value) for line in tree(item, str(i), depth + 1)]
    return [f"{pad}{label}: {value}"]
