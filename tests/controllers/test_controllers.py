"""The archive, wrong settings, and that evolution is worth it; what each controller owes is in test_conformance."""

import pytest

from archfront.contracts import Constraint, Evaluation, Metric, Objective, Proposal, Status, WrongUse
from controllers import CONTROLLERS, Controller
from controllers.archive import Archive
from controllers.base import create
from search_spaces.table import TableSpace

SPACE = TableSpace("grid", ["a", "b", "c"], [(a, b, c) for a in range(6) for b in range(6) for c in range(6)])
OBJECTIVES = (
    Objective("accuracy", "max"),
    Objective("latency", "min"),
)


def measured(proposal: Proposal) -> Evaluation:
    """A smooth trade-off over the grid; every seventh candidate fails."""
    a, b, c = proposal.architecture.values
    if (a + 2 * b + 3 * c) % 7 == 6:
        return Evaluation(proposal, Status.DIVERGED, "loss is nan")
    values = {"accuracy": a + b - 0.1 * c * c, "latency": a * a + c}
    return Evaluation(proposal, metrics=tuple(Metric(name, float(value)) for name, value in values.items()))


def test_evolution_finds_the_front_sooner_than_random_search():
    def share(name: str, seed: int) -> int:
        search = CONTROLLERS.get(name)(SPACE, OBJECTIVES, (), seed)
        for _ in range(70):
            search.tell([measured(p) for p in search.ask(1)])
        return len({m.losses for m in search.archive.front} & truth)

    whole = Archive(OBJECTIVES, ())
    for row in SPACE.enumerate():
        whole.add(measured(Proposal(row, SPACE.digest(row))))
    truth = {member.losses for member in whole.front}
    random, evolved = (sum(share(name, seed) for seed in range(10)) for name in ("random", "pareto-evolution"))
    assert evolved > random * 1.2


def test_wrong_settings_are_one_line():
    with pytest.raises(WrongUse, match="population >= 2"):
        CONTROLLERS.get("regularized-evolution")(SPACE, OBJECTIVES[:1], population=1)
    with pytest.raises(WrongUse, match="population >= 2"):
        CONTROLLERS.get("nsga2")(SPACE, OBJECTIVES[:1], population=1)
    with pytest.raises(WrongUse, match="needs at least one objective"):
        CONTROLLERS.get("random")(SPACE, ())
    with pytest.raises(ValueError, match="did you mean 'pareto-evolution'"):
        CONTROLLERS.get("pareto_evolution")


OWN = """
from controllers import Controller


class Own(Controller):
    def propose(self, rng):
        return self.proposal(self.space.sample(rng), "random")


class Ordered(Own):
    def __init__(self, space, objectives, *, start=3, constraints=(), seed=0, steps=4):
        super().__init__(space, objectives, constraints, seed)
        self.chosen = start, steps


class Above(Ordered):
    def __init__(self, depth, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.depth = depth


class Seedless(Own):
    def __init__(self, space, objectives, constraints=()):
        super().__init__(space, objectives, constraints, 1)
"""


def own(folder, name: str, **settings: object) -> Controller:
    (folder / "own.py").write_text(OWN)
    return create(f"{folder / 'own.py'}:{name}", SPACE, OBJECTIVES, [Constraint("latency", 9.0)], 7, settings)


def test_settings_go_by_name_whatever_their_order(tmp_path):
    made = own(tmp_path, "Ordered", steps=9)
    assert (made.chosen, made.seed, made.constraints) == ((3, 9), 7, (Constraint("latency", 9.0),))
    assert made.settings == {"start": 3, "steps": 9}
    above = own(tmp_path, "Above", depth=2, start=5)
    assert (above.depth, above.chosen, above.seed) == (2, (5, 4), 7)
    assert above.settings == {"depth": 2, "start": 5, "steps": 4}


@pytest.mark.parametrize(
    ("name", "settings", "cause"),
    [
        ("Ordered", {"strat": 3}, "has no setting 'strat'; did you mean 'start'?"),
        ("Above", {"depth": 1, "strat": 3}, "has no setting 'strat'; did you mean 'start'?"),
        ("Own", {"start": 3}, "has no setting 'start'; it takes none"),
        ("Ordered", {"seed": 3}, "'seed' is no setting of the controller '.*'; the search says it: --seed"),
        ("Ordered", {"constraints": []}, "the search says it: --constraint"),
        ("Above", {}, "needs the setting 'depth'; say --set controller.depth=VALUE"),
        ("Seedless", {}, "must take space, objectives, constraints, seed by name; it lacks seed"),
    ],
)
def test_settings_are_checked_by_name(name, settings, cause, tmp_path):
    with pytest.raises(WrongUse, match=cause) as raised:
        own(tmp_path, name, **settings)
    assert "\n" not in str(raised.value)


def test_no_setting_of_ours_goes_by_position():
    for entry in CONTROLLERS:
        with pytest.raises(TypeError):
            entry.value(SPACE, OBJECTIVES, (), 0, 5)


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
