"""What a design's own file says of its modules, for the mechanisms that know no design by name.

Each declaration is keyed by the class of a `torch.nn.Module` (of the design's own, of timm or of torch), or by the name
of an operator. A class without one inherits that of the classes it derives from.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from search_spaces.errors import SpaceError

M = TypeVar("M", bound=type)
F = TypeVar("F", bound=Callable[..., Any])

Rule = Callable[[list[Any], list[Any]], float]
"""From an operator's inputs and outputs to the multiply-accumulates of one call."""
R = TypeVar("R", bound=Rule)

OPERATORS: dict[str, Rule] = {}
"""The counts of operators by name, `library::operator`."""
GROWTH: dict[type, Callable[[Any, Any, Any, str], None]] = {}
"""How a module takes over the weights of the smaller one that it was before an edit: `rule(growth, old, new, path)`."""
FORMED: dict[type, Callable[[Any, Any, Any, str], bool]] = {}
"""How a module takes over those of another kind of module: `rule(growth, old, new, path)`, False for the usual way."""
TRANSPARENT: set[type] = set()
"""Modules that compute with channels by way of the modules inside of them alone."""
ZEROS: dict[type, Callable[[Any, Callable[[Any], bool]], bool]] = {}
"""How a module is made to give zeros: `rule(module, zero)`, see `zeroed`."""
IDENTITIES: dict[type, Callable[[Any, Callable[[Any], bool]], bool]] = {}
"""How a module is made to pass on its input: `rule(module, zero)`, see `begins_as_identity`."""
DROPPED: dict[type, Callable[[Any], list[Any]]] = {}
"""Which modules inside of a module give what is added to something else: `rule(module)`, see `may_drop`."""


def grows(*classes: type) -> Callable[[F], F]:
    """Say how modules of these classes grow: `rule(growth, old, new, path)` fills `new` so that it computes as `old`.

    It is called without gradients; `old` has the very class of `new`. `growth` is an
    `edits.growth.Growth`.
    """

    def decorate(rule: F) -> F:
        GROWTH.update(dict.fromkeys(classes, rule))
        return rule

    return decorate


def forms(*classes: type) -> Callable[[F], F]:
    """Say how modules of these classes are formed from what stood in their place, a module of whatever class.

    `rule(growth, old, new, path)` gives True when it filled `new`, and False to leave it to the rules of `grows`.
    """

    def decorate(rule: F) -> F:
        FORMED.update(dict.fromkeys(classes, rule))
        return rule

    return decorate


def transparent(cls: M) -> M:
    """Say that a class of modules computes with channels by way of the modules inside of it alone."""
    TRANSPARENT.add(cls)
    return cls


def zeroed(*classes: type) -> Callable[[F], F]:
    """Say how modules of these classes are made to give zeros.

    `rule(module, zero)` zeroes one layer, so that gradients reach it, and through it the others, and gives True; or it
    gives False for a module that has no such layer but maps zeros to zeros. `zero` does so for a module inside of it.
    """

    def decorate(rule: F) -> F:
        ZEROS.update(dict.fromkeys(classes, rule))
        return rule

    return decorate


def keeps_zeros(*classes: type) -> None:
    """Say that modules of these classes have no layer to zero, but map zeros to zeros."""
    zeroed(*classes)(_no_layer)


def begins_as_identity(*classes: type) -> Callable[[F], F]:
    """Say how modules of these classes are made to pass on their input, in a block that an edit adds.

    `rule(module, zero)` gives False where that can't be; `zero` makes a module inside of it give zeros, as in `zeroed`.
    """

    def decorate(rule: F) -> F:
        IDENTITIES.update(dict.fromkeys(classes, rule))
        return rule

    return decorate


def may_drop(*classes: type) -> Callable[[F], F]:
    """Say which branches of modules of these classes may be left out in training, an example here, another there.

    `rule(module)` gives the modules inside of it whose outputs are added to something else.
    """

    def decorate(rule: F) -> F:
        DROPPED.update(dict.fromkeys(classes, rule))
        return rule

    return decorate


def declared(table: dict[type, F], module: Any) -> F | None:
    """The declaration for a module: its class's own, or the nearest one of the classes that it derives from."""
    return next((table[cls] for cls in type(module).__mro__ if cls in table), None)


def _no_layer(module: Any, zero: Callable[[Any], bool]) -> bool:
    return False


def counts(operator: str) -> Callable[[R], R]:
    """Say how many multiply-accumulates a call of `operator` takes, beside the part that uses it.

    ```python
    @counts("mylib::scan")
    def _(inputs, outputs):
        batch, steps, channels = inputs[0]
        return batch * steps * channels * channels
    ```

    `inputs` are all arguments of the operator's schema in order, with their defaults, and `outputs` its results. A
    tensor is given as its shape, a tuple; lists are lists of these; numbers, booleans, texts and None are themselves.
    A count is of the tensors at hand, so their shapes hold the batch. The count of an operator that has one already is
    replaced. Raises `SpaceError` for what is no operator's name, and for one that another file has counted.
    """
    if operator.count("::") != 1 or not all(operator.split("::")):
        raise SpaceError(f"@counts takes an operator's name, as mylib::scan, not '{operator}'")

    def decorate(rule: R) -> R:
        known = OPERATORS.get(operator)
        if known is not None and known.__module__ != rule.__module__:
            raise SpaceError(f"'{operator}' is counted in {known.__module__} and in {rule.__module__}; leave one out")
        OPERATORS[operator] = rule
        return rule

    return decorate
