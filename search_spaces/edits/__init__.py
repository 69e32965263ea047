"""Architecture edits: changes of a network that what it has learnt survives.

One edit per file says what it makes of an architecture, `reaching` which architectures can be reached from another;
neither knows torch. `weights` gives the edited network weights with which it computes what it computed before.
"""

from search_spaces.edits.deepen import Deepen
from search_spaces.edits.edit import EDITS, Edit
from search_spaces.edits.enlarge import EnlargeKernel
from search_spaces.edits.inject import InjectLayers
from search_spaces.edits.insert_identity import InsertIdentity
from search_spaces.edits.path_edits import path_edits
from search_spaces.edits.reaching import check_reachable
from search_spaces.edits.redilate import Redilate
from search_spaces.edits.replicate import Replicate
from search_spaces.edits.split import Split
from search_spaces.edits.tie import Tie
from search_spaces.edits.untie import Untie
from search_spaces.edits.widen import Widen

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
