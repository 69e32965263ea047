"""The conformance suite on every registered controller, and on the example of one's own."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from controllers import CONTROLLERS
from controllers.testing import GRID, LAYERS, ControllerConformance
from search_spaces.policy import Policy
from search_spaces.registry import load_file
from search_spaces.space import SearchSpace

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_controller.py"

LIMITS: dict[str, dict[str, Any]] = {
    "exhaustive": {"learns": False},
    "given": {"learns": False},
    "one-shot": {"learns": False},
    "auto": {"seeds": 1, "steps": 20},
    "model-based": {"seeds": 2, "steps": 24},
    "random": {"learns": False},
    "ppo": {"tells": 2000},
    "optuna:random": {"learns": False, "tells": 1000},
    "optuna:tpe": {"tells": 1000, "steps": 16, "settings": {"n_startup_trials": 5}},
    "optuna:gp": {"tells": 20, "steps": 10, "seeds": 2, "settings": {"n_startup_trials": 6}},
    "optuna:nsga2": {"tells": 1000, "steps": 24, "settings": {"population_size": 8}},
    "optuna:nsga3": {"tells": 2000, "settings": {"population_size": 8}},
    "optuna:cmaes": {"tells": 2000},
}
"""What the suite must know of a controller: those of Optuna, and PPO, are slow."""
SLOW = ["optuna:cmaes", "optuna:gp", "optuna:nsga3"]


class NeedsFile(ControllerConformance):
    """For controllers that read what they propose from a file, which is of one space."""

    folder: Path

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        type(self).folder = tmp_path

    def made(self, space: SearchSpace = GRID, *arguments: Any, **named: Any) -> Any:
        """The controller, with a file for the space at hand."""
        type(self).settings = self.written(space)
        return super().made(space, *arguments, **named)

    def written(self, space: SearchSpace) -> dict[str, Any]:
        """Settings for a search of `space`."""
        raise NotImplementedError


class OneShot(NeedsFile):
    def written(self, space: SearchSpace) -> dict[str, Any]:
        rows = [[(i + 1) / sum(range(len(d.options) + 1)) for i in range(len(d.options))] for d in space.decisions]
        Policy.of(space, "test", rows).save(self.folder / "policy.json")
        return {"policy": str(self.folder / "policy.json")}


class Given(NeedsFile):
    def written(self, space: SearchSpace) -> dict[str, Any]:
        (self.folder / "list.json").write_text(json.dumps([space.to_json(space.sample(i)) for i in range(3)]))
        return {"file": str(self.folder / "list.json"), "then": "random"}


BASES: dict[str, type[ControllerConformance]] = {"one-shot": OneShot, "given": Given}


def suite(name: str) -> type[ControllerConformance]:
    """The test class of a registered controller."""
    marks: list[Any] = [pytest.mark.slow, pytest.mark.timeout(900)] if name in SLOW else []
    if name == "optuna:cmaes":
        marks.append(pytest.mark.skipif(find_spec("cmaes") is None, reason="the package cmaes isn't there"))
    label = "".join(word.capitalize() for word in name.replace(":", "-").split("-"))
    base = BASES.get(name, ControllerConformance)
    made = type(f"Test{label}", (base,), {"controller": CONTROLLERS.get(name), **LIMITS.get(name, {})})
    made.pytestmark = marks  # type: ignore[attr-defined]
    return made


for _name in CONTROLLERS.names():
    _suite = suite(_name)
    globals()[_suite.__name__] = _suite
del _suite


class TestExample(ControllerConformance):
    """A user's own controller, as the documents show it."""

    controller = load_file(str(EXAMPLE), "controller").HillClimbing


def test_the_suites_spaces_are_as_they_say():
    assert GRID.size() == 216
    assert LAYERS.size() == sum(9**n for n in range(1, 9))
    assert sum(d.parent is not None for d in LAYERS.decisions) >= 14
