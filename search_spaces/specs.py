"""Things that are named with settings on a command line: `width_prune(share=0.25)`, several with commas between."""

import json
from typing import Any

from search_spaces.errors import SpaceError


def split_specs(text: str) -> list[str]:
    """The specifications in `text`, which commas outside of brackets separate; empty ones are left out."""
    found, depth = [""], 0
    for sign in text:
        depth += (sign in "([") - (sign in ")]")
        if sign == "," and depth == 0:
            found.append("")
        else:
            found[-1] += sign
    return [spec.strip() for spec in found if spec.strip()]


def parse_spec(text: str) -> tuple[str, dict[str, Any]]:
    """Name and settings of `name` or `name(key=value, …)`; a value that isn't JSON is a text. Raises `SpaceError`."""
    name, bracket, rest = text.strip().partition("(")
    if not bracket:
        return name, {}
    if not name or not rest.rstrip().endswith(")"):
        raise SpaceError(f"'{text}': say NAME, or NAME(KEY=VALUE, …) with the settings in brackets")
    settings: dict[str, Any] = {}
    for item in split_specs(rest.rstrip()[:-1]):
        key, equals, value = (piece.strip() for piece in item.partition("="))
        if not (key and equals and value):
            raise SpaceError(f"'{text}': '{item}' is no setting; say {name.strip()}(KEY=VALUE, …)")
        if key in settings:
            raise SpaceError(f"'{text}' sets {key} twice; leave one out")
        settings[key] = _value(value)
    return name.strip(), settings


def spelled(step: str) -> str:
    """The JSON text of a part as `name(key=value, …)`, whether or not the part is installed."""
    try:
        value = json.loads(step)
        name = value.pop("part").partition("/")[2]
    except (ValueError, KeyError, AttributeError):
        return step
    settings = ", ".join(f"{key}={item if isinstance(item, str) else json.dumps(item)}" for key, item in value.items())
    return f"{name}({settings})" if settings else name


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.strip("'\"")
