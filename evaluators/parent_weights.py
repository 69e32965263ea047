"""The weights that a candidate begins with when edits lead to it from a trained parent of its own study."""

from hashlib import sha256
from typing import Any

from torch import Tensor

from archfront.contracts import Context
from evaluators import checkpoints
from evaluators.datasets import DataSet
from search_spaces.canonical import from_json
from search_spaces.edits.weights import inherited
from search_spaces.errors import SpaceError
from search_spaces.parts import without_recipe


def from_parents(architecture: Any, context: Context, seed: int) -> tuple[dict[str, Tensor], str] | None:
    """Weights with which the candidate computes what the first parent that can be edited into it does, and their hash.

    The hash is of the parent's file. None where no parent was trained, or no edits lead from one. Raises `OSError`
    where a trained parent's weights are gone.
    """
    data: DataSet = context.data
    for path in context.parents:
        try:
            tensors, about = checkpoints.load(path)
        except OSError as error:
            raise OSError(f"the parent's weights are gone: {error}; only inherit='' does without") from None
        try:
            before = from_json(about.get("architecture"))
            state = inherited(
                without_recipe(before), tensors, without_recipe(architecture), data.inputs, data.outputs, seed
            )
        except SpaceError:
            continue
        return state, sha256(path.read_bytes()).hexdigest()
    return None
