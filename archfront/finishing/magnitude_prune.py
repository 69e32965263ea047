"""Pruning of single weights by their size."""

from typing import Any

import torch

from archfront.finishing import Finisher, Given, Product
from archfront.finishing._contract import check_count
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part("finisher", "magnitude_prune", source="Learning both Weights and Connections for Efficient Neural Networks")
class MagnitudePrune(Finisher):
    """The smallest `share` of each weight tensor becomes zero, the rest heals, and the same weights are zero again.

    Of tensors with two dimensions or more; biases and normalizations stay. The network is as fast as before, unless
    what runs it uses zeros; it compresses. `epochs` of healing are a third of a training's where nothing is said.
    """

    share: float = 0.5
    epochs: int | None = None

    def validate(self) -> None:
        if not 0 < self.share < 1:
            raise SpaceError(f"must be a share between 0 and 1, not {self.share!r}", "magnitude_prune.share")
        check_count(self.epochs, "magnitude_prune.epochs", 0, optional=True)

    def finish(self, given: Given) -> Product:
        kept = {name: self._kept(tensor) for name, tensor in given.state.items() if tensor.ndim > 1}
        if not kept:
            raise SpaceError("magnitude_prune: the network has no weights of two dimensions; take another candidate")

        def pruned(state: Any) -> dict[str, torch.Tensor]:
            return {name: tensor * kept[name] if name in kept else tensor for name, tensor in state.items()}

        state = given.heal(given.architecture, pruned(given.state), given.epochs(self.epochs))
        zeros = 1 - sum(int(mask.sum()) for mask in kept.values()) / sum(mask.numel() for mask in kept.values())
        return Product(given.architecture, pruned(state), f"{zeros:.0%} of the weights are zero")

    def _kept(self, tensor: torch.Tensor) -> torch.Tensor:
        sizes = tensor.abs().flatten()
        smallest = sizes.argsort()[: int(self.share * len(sizes))]
        return torch.ones_like(sizes, dtype=torch.bool).index_fill(0, smallest, False).view_as(tensor)
