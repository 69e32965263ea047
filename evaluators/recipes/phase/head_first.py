"""The head learns first."""

from torch import nn

from evaluators.layers import last_layer
from evaluators.recipes.phase import Phase
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part(
    "phase",
    "head_first",
    source="Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution",
)
class HeadFirst(Phase):
    """For the share `share` of all steps only the last layer learns, on what the others give, then all do.

    Meant for a network that begins with weights from elsewhere and a new head, whose first gradients would change the
    others for nothing. Batch normalizations take up the new data's statistics meanwhile.
    """

    share: float = 0.15

    def validate(self) -> None:
        if not 0 < self.share <= 1:
            raise SpaceError(f"must be a share above 0, up to 1, not {self.share!r}", "head_first.share")

    def learning(self, network: nn.Module) -> list[nn.Parameter]:
        return list(last_layer(network).parameters())
