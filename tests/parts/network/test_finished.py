"""A network and the steps that made it."""

import pytest
import torch

from search_spaces import digest
from search_spaces.blocks import Block
from search_spaces.building import build
from search_spaces.canonical import from_json, to_json
from search_spaces.errors import SpaceError
from search_spaces.testing import PartConformance
from search_spaces.topologies import Finished, Network, Stage
from tests.parts.rebuilding import rebuilt

NETWORK = Network("conv3x3", (Stage(16, (Block("pool"),)),))
DROP, OWN = '{"part":"finisher/block_drop"}', '{"part":"finisher/nobody_has_it","share":0.5}'


class TestFinished(PartConformance):
    cases = [(Finished(NETWORK, (DROP,), "ab12"), (3, 9, 11))]
    wrong = [
        (lambda: Finished(Finished(NETWORK, (DROP,)), (DROP,)), "finished.network"),
        (lambda: Finished(NETWORK, ()), "finished.steps"),
        (lambda: Finished(NETWORK, ("block_drop",)), "finished.steps"),
    ]

    def reference(self, part, site, module, x):
        """The network alone, whatever was done to it."""
        return rebuilt(part.network, site, module)(x)

    def test_is_a_candidate_of_its_own_but_builds_its_network_alone(self):
        candidates = [
            Finished(NETWORK, (DROP,), "ab12"),
            Finished(NETWORK, (DROP,), "cd34"),
            Finished(NETWORK, (DROP, OWN), "ab12"),
        ]
        assert len({digest(one) for one in (NETWORK, *candidates)}) == 4
        plain = build(NETWORK, (3, 8, 8), 10, seed=0).state_dict()
        for one in candidates:
            assert one.without_recipe() == NETWORK
            state = build(one, (3, 8, 8), 10, seed=0).state_dict()
            assert state.keys() == plain.keys() and all(torch.equal(state[name], plain[name]) for name in plain)

    def test_is_read_where_a_finisher_of_its_steps_is_not_installed(self):
        candidate = Finished(NETWORK, (OWN,), "ab12")
        assert from_json(to_json(candidate)) == candidate
        with pytest.raises(SpaceError, match="nobody_has_it"):
            from_json({"part": "finisher/nobody_has_it"})
