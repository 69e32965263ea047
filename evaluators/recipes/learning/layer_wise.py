"""Layer-wise learning rates."""

from evaluators.recipes.learning import Learning
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part(
    "learning",
    "layer_wise",
    source="Fine-Tuning Large Neural Language Models for Biomedical Natural Language Processing",
)
class LayerWise(Learning):
    """The rate falls by the same factor from layer to layer, from the last, which has the recipe's, to the first.

    `first` is the first layer's share of it, so that one number suits networks of any depth: the factor per layer of n
    is `first` to the power of 1 / (n - 1).
    """

    first: float = 0.1

    def validate(self) -> None:
        if not 0 < self.first <= 1:
            raise SpaceError(f"must be a share above 0, up to 1, not {self.first!r}", "layer_wise.first")

    def shares(self, layers: int) -> list[float]:
        return [self.first ** ((layers - 1 - number) / max(1, layers - 1)) for number in range(layers)]
