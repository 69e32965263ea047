"""The slots of a recipe: which hold parts of which families, and how their content is written as text.

What a slot holds is a registered part's name, where the part has no settings of its own, or the part; slots for several
hold a tuple of these. So a recipe that names what it always named is written as it always was.
"""

import re
from collections.abc import Iterator
from typing import Any

from evaluators.recipes import Member
from search_spaces import canonical
from search_spaces.errors import SpaceError, near
from search_spaces.families import FAMILIES
from search_spaces.holes import OneOf, Repeat, integers, log_uniform, one_of, uniform
from search_spaces.parts import Part, fields_of

SLOTS = {
    "optimizer": "optimizer",
    "schedule": "schedule",
    "loss": "loss",
    "augmentations": "augmentation",
    "regularisers": "regulariser",
    "averaging": "averaging",
    "teacher": "teacher",
    "phases": "phase",
    "learning": "learning",
}
"""The fields that hold parts, with their families."""
SEVERAL = ("augmentations", "regularisers", "phases")
"""Those that hold any number, in order."""
EMPTY = ("loss", "averaging", "teacher")
"""Those that hold one or none."""
NONE = "none"
"""What is written for none."""
RANGES: dict[str, Any] = {"uniform": uniform, "log_uniform": log_uniform, "integers": integers}
"""What may stand before brackets where a number is to be searched."""
CALL = re.compile(r"(?P<name>[^()]+?)\s*(?:\((?P<inner>.*)\))?", re.DOTALL)
_KNOWN: set[tuple[str, str]] = set()


def read(field: str, value: Any) -> Any:
    """What a slot holds for a value: text (see `parsed`), parts, holes, or several of these in a tuple or list.

    Raises `SpaceError`, at the field's path, for what isn't of the slot's family.
    """
    where = f"recipe.{field}"
    if value is None or value == NONE:
        return value
    if isinstance(value, OneOf):
        return OneOf(tuple(read(field, option) for option in value.options))
    if field in SEVERAL:
        items = [value] if isinstance(value, str | Part) else value
        if not isinstance(items, tuple | list):
            raise SpaceError(f"takes parts in a tuple, or names joined by +, not {value!r}", where)
        return tuple(part for item in items for part in _several(field, item, where))
    if isinstance(value, tuple | list | Repeat):
        raise SpaceError("takes one value, or a choice of values, not several at once", where)
    return _one(field, value, where)


def _several(field: str, item: Any, where: str) -> list[Any]:
    if isinstance(item, OneOf):
        return [OneOf(tuple(_one(field, option, where) for option in item.options))]
    if not isinstance(item, str):
        return [_one(field, item, where)]
    return [] if item.strip() == NONE else [_one(field, text, where) for text in split(item, "+")]


def _one(field: str, value: Any, where: str) -> Any:
    family = SLOTS[field]
    if isinstance(value, str):
        return parsed(family, value, where)
    if not isinstance(value, Member) or value.family != family:
        found = f"{type(value).__name__} is none" if isinstance(value, Part) else f"not {value!r}"
        raise SpaceError(f"takes a part of the family {family}: {found}; derive it from {family.title()}", where)
    return value


def parsed(family: str, text: str, where: str) -> Any:
    """What one name means, maybe with settings in brackets, as `mixup(alpha=0.4)`, or `FILE.py:NAME(alpha=0.4)`.

    A setting is a number, true, false, none, a range (`uniform(0.1,1)`, then the part has a hole) or any other text,
    which may stand in quotes. Nothing of it is run but the file named.
    """
    called = CALL.fullmatch(text.strip())
    if called is None or text.count("(") != text.count(")"):
        raise SpaceError(f"'{text}' is no part; say a name, or a name with settings: mixup(alpha=0.4)", where)
    name, inner = called["name"].strip(), called["inner"]
    if inner is None and ".py:" not in name:
        _check(family, name, where)
        return name
    try:
        cls = FAMILIES[family].get(name)
    except SpaceError as error:
        raise SpaceError(str(error), where) from None
    if not (isinstance(cls, type) and issubclass(cls, Member) and cls.family == family):
        raise SpaceError(f"{name} is no {family}; derive it from {family.title()}, and decorate it with @part", where)
    settings = dict(_setting(name, cls, item, where) for item in split(inner or "", ",") if item.strip())
    if not settings and ".py:" not in name:
        return cls.name
    try:
        return cls(**settings)
    except TypeError as error:
        raise SpaceError(f"{name}: {error}", where) from None


def _check(family: str, name: str, where: str) -> None:
    """Raise `SpaceError` where no part of the family is named so; nothing is imported for it."""
    if (family, name) in _KNOWN:
        return
    if name not in FAMILIES[family]:
        try:
            FAMILIES[family].get(name)
        except SpaceError as error:
            raise SpaceError(str(error), where) from None
    _KNOWN.add((family, name))


def _setting(name: str, cls: Any, text: str, where: str) -> tuple[str, Any]:
    key, equals, value = (part.strip() for part in text.partition("="))
    known = fields_of(cls)
    if not equals or key not in known:
        raise SpaceError(f"{name} has no setting '{key}'; {near(key, known)}", where)
    return key, setting(value, where)


def setting(text: str, where: str) -> Any:
    """A setting's value: a number, true, false, none, values with | between or a range to choose from, or text."""
    ranged = re.fullmatch(r"(\w+)\s*\((.*)\)", text)
    if ranged:
        if ranged[1] not in RANGES:
            raise SpaceError(f"no range is named '{ranged[1]}'; {near(ranged[1], RANGES)}", where)
        try:
            return RANGES[ranged[1]](*(setting(item.strip(), where) for item in ranged[2].split(",")))
        except (SpaceError, TypeError) as error:
            raise SpaceError(str(error), where) from None
    if "|" in text:
        return one_of(*(setting(option.strip(), where) for option in text.split("|")))
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    if text.lower() in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def split(text: str, mark: str) -> Iterator[str]:
    """The pieces of a text between marks that aren't in brackets."""
    depth, piece = 0, ""
    for letter in text:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == mark and depth == 0:
            yield piece.strip()
            piece = ""
        else:
            piece += letter
    yield piece.strip()


def parts_in(field: str, value: Any) -> tuple[Any, ...]:
    """The parts that a slot's content names, in order, no holes in it."""
    if value is None or value == NONE:
        return ()
    items = value if isinstance(value, tuple) else (value,)
    return tuple(FAMILIES[SLOTS[field]].get(item)() if isinstance(item, str) else item for item in items)


def plain(value: Any) -> Any:
    """A slot's content in its one spelling: a part without settings of its own is its name."""
    if isinstance(value, tuple):
        items = tuple(plain(item) for item in value)
        return value if items == value else items
    bare = isinstance(value, Part) and canonical.text(value) == f'{{"part":"{value.family}/{value.name}"}}'
    return value.name if bare else value
