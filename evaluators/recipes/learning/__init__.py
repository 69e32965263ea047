"""Which layers learn, and how fast each."""

from abc import abstractmethod

from evaluators.recipes import Member
from search_spaces.families import Family

LEARNING = Family("learning", __name__)


class Learning(Member):
    """What learns.

    A network's layers are its modules with a weight of two dimensions or more, from the input on, each with the
    normalizations behind it.
    """

    @abstractmethod
    def shares(self, layers: int) -> list[float]:
        """Of each of so many layers, first to last, its share of the learning rate; 0 for what stays as it is."""
