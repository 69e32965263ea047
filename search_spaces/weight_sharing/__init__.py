"""Weight sharing: one module that holds all networks of a search space, made from the space itself.

`Supernet` holds the weights, `recalibrate` fits a network's batch normalization, `METHODS` are the ways to train it.
Which weights a part shares, its own file says (`search_spaces.parts.part` and `size`).
"""

from search_spaces.weight_sharing.methods import METHODS
from search_spaces.weight_sharing.recalibration import recalibrate
from search_spaces.weight_sharing.supernet import Supernet

__all__ = ["METHODS", "Supernet", "recalibrate"]
