"""Topologies: how blocks make a network. `build(inputs, outputs)` of a network gives the whole module."""

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)
from search_spaces.topologies.cell201 import Cell201
from search_spaces.topologies.staged import Network, Stage
from search_spaces.topologies.tied import Tied
from search_spaces.topologies.trained import Trained

__all__ = ["Cell201", "Network", "Stage", "Tied", "Trained"]
