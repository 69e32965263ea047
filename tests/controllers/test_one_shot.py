"""One-shot search: from a policy file to proposals, and what is wrong with a file."""

import json
from random import Random

import pytest

from archfront.contracts import Objective, WrongUse
from controllers import CONTROLLERS
from search_spaces import SpaceError, one_of, repeat
from search_spaces.blocks import MLP, Block, Conv3x3Stem, DepthwiseConv
from search_spaces.decisions import INACTIVE
from search_spaces.policy import Policy
from search_spaces.space import Space
from search_spaces.topologies import Network, Stage

BLOCK = Block(one_of(DepthwiseConv(one_of(3, 5, 7)), "pool"), MLP(one_of(1, 2)))
SPACE = Space(Network(Conv3x3Stem(stride=2), (Stage(one_of(8, 16), repeat(one_of(1, 2), BLOCK), None),)), "staged")
OBJECTIVES = [Objective("accuracy", "max"), Objective("latency_ms", "min")]


def policy(space: Space = SPACE, peak: float = 0.7, best: int = 0) -> Policy:
    rows = []
    for decision in space.decisions:
        others = (1 - peak) / (len(decision.options) - 1)
        rows.append([peak if i == best % len(decision.options) else others for i in range(len(decision.options))])
    return Policy.of(space, "test", rows)


def search(path, space: Space = SPACE, seed: int = 0):
    return CONTROLLERS.get("one-shot")(space, OBJECTIVES, (), seed, policy=str(path))


def test_the_most_probable_comes_first_then_draws_without_duplicates(tmp_path):
    path = tmp_path / "policy.json"
    policy(best=1).save(path)
    found = search(path).ask(40)
    assert found[0].origin == "most probable"
    stage = found[0].architecture.stages[0]
    assert (stage.width, len(stage.blocks), stage.blocks[0].token_mixer.name) == (16, 2, "pool")
    assert {p.origin for p in found[1:]} == {"policy"}
    assert len({p.digest for p in found}) == 40
    wide = [p.architecture.stages[0].width == 16 for p in found]
    assert sum(wide[:15]) > sum(wide[25:])


def test_a_policy_that_is_sure_goes_on_to_what_it_left(tmp_path):
    path = tmp_path / "policy.json"
    policy(peak=1.0).save(path)
    found = search(path).ask(30)
    assert len({p.digest for p in found}) == 30
    near = [sum(g not in (0, INACTIVE) for g in SPACE.genes(p.architecture)) for p in found]
    assert near[0] == 0 and sum(near[1:8]) < sum(near[-7:])


def test_draws_follow_the_policy():
    rows = policy(peak=0.6)
    rng = Random(0)
    drawn = [SPACE.genes(rows.sample(SPACE, rng)) for _ in range(2000)]
    width = sum(genes[0] == 0 for genes in drawn) / len(drawn)
    assert width == pytest.approx(0.6, abs=0.04)
    total = sum(rows.probability(architecture, SPACE) for architecture in SPACE.enumerate())
    assert total == pytest.approx(1)


def test_rules_of_the_space_are_kept(tmp_path):
    path = tmp_path / "policy.json"
    policy(best=1).save(path)
    narrow = SPACE.where(lambda network: network.stages[0].width == 8, "narrow")
    found = search(path, narrow).ask(20)
    assert len(found) == 20 and all(p.architecture in narrow for p in found)


def test_wrong_policies_are_one_line(tmp_path):
    path = tmp_path / "policy.json"
    with pytest.raises(WrongUse, match="needs the policy of a trained supernet"):
        CONTROLLERS.get("one-shot")(SPACE, OBJECTIVES)
    with pytest.raises(WrongUse, match="no policy file"):
        search(path)
    path.write_text("{")
    with pytest.raises(WrongUse, match="can't be read as JSON"):
        search(path)
    path.write_text("[1]")
    with pytest.raises(WrongUse, match="is no one-shot policy"):
        search(path)
    other = Space(Network(Conv3x3Stem(stride=2), (Stage(one_of(8, 24), (BLOCK,), None),)), "other")
    policy(other).save(path)
    with pytest.raises(WrongUse, match="is for the space 'other'"):
        search(path)
    value = policy().to_json()
    value["decisions"][0]["probabilities"] = [0.9, 0.9]
    with pytest.raises(SpaceError, match="are no probabilities"):
        Policy.from_json(value)
    del value["decisions"][0]["options"]
    with pytest.raises(SpaceError, match="lacks a part"):
        Policy.from_json(value)


def test_a_policy_survives_its_file(tmp_path):
    path = tmp_path / "policy.json"
    policy().save(path)
    assert Policy.load(path) == policy()
    assert [row["path"] for row in json.loads(path.read_text())["decisions"]] == [d.path for d in SPACE.decisions]
