"""Weight sharing: one module that holds all networks of a search space, made from the space itself.

`Supernet` holds the weights, `recalibrate` fits a network's batch normalization, `METHODS` are the ways to train it,
and `share` says of a part of one's own which of its weights are slices of one another.
"""

from search_spaces.weight_sharing.methods import METHODS
from search_spaces.weight_sharing.recalibration import recalibrate
from search_spaces.weight_sharing.sharing import SHARING, Sharing, share
from search_spaces.weight_sharing.supernet import Supernet

__all__ = ["METHODS", "SHARING", "Sharing", "Supernet", "recalibrate", "share"]
