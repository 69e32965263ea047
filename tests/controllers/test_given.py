"""Given architectures: proposed as they stand, once each; then the end, or another controller."""

import json
from pathlib import Path
from typing import Any

import pytest

from archfront.contracts import Evaluation, Metric, Objective, WrongUse
from controllers.given import Given
from search_spaces.spaces import get_space

SPACE = get_space("cell201")
CHOSEN = [SPACE.sample(seed) for seed in range(3)]
TEXTS = [SPACE.to_text(architecture) for architecture in CHOSEN]
GOAL = [Objective("accuracy", "max")]


def told(controller: Given, count: int) -> list[Any]:
    """What a search of one worker with this controller proposes."""
    found = []
    for _ in range(count):
        for proposal in controller.ask(1):
            found.append(proposal)
            controller.tell([Evaluation(proposal, metrics=(Metric("accuracy", 1.0 / (1 + len(found))),))])
    return found


def test_proposes_the_list_and_ends() -> None:
    found = told(Given(SPACE, GOAL, architectures=[*TEXTS, TEXTS[0]]), 9)
    assert [proposal.architecture for proposal in found] == CHOSEN
    assert {proposal.origin for proposal in found} == {"given"}


def test_takes_a_file(tmp_path: Path) -> None:
    file = tmp_path / "chosen.json"
    file.write_text(json.dumps([json.loads(text) for text in TEXTS]))
    assert [p.architecture for p in Given(SPACE, GOAL, file=str(file)).ask(9)] == CHOSEN
    file.write_text(TEXTS[1])
    assert [p.architecture for p in Given(SPACE, GOAL, file=str(file)).ask(9)] == [CHOSEN[1]]


def test_hands_over_and_goes_on_as_if_never_stopped() -> None:
    def made() -> Given:
        return Given(SPACE, GOAL, seed=4, architectures=TEXTS, then="regularized-evolution")

    whole = told(made(), 20)
    assert [proposal.architecture for proposal in whole[:3]] == CHOSEN and len(whole) == 20
    assert len({proposal.digest for proposal in whole}) == 20
    again = made()
    seen = [Evaluation(p, metrics=(Metric("accuracy", 1.0 / (1 + i)),)) for i, p in enumerate(whole[:12], 1)]
    again.restore(whole[:12], seen)
    assert again.ask(1)[0].digest == whole[12].digest


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ({}, "needs architectures"),
        ({"architectures": ["{"]}, "number 0 can't be searched"),
        ({"architectures": ['{"part": "network/none"}']}, "number 0"),
        ({"architectures": [get_space("mobile").to_text(get_space("mobile").sample(0))]}, "isn't in the space"),
        ({"file": "nowhere.json"}, "nowhere.json can't be read"),
    ],
)
def test_wrong_lists(settings: dict[str, Any], cause: str) -> None:
    with pytest.raises(WrongUse, match=cause):
        Given(SPACE, GOAL, **settings)
