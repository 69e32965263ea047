"""Architecture edits: changes of a network that what it has learnt survives.

`steps` says what each edit makes of an architecture and which architectures can be reached from another; it knows
nothing of torch. `weights` gives the edited network weights with which it computes what it computed before.
"""

from search_spaces.edits.steps import (
    EDITS,
    Deepen,
    Edit,
    EnlargeKernel,
    InjectLayers,
    InsertIdentity,
    Redilate,
    Replicate,
    Split,
    Widen,
    check_reachable,
    path_edits,
)
from search_spaces.edits.tying import Tie, Untie

__all__ = [
    "EDITS",
    "Deepen",
    "Edit",
    "EnlargeKernel",
    "InjectLayers",
    "InsertIdentity",
    "Redilate",
    "Replicate",
    "Split",
    "Tie",
    "Untie",
    "Widen",
    "check_reachable",
    "path_edits",
]
