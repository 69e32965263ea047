"""An architecture as an indented Python expression."""

from typing import Any

from search_spaces.parts import Part, fields_of

WIDTH = 110


def expression(value: Any, names: dict[type, str], indent: int = 0, before: int = 0) -> str:
    """`value` as the expression that makes it; what fits a line stays on one.

    `indent` is that of the line the expression begins on, `before` how many characters precede it there. Parts are
    called by `names`, all their fields by keyword.
    """
    short = _line(value, names)
    if indent + before + len(short) + 1 <= WIDTH:
        return short
    pad = " " * (indent + 4)
    if isinstance(value, Part) and fields_of(value):
        inner = [
            f"{pad}{name}={expression(getattr(value, name), names, indent + 4, len(name) + 1)},"
            for name in fields_of(value)
        ]
        return "\n".join([f"{names[type(value)]}(", *inner, " " * indent + ")"])
    if isinstance(value, tuple) and value:
        inner = [f"{pad}{expression(item, names, indent + 4)}," for item in value]
        return "\n".join(["(", *inner, " " * indent + ")"])
    return short


def _line(value: Any, names: dict[type, str]) -> str:
    if isinstance(value, Part):
        inner = ", ".join(f"{name}={_line(getattr(value, name), names)}" for name in fields_of(value))
        return f"{names[type(value)]}({inner})"
    if isinstance(value, tuple):
        items = [_line(item, names) for item in value]
        return f"({items[0]},)" if len(items) == 1 else "(" + ", ".join(items) + ")"
    return repr(value)
