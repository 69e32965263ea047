"""Teachers: whose outputs a network learns from beside the targets."""

from abc import abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from evaluators.recipes import Member
from evaluators.tasks import Task
from search_spaces.families import Family

TEACHER = Family("teacher", __name__)

Criterion = Callable[[Tensor], Tensor]
"""From outputs for a batch to the loss."""
Find = Callable[[str, str], tuple[nn.Module, str]]


class Teacher(Member):
    """A teacher, and how its outputs count."""

    @abstractmethod
    def made(self, find: Find) -> tuple[nn.Module, str]:
        """The teaching network, in evaluation mode, and the hash of its weights.

        `find(where, weights)` gives both of a place that `evaluators.trained_networks` knows.
        """

    @abstractmethod
    def taught(self, loss: Criterion, wanted: Tensor, task: Task) -> Criterion:
        """The loss of a batch for which the teacher gives the outputs `wanted`, from that of the targets alone."""
