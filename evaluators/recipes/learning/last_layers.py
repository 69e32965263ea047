"""Only the last layers learn."""

from math import ceil

from evaluators.recipes.learning import Learning
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part(
    "learning",
    "last_layers",
    source="What Would Elsa Do? Freezing Layers During Transformer Fine-Tuning",
)
class LastLayers(Learning):
    """The share `share` of all layers, the last ones, learns, at least one; the others stay as they are.

    So do the statistics of their batch normalizations. It is meant for weights from elsewhere (the evaluator's
    `inherit`).
    """

    share: float = 0.25

    def validate(self) -> None:
        if not 0 < self.share <= 1:
            raise SpaceError(f"must be a share above 0, up to 1, not {self.share!r}", "last_layers.share")

    def shares(self, layers: int) -> list[float]:
        learning = max(1, min(layers, ceil(self.share * layers)))
        return [0.0] * (layers - learning) + [1.0] * learning
