"""Which recipe a candidate is trained by: the one that suits the data set, with what the candidate brings itself."""

from typing import TYPE_CHECKING, Any

from evaluators.recipes.partial import PartialRecipe
from evaluators.recipes.training import Recipe

if TYPE_CHECKING:
    from evaluators.datasets import DataSet


def default_recipe(dataset: "DataSet", **settings: Any) -> Recipe:
    """The recipe that suits a data set's size, with `settings` in place of its own.

    At least 7 epochs and at least 150 steps: 9 epochs for 1,150 pictures, 15 for 680, 7 from 1,400 on.
    """
    size = dataset.train.size
    batch_size = int(settings.get("batch_size", 64 if size < 40_000 else 128))
    epochs = min(30, max(7, -(-150 // max(1, size // batch_size))))
    return Recipe(**{"epochs": epochs, "batch_size": batch_size, **settings})


def own_recipe(architecture: Any, recipe: Recipe) -> Recipe:
    """`recipe` with the fields that the architecture brings itself, if it does."""
    own = getattr(architecture, "recipe", None)
    return own.over(recipe) if isinstance(own, PartialRecipe) else recipe
