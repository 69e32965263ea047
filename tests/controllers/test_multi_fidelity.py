"""Rungs, brackets and promotions, against examples worked out by hand."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from archfront.contracts import Constraint, Evaluation, Metric, Objective, Proposal, Status, WrongUse, judged
from controllers.archive import Member
from controllers.base import create
from controllers.rungs import Rung, best, ladder, shares
from controllers.testing import GRID, LAYERS, measured
from search_spaces.table import TableSpace

ROW = TableSpace("row", ["n"], [(n,) for n in range(40)])
ACCURACY = Objective("accuracy", "max")


THIRDS = {"min_fidelity": 1 / 9, "reduction": 3}


def made(name="asha", space=ROW, objectives=(ACCURACY,), constraints=(), epochs=9, **settings):
    controller = create(name, space, objectives, constraints, 0, {"of": "exhaustive", **THIRDS, **settings})
    controller.set_epochs(epochs)
    return controller


def told(controller, proposal: Proposal, **values: float) -> None:
    found = Evaluation(proposal, metrics=tuple(Metric(name, value) for name, value in values.items()))
    controller.tell([judged(found, controller.constraints)])


def stepped(controller, accuracies: dict[tuple[int, int | None], float], steps: int) -> list[tuple[int, int | None]]:
    """What was asked one by one: the candidate, numbered as they came, and the fidelity."""
    known: dict[str, int] = {}
    asked = []
    for _ in range(steps):
        [proposal] = controller.ask(1)
        asked.append((known.setdefault(proposal.digest, len(known)), proposal.fidelity))
        told(controller, proposal, accuracy=accuracies[asked[-1]])
    return asked


def test_rungs_rise_by_the_reduction_up_to_the_full_fidelity():
    assert shares(1 / 9, 3) == pytest.approx((1 / 9, 1 / 3))
    assert shares(0.1, 3) == pytest.approx((0.1, 0.3))  # 0.9 is too close to 1
    assert shares(0.06, 17) == (0.06,)
    assert ladder(shares(1 / 9, 3), 9) == (1, 3, 9)
    assert ladder((0.01, 0.02, 0.5), 10) == (1, 5, 10)
    with pytest.raises(WrongUse, match="no lower fidelity"):
        ladder((0.1,), 1)


def test_promotions_are_those_of_an_example_worked_out_by_hand():
    accuracies = {
        (0, 1): 0.1, (1, 1): 0.5, (2, 1): 0.3, (3, 1): 0.9, (4, 1): 0.2, (5, 1): 0.4, (6, 1): 0.7,
        (1, 3): 0.6, (3, 3): 0.95, (6, 3): 0.8, (3, None): 0.99, (7, 1): 0.0,
    }  # fmt: skip
    controller = made()
    assert stepped(controller, accuracies, 12) == [
        (0, 1), (1, 1), (2, 1),
        (1, 3),  # the best of three
        (3, 1), (3, 3),  # one of four may go on, and is now another
        (4, 1), (5, 1),  # two of six may, and both have
        (6, 1), (6, 3),
        (3, None),  # the best of three at three epochs
        (7, 1),
    ]  # fmt: skip
    assert [member.losses for member in controller.archive.front] == [(-0.99,)]


def test_promoted_candidates_say_so_and_keep_their_parents():
    search = made("asha", LAYERS, of="regularized-evolution", settings={"population": 4, "tournament": 2})
    first: dict[str, Proposal] = {}
    promoted = 0
    for _ in range(60):
        [proposal] = search.ask(1)
        search.tell([measured(proposal)])
        known = first.setdefault(proposal.digest, proposal)
        assert proposal.parents == known.parents
        assert (proposal.origin == "promotion") == (known is not proposal)
        promoted += known is not proposal
    assert promoted > 10


def test_several_objectives_go_by_rank_and_then_by_room():
    losses = {"a": (0, 9), "b": (5, 5), "c": (5.1, 4.9), "d": (9, 0), "e": (6, 6), "f": (1, 8.5)}
    members = [Member(name, tuple(map(float, pair)), 0.0) for name, pair in losses.items()]
    assert {member.digest for member in best(members, 2)} == {"a", "d"}  # the ends of the first front
    assert {member.digest for member in best(members, 5)} == set("abcdf")  # e is beaten
    assert [member.digest for member in best(members, 6)][-1] == "e"


def test_infeasible_candidates_go_on_only_where_none_is_feasible():
    members = [Member("a", (0.0,), 0.5), Member("b", (1.0,), 0.1), Member("c", (2.0,), 0.3)]
    assert [member.digest for member in best(members, 2)] == ["b", "c"]
    assert [member.digest for member in best([*members, Member("d", (9.0,), 0.0)], 2)] == ["d"]


def test_failures_fill_a_rung_and_are_never_promoted():
    rung = Rung()
    for digest in "abcde":
        rung.add(digest, None)
    rung.add("f", Member("f", (1.0,), 0.0))
    assert rung.next(3) == "f"
    rung.promoted.add("f")
    assert rung.next(1) is None


def test_a_bound_on_the_accuracy_is_met_by_training_longer():
    controller = made(constraints=[Constraint("accuracy", 0.9, upper=False)])
    reached = set()
    for _ in range(30):
        [proposal] = controller.ask(1)
        reached.add(proposal.fidelity)
        told(controller, proposal, accuracy={1: 0.5, 3: 0.7, None: 0.95}[proposal.fidelity])
    assert reached == {1, 3, None} and controller.archive.front


def test_what_is_under_way_is_neither_promoted_nor_forgotten():
    controller = made(space=TableSpace("three", ["n"], [(n,) for n in range(3)]))
    batch = controller.ask(3)
    assert controller.ask(1) == [] and controller.waiting
    for proposal in reversed(batch):
        told(controller, proposal, accuracy=proposal.architecture.values[0] / 10)
    assert not controller.waiting
    [first] = controller.ask(1)
    assert (first.architecture.values[0], first.fidelity) == (2, 3)
    # With no new candidate left, quotas no longer bind.
    assert [(p.architecture.values[0], p.fidelity) for p in controller.ask(5)] == [(1, 3), (0, 3)]


@pytest.mark.parametrize("name", ["asha", "hyperband"])
def test_eight_at_a_time_in_any_order_with_failures(name):
    rng, asked, waiting = Random(0), [], []
    search = made(name, GRID, (ACCURACY, Objective("latency", "min")), of="nsga2")
    for _ in range(250):
        fresh = search.ask(8 - len(waiting))
        asked += fresh
        waiting += fresh
        search.tell([measured(waiting.pop(rng.randrange(len(waiting))))])
    pairs = [(proposal.digest, proposal.fidelity) for proposal in asked]
    assert len(set(pairs)) == len(pairs) > 200
    fidelities = Counter(proposal.fidelity for proposal in asked)
    assert fidelities[1] > fidelities[3] and fidelities[None] > 5
    again = made(name, GRID, (ACCURACY, Objective("latency", "min")), of="nsga2")
    again.restore(asked, [])
    assert again.waiting and not again.archive.front


def test_the_inner_controller_knows_each_candidate_by_its_highest_fidelity():
    search = made("asha", ROW, of="regularized-evolution", settings={"population": 40})
    highest = {}
    for _ in range(50):
        [proposal] = search.ask(1)
        value = proposal.architecture.values[0] / 100 + (proposal.fidelity or 9) / 10
        told(search, proposal, accuracy=value)
        highest[proposal.digest] = value
    while search._stale:
        search.ask(1)
    known = {member.digest: -member.losses[0] for member in search._inner._population}
    assert known == {digest: highest[digest] for digest in known} and len(known) > 20


def test_hyperbands_brackets_begin_with_the_papers_numbers():
    # R = 9 and eta = 3: 9 candidates at one epoch, 5 at three, 3 at nine.
    controller = made("hyperband", GRID)
    assert controller.starts(3) == {0: 9, 1: 5, 2: 3}
    started = Counter()
    known = set()
    while len(known) < 34:
        [proposal] = controller.ask(1)
        if proposal.digest not in known:
            started[proposal.fidelity] += 1
        known.add(proposal.digest)
        controller.tell([replace(measured(proposal), status=Status.OK)])
    assert started == {1: 18, 3: 10, None: 6}


def test_a_history_of_other_rungs_is_taken_over():
    earlier, history = made("asha", GRID, fidelities=[0.45]), []
    for _ in range(40):
        [proposal] = earlier.ask(1)
        history.append(proposal)
        earlier.tell([measured(proposal)])
    for name in ("asha", "hyperband"):
        search = made(name, GRID)
        search.restore(history, [measured(proposal) for proposal in history])
        fresh = search.ask(5)
        assert len({(p.digest, p.fidelity) for p in [*history, *fresh]}) == 45


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_fidelity": 0.0}, "above 0 and below 1"),
        ({"fidelities": [0.5, 1.0]}, "above 0 and below 1"),
        ({"reduction": 1}, "must be above 1"),
        ({"of": "hyperband"}, "chooses fidelities itself"),
        ({"of": "randon"}, "did you mean"),
        ({"settings": {"nothing": 1}}, "has no setting 'nothing'"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(Exception, match=message):
        made(**settings)


def test_evaluations_of_one_fidelity_are_refused():
    with pytest.raises(WrongUse, match="one fidelity alone"):
        made(epochs=None)


def test_screening_goes_by_epochs_and_leaves_the_finals_to_a_plan():
    accuracies = {(i, n): (i % 5) / 10 + n / 100 for i in range(40) for n in (1, 3, None) if n} | {
        (i, None): 1.0 for i in range(40)
    }
    by_plan = create("screening", ROW, (ACCURACY,), (), 0, {"of": "exhaustive", "rungs": [1, 3], "finals": False})
    by_plan.set_epochs(60)
    asked = stepped(by_plan, accuracies, 24)
    assert {fidelity for _, fidelity in asked} == {1, 3}
    assert asked[:4] == [(0, 1), (1, 1), (2, 1), (2, 3)]
    alone = create("screening", ROW, (ACCURACY,), (), 0, {"of": "exhaustive", "rungs": [1, 3]})
    alone.set_epochs(60)
    assert {fidelity for _, fidelity in stepped(alone, accuracies, 24)} == {1, 3, None}


def test_what_a_plan_takes_into_its_finals_is_not_asked_for_again():
    search = create("screening", ROW, (ACCURACY,), (), 0, {"of": "exhaustive", "rungs": [2], "finals": False})
    search.set_epochs(9)
    [proposal] = search.ask(1)
    told(search, proposal, accuracy=0.5)
    final = replace(proposal, fidelity=None, origin="final")
    search.take(final)
    told(search, final, accuracy=0.9)
    assert [member.losses for member in search.archive.front] == [(-0.9,)]
    assert proposal.digest not in {found.digest for found in search.ask(10)}


@pytest.mark.parametrize(
    ("rungs", "epochs", "said"),
    [([3, 1], 9, "ascending epochs"), ([], 9, "ascending epochs"), ([9], 9, "none is shorter"), ([1], None, "screen")],
)
def test_wrong_rungs_are_refused(rungs, epochs, said):
    with pytest.raises(WrongUse, match=said):
        create("screening", ROW, (ACCURACY,), (), 0, {"rungs": rungs}).set_epochs(epochs)
