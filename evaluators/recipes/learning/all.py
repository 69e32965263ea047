"""All layers learn alike."""

from evaluators.recipes.learning import Learning
from search_spaces.parts import part


@part("learning", "all", source="Decoupled Weight Decay Regularization")
class All(Learning):
    """Every layer learns at the recipe's rate."""

    def shares(self, layers: int) -> list[float]:
        return [1.0] * layers
