"""Ready search spaces, by name: each module holds a function that gives a tree with holes.

The functions take the shape of the inputs and the number of training examples, and fit the space to them; called
without, they give the space for their reference data. Which one is searched when the user names none, a data set says.
"""

import inspect
from typing import Any

from search_spaces.errors import SpaceError
from search_spaces.registry import Registry
from search_spaces.space import SearchSpace, as_space

SPACES: Registry[Any] = Registry("space", "search_spaces.spaces")


def get_space(name: str, inputs: tuple[int, ...] | None = None, examples: int | None = None) -> SearchSpace:
    """The search space registered as `name`, or the one a `path/to/file.py:name` points to.

    A space that can fit itself to data (a function with the parameters `inputs`, (channels, height, width) of
    pictures, and `examples`, as many as there are to train on) does so where they are given.
    Raises `SpaceError` for an unknown name.
    """
    value = SPACES.get(name)
    label = name.rpartition(":")[2]
    known = {"inputs": inputs, "examples": examples}
    if inspect.isfunction(value):
        wanted = inspect.signature(value).parameters
        given = {key: known[key] for key in wanted if known.get(key) is not None}
        missing = [key for key, p in wanted.items() if p.default is inspect.Parameter.empty and key not in given]
        if missing:
            raise SpaceError(f"the space '{label}' needs {' and '.join(missing)}; give the data it is for")
        value = value(**given)
    return as_space(value, label)
