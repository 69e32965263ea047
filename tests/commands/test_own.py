"""What ours say of themselves, a user's own evaluators and controllers can say, too."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from archfront.plan import Experiment, Plan
from archfront.supernets.finalists import supernet_of

OWN = """
from archfront.contracts import Evaluation, Metric
from controllers import Controller
from evaluators.base import Evaluator
from search_spaces.table import TableSpace

space = TableSpace("grid", ["a", "b"], [(i // 12, i % 12) for i in range(144)])


class Known(Evaluator):
    name = "known"
    cheap = True
    self_contained = True
    default_objectives = ("score:max", "latency_ms")
    wanted = ("score", "latency_ms", "sum", "odd")

    @classmethod
    def brings(cls, settings):
        return {"space": __file__ + ":space"}

    @classmethod
    def supernet_folder(cls, settings):
        return settings.get("weights", "")

    def narrowed(self, metrics, where=None):
        found = type(self)()
        found.wanted = tuple(metrics)
        return found

    def whole(self):
        return type(self)()

    def rule(self, where):
        return lambda row: row.values[0] % 2 == int(where == "odd")

    def metrics(self):
        return self.wanted

    def evaluate(self, proposal, context):
        a, b = proposal.architecture.values
        values = {"score": a + 0.1 * b, "latency_ms": a * a + b + 1.0, "sum": a + b, "odd": a % 2}
        return Evaluation(proposal, metrics=tuple(Metric(name, float(values[name])) for name in self.wanted))


class Told(Controller):
    takes_evaluations = True

    def __init__(self, space, objectives, constraints=(), seed=0, *, evaluations=0):
        super().__init__(space, objectives, constraints, seed)
        self.evaluations = evaluations

    @property
    def note(self):
        return f"there will be {self.evaluations}"

    def propose(self, rng):
        return self.proposal(self.space.sample(rng), "random")
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    return file


def test_an_evaluator_that_says_everything_itself(archfront: Any, own: Path) -> None:
    words = ["--evaluator", f"{own}:Known", "--where", "odd", "--warm-start", "proxy:sum:5/40"]
    done = archfront("search", *words, "--evaluations", 200, "--json")
    assert done.code == 0, done.error
    assert done.json["evaluations"] == {"ok": 72}, "the rule leaves half of the space"
    names = {name for point in done.json["front"] for name in point["metrics"]}
    assert names == {"score", "latency_ms"}, "of its metrics those that are sought, and no device's"


def test_nothing_is_counted_beside_it(own: Path) -> None:
    plan = Plan(space=f"{own}:space", evaluator=f"{own}:Known", data="digits", objectives=("latency_ms",)).qualified()
    assert plan.objectives == ("latency_ms",) and list(Experiment(plan).evaluators) == ["known"]


def test_it_can_be_simulated(archfront: Any, own: Path) -> None:
    words = ["--space", f"{own}:space", "--evaluator", f"{own}:Known", "--objective", "score:max", "--seconds", "sum"]
    done = archfront("bench", "search", *words, "--controllers", "random", "--evaluations", 9, "--seeds", 2, "--json")
    assert done.code == 0, done.error


def test_it_can_name_its_supernet(own: Path) -> None:
    kept: dict[str, Any] = {"evaluator": f"{own}:Known", "evaluator_settings": {"weights": "somewhere"}}
    assert supernet_of(SimpleNamespace(name="s", settings=kept)) == "somewhere"  # type: ignore[arg-type]
    kept = {"evaluator": "supernet:here"}
    assert supernet_of(SimpleNamespace(name="s", settings=kept)) == "here"  # type: ignore[arg-type]


def test_a_controller_that_is_told_how_many_there_will_be(archfront: Any, own: Path) -> None:
    words = ["--evaluator", f"{own}:Known", "--controller", f"{own}:Told", "--evaluations", 9]
    assert json.loads(archfront("search", *words, "--json").out)["notes"] == ["there will be 9"]
