"""Path-level search: what its policy sees and learns, and that children go on with their parents' weights."""

from pathlib import Path
from typing import Any

import pytest

from archfront.contracts import Evaluation, Metric, Objective, Proposal, WrongUse
from archfront.plan import Plan
from archfront.run import Order, search
from archfront.search import Budget
from controllers.path_level import PathLevel
from controllers.tree_policy import Node, TreePolicy
from search_spaces.edits.path_edits import leaves
from search_spaces.spaces import get_space

SPACE = get_space("paths", (1, 8, 8), 1_400)


def split_counts(architecture: Any) -> int:
    return SPACE.to_text(architecture).count('"split"')


def told(proposal: Proposal, value: float) -> Evaluation:
    return Evaluation(proposal, metrics=(Metric("score", value),))


def test_the_policy_learns_from_what_is_around_a_leaf():
    """Two equal leaves in different surroundings: only what the LSTM carries up and down tells them apart."""
    leaf = Node(1, (0.0,), leaf=True)
    tree = Node(0, (0.0,), (Node(2, (1.0,), (leaf, leaf)), Node(2, (-1.0,), (leaf,))))
    policy = TreePolicy(3, 1, 2, seed=0)
    allowed = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]
    first = policy.probabilities(tree, allowed)
    assert first[0] == pytest.approx(first[1]) and abs(first[0] - first[2]) > 1e-4
    for _ in range(60):
        policy.learn(tree, allowed, 5, 1.0)
    last = policy.probabilities(tree, allowed)
    assert last[5] > 0.8 > first[5] and sum(last) == pytest.approx(1)


def test_the_first_candidates_have_no_paths_and_children_name_parent_and_edit():
    controller = PathLevel(SPACE, [Objective("score", "max")], start=3)
    for number in range(12):
        [proposal] = controller.ask(1)
        inside = [path for path, _ in leaves(proposal.architecture) if "children" in path]
        if number < 3:
            assert proposal.origin == "root" and not inside and not proposal.parents
        else:
            [parent] = proposal.parents
            assert proposal.origin.split()[0] in ("replicate", "split", "enlarge", "insert_identity")
            assert parent in controller._known
        controller.tell([told(proposal, float(number))])


def test_the_policy_turns_to_edits_that_pay():
    """Splits are rewarded, replications punished: on a network it has seen before, it now prefers to split."""
    controller = PathLevel(SPACE, [Objective("score", "max")], seed=1, lr=0.03)
    [root] = controller.ask(1)

    def chance_of_splits() -> float:
        choices = controller._edits(root.digest)
        chances = controller._policy.probabilities(controller._tree(root.digest), [(c.leaf, c.action) for c in choices])
        return sum(chance for chance, c in zip(chances, choices, strict=True) if c.text.startswith("split"))

    before = chance_of_splits()
    for _ in range(60):
        [proposal] = controller.ask(1)
        score = split_counts(proposal.architecture) - 0.01 * len(list(leaves(proposal.architecture)))
        controller.tell([told(proposal, score)])
    assert chance_of_splits() > max(0.6, 1.3 * before)


def test_wrong_settings_are_refused():
    with pytest.raises(WrongUse, match="1 or more"):
        PathLevel(SPACE, [Objective("score", "max")], start=0)


def test_a_study_grows_trained_networks(tmp_path: Path):
    plan = Plan(
        space="paths",
        data="digits",
        evaluator_settings={"inherit": "parent", "epochs": 1, "device": "cpu"},
        objectives=("accuracy:max",),
    )
    url = f"sqlite:///{tmp_path}/s.db"
    study, _ = search(Order(plan, "s", url, "path-level", {"start": 2}, Budget(evaluations=6)))
    rows = study.rows()
    assert [row.status for row in rows] == ["ok"] * 6
    for row in rows:
        protocol = study.candidate(row.digest).metrics[-1].provenance.protocol
        assert ("parent=" in protocol) == bool(row.parents)
    assert sum(bool(row.parents) for row in rows) == 4
