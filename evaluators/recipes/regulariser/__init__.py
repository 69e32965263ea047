"""Regularisers: what makes a network in training forget a little, as dropout."""

from abc import abstractmethod

from torch import nn

from evaluators.recipes import Member
from search_spaces.families import Family

REGULARISER = Family("regulariser", __name__)


class Regulariser(Member):
    """A regulariser.

    What it adds acts in training mode alone, has no tensors of its own, so that names and weights stay as they are,
    and is of a class of `search_spaces.weight_sharing.methods.base.DROPOUTS`, which supernets switch on and off.
    """

    @abstractmethod
    def apply(self, network: nn.Module) -> None:
        """Add it to a network, before its training."""
