"""Whether the networks of a space do what a data set asks, found out before anything is trained."""

from archfront.contracts import WrongUse
from evaluators.datasets import DataSet
from search_spaces.building import build
from search_spaces.errors import SpaceError
from search_spaces.space import Space

TRIED = 5
"""So many networks are tried."""


def check_space(space: Space, data: DataSet) -> None:
    """Raise `WrongUse`, one line, where none of a few networks of the space can be built for the data's task."""
    examples = data.prepared(data.train.inputs[:2])
    reason: SpaceError | None = None
    for seed in range(TRIED):
        try:
            data.task.check(build(space.sample(seed), data.inputs, data.outputs, seed=0), examples)
            return
        except SpaceError as error:
            reason = error
    raise WrongUse(
        f"the networks of '{space.name}' don't suit {data.name} ({data.task.name}): {reason}; "
        f"'{data.space}' is the space that fits itself to it"
    )
