"""A network and its recipe."""

import torch

from evaluators.recipes.partial import PartialRecipe
from evaluators.recipes.training import Recipe
from search_spaces import digest
from search_spaces.blocks import Block
from search_spaces.building import build
from search_spaces.testing import PartConformance
from search_spaces.topologies import Network, Stage, Trained
from tests.parts.rebuilding import rebuilt

NETWORK = Network("conv3x3", (Stage(16, (Block("pool"),)),))
RECIPE = PartialRecipe(lr=0.01, optimizer="sgd")


class TestTrained(PartConformance):
    cases = [(Trained(NETWORK, RECIPE), (3, 9, 11))]
    wrong = [
        (lambda: Trained(Trained(NETWORK, RECIPE), RECIPE), "trained.network"),
        (lambda: Trained(NETWORK, Recipe()), "trained.recipe"),
    ]

    def reference(self, part, site, module, x):
        """The network alone, whatever the recipe."""
        return rebuilt(part.network, site, module)(x)

    def test_builds_its_network_alone(self):
        """Other recipes are other candidates of one and the same network, down to its initial weights."""
        candidates = [Trained(NETWORK, RECIPE), Trained(NETWORK, PartialRecipe(lr=0.1))]
        plain, *states = (build(one, (3, 8, 8), 10, seed=0).state_dict() for one in (NETWORK, *candidates))
        assert len({digest(one) for one in (NETWORK, *candidates)}) == 3
        assert all(candidate.without_recipe() == NETWORK for candidate in candidates)
        for state in states:
            assert state.keys() == plain.keys() and all(torch.equal(state[name], plain[name]) for name in plain)
