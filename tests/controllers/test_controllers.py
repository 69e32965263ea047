"""What every controller owes: seeds, replay, no duplicates, several objectives, constraints, a clean end."""

from random import Random
from typing import Any

import pytest

from archfront.contracts import Constraint, Evaluation, Metric, Objective, Proposal, Status, WrongUse
from controllers import CONTROLLERS
from controllers.archive import Archive
from search_spaces.policy import Policy
from search_spaces.table import TableSpace

NAMES = CONTROLLERS.names()
SPACE = TableSpace("grid", ["a", "b", "c"], [(a, b, c) for a in range(6) for b in range(6) for c in range(6)])
OBJECTIVES = (
    Objective("accuracy", "max"),
    Objective("latency", "min"),
    Objective("params", "min"),
    Objective("x", "max"),
)
SETTINGS: dict[str, dict[str, Any]] = {}
"""What a controller can't do without."""


@pytest.fixture(scope="module", autouse=True)
def needed(tmp_path_factory):
    """The policy that one-shot search proposes from, not even, not sure; a list for the controller of given ones."""
    path = tmp_path_factory.mktemp("policy") / "policy.json"
    Policy.of(SPACE, "test", [[0.4, 0.3, 0.1, 0.1, 0.1, 0.0]] * 3).save(path)
    SETTINGS["one-shot"] = {"policy": str(path)}
    rows = [SPACE.to_json(SPACE.sample(number)) for number in range(3)]
    SETTINGS["given"] = {"architectures": rows, "then": "random"}


def measured(proposal: Proposal) -> Evaluation:
    """A smooth trade-off over the grid; every seventh candidate fails."""
    a, b, c = proposal.architecture.values
    if (a + 2 * b + 3 * c) % 7 == 6:
        return Evaluation(proposal, Status.DIVERGED, "loss is nan")
    values = {"accuracy": a + b - 0.1 * c * c, "latency": a * a + c, "params": b * c, "x": float(a == b)}
    return Evaluation(proposal, metrics=tuple(Metric(name, float(value)) for name, value in values.items()))


def controller(name: str, objectives: int = 2, seed: int = 0, constraints: tuple[Constraint, ...] = ()):
    return CONTROLLERS.get(name)(SPACE, OBJECTIVES[:objectives], constraints, seed, **SETTINGS.get(name, {}))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("objectives", [1, 2, 4])
def test_the_seed_decides_and_no_candidate_comes_twice(name, objectives):
    runs = []
    for seed in (0, 0, 1):
        search = controller(name, objectives, seed)
        digests = []
        for _ in range(60):
            [proposal] = search.ask(1)
            digests.append(proposal.digest)
            search.tell([measured(proposal)])
        runs.append(digests)
        assert len(set(digests)) == 60
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_controller_proposes_what_the_first_would_have(name):
    first = controller(name)
    rng = Random(3)
    asked, told, waiting = [], [], []
    for step in range(50):
        proposals = first.ask(rng.randrange(1, 4))
        asked += proposals
        waiting += proposals
        rng.shuffle(waiting)  # results come back in any order, some not at all
        results = [measured(waiting.pop()) for _ in range(min(len(waiting), 2))]
        told += results
        first.tell(results)
        second = controller(name)
        second.restore(asked, told)
        if step % 10 == 0:
            copy = controller(name)
            copy.restore(asked, told)
            assert copy.ask(3) == second.ask(3)
    second = controller(name)
    second.restore(asked, told)
    assert second.ask(5) == first.ask(5)


@pytest.mark.parametrize("name", NAMES)
def test_an_exhausted_space_ends_cleanly(name):
    search = controller(name)
    proposals = []
    while batch := search.ask(50):
        proposals += batch
        search.tell(map(measured, batch))
    assert len({p.digest for p in proposals}) == len(proposals) == SPACE.size()
    assert search.ask(1) == []


def test_evolution_finds_the_front_sooner_than_random_search():
    def share(name: str, seed: int) -> int:
        search = controller(name, seed=seed)
        for _ in range(70):
            search.tell([measured(p) for p in search.ask(1)])
        return len({m.losses for m in search.archive.front} & truth)

    whole = Archive(OBJECTIVES[:2], ())
    for row in SPACE.enumerate():
        whole.add(measured(Proposal(row, SPACE.digest(row))))
    truth = {member.losses for member in whole.front}
    random, evolved = (sum(share(name, seed) for seed in range(10)) for name in ("random", "pareto-evolution"))
    assert evolved > random * 1.2


@pytest.mark.parametrize("name", ["pareto-evolution", "regularized-evolution", "nsga2", "local-search"])
def test_constraints_steer_the_search(name):
    bound = Constraint.parse("latency<=8")
    shares = []
    for constraints in ((), (bound,)):
        search = controller(name, 2, 0, constraints)
        kept = []
        for _ in range(80):
            [proposal] = search.ask(1)
            evaluation = measured(proposal)
            broken = evaluation.values.get("latency", 0) > 8 and constraints
            status = Status.INFEASIBLE if broken and evaluation.status is Status.OK else evaluation.status
            search.tell([Evaluation(proposal, status, "", evaluation.metrics)])
            kept.append(evaluation.values.get("latency", 99) <= 8)
        shares.append(sum(kept[40:]))
    assert shares[1] > shares[0]
    assert all(member.excess == 0 for member in search.archive.front)


def test_wrong_settings_are_one_line():
    with pytest.raises(WrongUse, match="population >= 2"):
        CONTROLLERS.get("regularized-evolution")(SPACE, OBJECTIVES[:1], population=1)
    with pytest.raises(WrongUse, match="population >= 2"):
        CONTROLLERS.get("nsga2")(SPACE, OBJECTIVES[:1], population=1)
    with pytest.raises(WrongUse, match="needs at least one objective"):
        CONTROLLERS.get("random")(SPACE, ())
    with pytest.raises(ValueError, match="did you mean 'pareto-evolution'"):
        CONTROLLERS.get("pareto_evolution")


def test_the_archive_keeps_what_nothing_beats():
    archive = Archive((Objective("a", "min"), Objective("b", "max")), (Constraint("c", 1.0),))
    rows = [(1, 1, 0), (2, 2, 0), (2, 1, 0), (0, 9, 5), (1, 1, 1), (3, 2, 0)]
    for number, (a, b, c) in enumerate(rows):
        proposal = Proposal(None, str(number), number=number)
        metrics = tuple(Metric(name, float(value)) for name, value in zip("abc", (a, b, c), strict=True))
        archive.add(Evaluation(proposal, metrics=metrics))
    assert [member.digest for member in archive.front] == ["0", "1", "4"]


def test_every_controller_names_its_source():
    # Evaluating a given list is nobody's publication.
    assert all(entry.source for entry in CONTROLLERS if entry.name != "given")
