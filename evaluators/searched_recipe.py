"""The recipe's share of a joint search: what `lr=log_uniform(1e-4,1e-2)` says, and the space of both."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from evaluators.recipes import Member
from evaluators.recipes._fields import COUNTS, NUMBERS
from evaluators.recipes._slots import NONE, RANGES, SEVERAL, SLOTS, parts_in, read, setting, split
from evaluators.recipes.partial import PartialRecipe
from search_spaces.errors import SpaceError, near
from search_spaces.holes import OneOf, one_of
from search_spaces.parts import fields_of, has_holes
from search_spaces.space import Rule, SearchSpace, Space
from search_spaces.topologies import Trained

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
    """The fields of a recipe with holes in them; raises `SpaceError` in one line for what is none.

    `optimizer.lion.beta1` is the field of a part that the field before it may hold.
    """
    known = fields_of(PartialRecipe)
    inner = {name: text for name, text in wanted.items() if "." in name}
    for name in wanted.keys() - inner.keys():
        if name == "epochs":
            raise SpaceError(
                "can't be searched: it says what a full training is, for all candidates alike; "
                "set it (--epochs N), or let --controller asha choose among shorter trainings",
                "recipe.epochs",
            )
        if name not in known:
            raise SpaceError(f"a recipe has no field '{name}'; {near(name, known)}")
    outer = {name.partition(".")[0] for name in inner}
    fields = {name: text for name, text in wanted.items() if name not in inner}
    holes = {name: hole(name, text, name in outer) for name, text in fields.items()}
    for name, text in inner.items():
        _search_within(holes, name, text)
    return PartialRecipe(**holes)


def _search_within(holes: dict[str, Any], path: str, text: str) -> None:
    """Search a field of a part that a slot may hold, wherever it may hold it."""
    slot, name, field = [*path.split("."), "", ""][:3]
    where = f"recipe.{path}"
    if slot not in SLOTS or not field:
        raise SpaceError("say SLOT.PART.FIELD, as optimizer.lion.beta1", where)
    if slot not in holes:
        raise SpaceError(f"say which {slot} there may be, too: {slot}={name}", where)
    found = setting(text if "(" in text else text.replace(",", "|"), where)
    if not has_holes(found):
        raise SpaceError(f"'{text}' leaves nothing to search; say uniform(LOW,HIGH) or A,B", where)
    changed = _with(holes[slot], slot, name, field, found, where)
    if changed == holes[slot]:
        raise SpaceError(f"{slot} never holds a part '{name}'", where)
    holes[slot] = changed


def _with(value: Any, slot: str, name: str, field: str, found: Any, where: str) -> Any:
    """What a slot may hold, every part called `name` with a hole in one of its fields."""
    if isinstance(value, OneOf):
        return OneOf(tuple(_with(option, slot, name, field, found, where) for option in value.options))
    if isinstance(value, tuple):
        return tuple(_with(item, slot, name, field, found, where) for item in value)
    if (value if isinstance(value, str) else value.name) != name:
        return value
    part = parts_in(slot, value)[0]
    if field not in fields_of(part):
        raise SpaceError(f"{name} has no setting '{field}'; {near(field, fields_of(part))}", where)
    return replace(part, **{field: found})


def hole(name: str, text: str, open_within: bool = False) -> Any:
    """The choice that `text` gives the field `name`: a range in brackets, or values with commas between.

    Of a slot, one value is enough where something within it is open.
    """
    if name in SLOTS:
        return _parts(name, text, open_within)
    called = re.fullmatch(r"\s*(\w+)\s*\((.*)\)\s*", text)
    if called:
        return _range(name, called[1], called[2])
    if "(" in text or ")" in text:
        raise SpaceError(f"'{text}' is no choice; say {_example(name)}", f"recipe.{name}")
    return _choice(name, text, [_value(name, option) for option in text.split(",")])


def _parts(name: str, text: str, open_within: bool) -> Any:
    """Parts with commas between, each as in a recipe's slot; of several, + joins those that come together."""
    called = re.match(r"\s*(\w+)\s*\(", text)
    if called and called[1] in RANGES:
        raise SpaceError(f"takes no numbers; say {_example(name)}", f"recipe.{name}")
    options = []
    for option in split(text, ","):
        found = read(name, option)
        options.append(() if found == NONE and name in SEVERAL else found)
    open_within = open_within or any(isinstance(part, Member) and has_holes(part) for part in _flat(options))
    if len(options) == 1 and open_within:
        return options[0]
    return _choice(name, text, options)


def _flat(options: list[Any]) -> list[Any]:
    return [part for option in options for part in (option if isinstance(option, tuple) else (option,))]


def _choice(name: str, text: str, options: list[Any]) -> Any:
    if len(options) < 2:
        raise SpaceError(
            f"'{text}' leaves nothing to search; say {_example(name)}, or fix it with --set evaluator.{name}={text}",
            f"recipe.{name}",
        )
    if any(option in options[:i] for i, option in enumerate(options)):
        raise SpaceError(f"'{text}' lists a value twice", f"recipe.{name}")
    return one_of(*options)


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
        "schedule": "cosine,one_cycle",
        "loss": "cross_entropy,focal",
        "augmentations": "none,mixup,shift+cutmix",
        "regularisers": "none,stochastic_depth,dropout(p=0.3)",
        "averaging": "none,ema",
        "teacher": "none,distillation(network=FOLDER)",
        "phases": "none,progressive_resolution",
        "learning": "all,layer_wise",
        "augmentation": "none,shift,flip",
        "batch_size": "32,64 or integers(32,96,32)",
        "lr": "log_uniform(1e-4,1e-2)",
        "weight_decay": "log_uniform(1e-3,1e-1)",
        "clip": "0,1,5",
    }
    return f"{name}={examples.get(name, 'uniform(0,0.3) or 0,0.1')}"
