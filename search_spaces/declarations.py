"""What a design's own file says of it beside its class, by decorators; nothing here knows torch."""

from collections.abc import Callable
from typing import Any, TypeVar

from search_spaces.errors import SpaceError

Rule = Callable[[list[Any], list[Any]], float]
"""From an operator's inputs and outputs to the multiply-accumulates of one call."""
R = TypeVar("R", bound=Rule)

OPERATORS: dict[str, Rule] = {}
"""The counts of operators by name, `library::operator`."""


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
