"""DARTS: every option of a choice at once, weighted.

## Differentiable methods
First order. A mixture of all options stands where a decision's part keeps its input's shape: the edges of a cell, and
in staged networks mixers, norms, placements, kernels, expansions. Mixtures inside of one another would multiply the
work, so a step mixes decisions whose modules lie apart, in a random order; each of the others takes one option, drawn
from its weights, and learns through a gate, as do those that set shapes (widths, depths, stems). In a cell, whose
edges all lie apart, this is the paper's method.
"""

import warnings
from random import Random

from torch import Tensor

from search_spaces.decisions import INACTIVE
from search_spaces.policy import Policy
from search_spaces.space import Space
from search_spaces.weight_sharing.methods.base import METHODS
from search_spaces.weight_sharing.methods.differentiable import Differentiable, Draw
from search_spaces.weight_sharing.relaxation import apart
from search_spaces.weight_sharing.supernet import Supernet

COLLAPSE = (
    "DARTS tends to collapse to skips and other parameter-free operations, more so the longer it trains; "
    "it is here as a baseline: look at the skips in its report, and compare with the method 'sandwich'"
)


class Mixing(Differentiable):
    """A method whose steps mix all options of decisions that lie apart."""

    one_draw = True

    def outputs(self, supernet: Supernet, draw: Draw, images: Tensor, rng: Random) -> Tensor:
        """The outputs (n, classes) with mixtures where they can be, gates elsewhere."""
        places = self.relaxed.places.of(supernet, supernet.space.architecture(draw.genes))
        mixed = apart(places, rng)
        mixtures = {index: dict(enumerate(draw.weights[index])) for index in mixed}
        gates = {
            index: draw.weights[index][gene]
            for index, gene in enumerate(draw.genes)
            if gene != INACTIVE and index not in mixtures
        }
        return self.relaxed.outputs(supernet, draw.genes, images, draw.pick, gates, mixtures)


@METHODS.register("darts", source="DARTS: Differentiable Architecture Search")
class DARTS(Mixing):
    """A softmax mixture of all options, first order; a baseline that tends to collapse to skips, and says so."""

    name = "darts"

    def __init__(self, lr: float = 3e-4, weight_decay: float = 1e-3, beta1: float = 0.5, warm_up: float = 0.0) -> None:
        """`lr`, `weight_decay` and `beta1` are of the logits' Adam; `warm_up` is a share of the training."""
        super().__init__(lr, weight_decay, (beta1, 0.999), warm_up)
        warnings.warn(COLLAPSE, stacklevel=2)

    def policy(self, space: Space) -> Policy:
        """What was learnt; warns where more than half of the choices that could skip do."""
        found = super().policy(space)
        if found.report["share"] > 0.5:
            counted = f"{found.report['skips']} of {found.report['choices']}"
            warnings.warn(f"DARTS has collapsed: {counted} choices took a parameter-free option", stacklevel=2)
        return found
