"""The recipe's share of a joint search: what `lr=log_uniform(1e-4,1e-2)` says, and the space of both."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from evaluators.recipes._fields import COUNTS, NUMBERS
from evaluators.recipes.partial import PartialRecipe
from search_spaces.errors import SpaceError, near
from search_spaces.holes import OneOf, integers, log_uniform, one_of, uniform
from search_spaces.parts import fields_of
from search_spaces.space import Rule, SearchSpace, Space
from search_spaces.topologies import Trained

RANGES: dict[str, Callable[..., Any]] = {"uniform": uniform, "log_uniform": log_uniform, "integers": integers}
"""What may stand before brackets."""
INTEGER = re.compile(r"[+-]?\d+")


def with_recipe(space: SearchSpace, wanted: Mapping[str, str]) -> Space:
    """The space of the networks of `space`, each with a recipe whose fields are what `wanted` says of them."""
    if not isinstance(space, Space):
        raise SpaceError(f"the networks of '{space.name}' can't be trained, so no recipe can be searched with them")
    if isinstance(space.tree, Trained):
        raise SpaceError(f"the space '{space.name}' brings its own recipe; write the ranges there")
    rules = tuple(_on_network(rule) for rule in space.rules)
    return Space(Trained(space.tree, searched(wanted)), space.name, rules)


def _on_network(rule: Rule) -> Rule:
    return Rule(lambda architecture: rule.holds(architecture.network), rule.reason)


def searched(wanted: Mapping[str, str]) -> PartialRecipe:
    """The fields of a recipe with holes in them; raises `SpaceError` in one line for what is none."""
    known = fields_of(PartialRecipe)
    for name in wanted:
        if name == "epochs":
            raise SpaceError(
                "can't be searched: it says what a full training is, for all candidates alike; "
                "set it (--epochs N), or let --controller asha choose among shorter trainings",
                "recipe.epochs",
            )
        if name not in known:
            raise SpaceError(f"a recipe has no field '{name}'; {near(name, known)}")
    holes: dict[str, Any] = {name: hole(name, text) for name, text in wanted.items()}
    return PartialRecipe(**holes)


def hole(name: str, text: str) -> Any:
    """The choice that `text` gives the field `name`: a range in brackets, or values with commas between."""
    called = re.fullmatch(r"\s*(\w+)\s*\((.*)\)\s*", text)
    if called:
        return _range(name, called[1], called[2])
    if "(" in text or ")" in text:
        raise SpaceError(f"'{text}' is no choice; say {_example(name)}", f"recipe.{name}")
    found = one_of(*(_value(name, option) for option in text.split(",")))
    options = found.options if isinstance(found, OneOf) else ()
    if len(options) < 2:
        raise SpaceError(
            f"'{text}' leaves nothing to search; say {_example(name)}, or fix it with --set evaluator.{name}={text}",
            f"recipe.{name}",
        )
    if len(set(options)) < len(options):
        raise SpaceError(f"'{text}' lists a value twice", f"recipe.{name}")
    return found


def _range(name: str, kind: str, text: str) -> Any:
    where = f"recipe.{name}"
    if kind not in RANGES:
        raise SpaceError(f"no range is named '{kind}'; {near(kind, RANGES)}", where)
    if name not in NUMBERS and name not in COUNTS:
        raise SpaceError(f"takes no numbers; say {_example(name)}", where)
    if name in COUNTS and kind != "integers":
        raise SpaceError(f"takes whole numbers; say {_example(name)}", where)
    if name in NUMBERS and kind == "integers":
        raise SpaceError(f"is searched along a range of real numbers; say {_example(name)}", where)
    # A third number is how many steps there are, or how long they are; it may be called by its name.
    given = [re.sub(r"^\s*steps?\s*=", "", part) if i == 2 else part for i, part in enumerate(text.split(","))]
    if len(given) not in (2, 3):
        raise SpaceError(f"{kind}() takes a low and a high end, and steps, not '{text}'", where)
    numbers = [_number(name, part) for part in given]
    try:
        return RANGES[kind](*numbers)
    except (SpaceError, TypeError) as error:
        raise SpaceError(str(error), where) from None


def _value(name: str, text: str) -> Any:
    if name in COUNTS:
        return _number(name, text)
    # So that 0 and 0.0 are one option, as they are one recipe.
    return float(_number(name, text)) if name in NUMBERS else text.strip()


def _number(name: str, text: str) -> int | float:
    try:
        return int(text) if INTEGER.fullmatch(text.strip()) else float(text)
    except ValueError:
        raise SpaceError(f"'{text.strip()}' is no number; say {_example(name)}", f"recipe.{name}") from None


def _example(name: str) -> str:
    """What may be said of a field."""
    examples = {
        "optimizer": "adamw,sgd",
        "augmentation": "none,shift,flip",
        "batch_size": "32,64 or integers(32,96,32)",
        "lr": "log_uniform(1e-4,1e-2)",
        "weight_decay": "log_uniform(1e-3,1e-1)",
        "clip": "0,1,5",
    }
    return f"{name}={examples.get(name, 'uniform(0,0.3) or 0,0.1')}"
