"""Training recipes: how a network is trained, as a tree of parts, so that anything in it may be a hole, too.

A recipe has plain fields (`lr`, `weight_decay`, …) and slots for parts of further families, one package each here:
optimizer, schedule, loss, augmentation, regulariser, averaging, teacher, phase, learning. What the parts of a family
owe is said by its package. Nothing of a network is built of a recipe: whoever trains asks it.
"""

from typing import Any

from search_spaces.families import Family
from search_spaces.parts import Part

RECIPE = Family("recipe", __name__)


class Member(Part):
    """Base of the parts that a recipe is made of."""

    def refuses(self, data: Any) -> str | None:
        """Why it can't be used to train on `data` (a `DataSet`), with what could be done instead; None where it can."""
        return None
