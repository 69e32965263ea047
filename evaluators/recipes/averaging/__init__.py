"""Averages of the weights that a training passes through."""

from abc import abstractmethod

from torch import Tensor

from evaluators.recipes import Member
from search_spaces.families import Family

AVERAGING = Family("averaging", __name__)


class Averaging(Member):
    """An averaging: how the averaged weights, which are those that count in the end, follow the trained ones."""

    @abstractmethod
    def follow(self, averaged: list[Tensor], current: list[Tensor], step: int) -> None:
        """Change the averaged tensors in place after step number `step` (from 0), given the trained ones."""
