"""The conformance suite on every registered controller, and on the example of one's own."""

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from archfront.contracts import Evaluation, Proposal, WrongUse
from controllers import CONTROLLERS
from controllers.testing import GRID, LAYERS, WIDE, ControllerConformance, measured
from search_spaces.blocks import MLP, Block, Conv3x3Stem, DepthwiseConv, Paths
from search_spaces.edits.path_edits import leaves
from search_spaces.edits.reaching import network_of
from search_spaces.holes import integers, one_of, repeat
from search_spaces.policy import Policy
from search_spaces.registry import load_file
from search_spaces.space import SearchSpace, Space
from search_spaces.spaces import get_space
from search_spaces.spaces.tied import with_ties
from search_spaces.topologies import Network, Stage

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_controller.py"

LIMITS: dict[str, dict[str, Any]] = {
    "exhaustive": {"learns": False},
    "given": {"learns": False},
    "one-shot": {"learns": False},
    "auto": {"seeds": 1, "steps": 20},
    "model-based": {"seeds": 2, "steps": 24},
    "path-level": {"tells": 300},
    "layer-tying": {"tells": 1000},
    "greedy-growing": {"tells": 1000},
    "random": {"learns": False},
    "screening": {"seeds": 1, "steps": 20, "settings": {"of": "pareto-evolution"}},
    "ppo": {"tells": 2000},
    "optuna:random": {"learns": False, "tells": 1000},
    "optuna:tpe": {"tells": 1000, "steps": 16, "settings": {"n_startup_trials": 5}},
    "optuna:gp": {"tells": 80, "steps": 10, "seeds": 2, "settings": {"n_startup_trials": 6}},
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
        few = list(space.enumerate()) if space is self.small else [space.sample(i) for i in range(100)]
        (self.folder / "list.json").write_text(json.dumps(list(map(space.to_json, few))))
        return {"file": str(self.folder / "list.json")}

    def test_the_seed_alone_decides(self) -> None:
        """The list alone decides: no seed gives another search."""
        runs = [[p.digest for p in self.searched(self.made(seed=seed), self.steps)] for seed in (0, 1)]
        assert runs[0] == runs[1]


def trees(blocks: int, *kernels: int, counts: tuple[int, ...] = (2, 3)) -> Space:
    """Networks whose token mixers are convolutions, or one or two levels of paths of them."""
    conv = DepthwiseConv(one_of(*kernels))
    mixer = one_of(conv, Paths(repeat(one_of(*counts), conv), one_of("replicate", "split")))
    return Space(Network(Conv3x3Stem(), (Stage(24, repeat(blocks, Block(mixer))),)), "trees")


class PathLevel(ControllerConformance):
    """For a controller of spaces with trees of paths."""

    grid = trees(1, 1, 3, 5, 7)
    small = trees(1, 3, 5, 7, counts=(2,))
    wide = trees(2, 1, 3, 5, 7)
    layers = get_space("paths", (1, 8, 8), 1_400)

    def measure(self, proposal: Proposal) -> Evaluation:
        """What becomes of a candidate, by the number of its paths, the mean of their kernels, and its splits."""
        found = [getattr(leaf, "kernel", 3) // 2 for _, leaf in leaves(proposal.architecture)]
        splits = json.dumps(self.grid.to_json(proposal.architecture)).count("split")
        numbers = (len(found), round(sum(found) / len(found)), splits)
        return replace(measured(replace(proposal, architecture=numbers)), proposal=proposal)

    def test_spaces_without_paths_are_refused(self) -> None:
        for space in (GRID, get_space("mobile")):
            with pytest.raises(WrongUse, match="no trees of paths to grow"):
                self.made(space)


def ties(*depths: int, kernels: tuple[int, ...] = (3, 5, 7)) -> Space:
    """Networks with a stage for each of the depths, whose layers may be tied."""
    block = Block(DepthwiseConv(one_of(*kernels)))
    stages = tuple(Stage(8 * (i + 1), repeat(depth, block), "conv" if i else None) for i, depth in enumerate(depths))
    return Space(with_ties(Network(Conv3x3Stem(), stages)), "ties")


class LayerTying(ControllerConformance):
    """For a controller of spaces whose layers may be tied."""

    grid = ties(4, 2)
    small = ties(3, kernels=(3, 5))
    wide = ties(5, 4)
    layers = get_space("tied", (1, 8, 8), 1_400)

    def measure(self, proposal: Proposal) -> Evaluation:
        """What becomes of a candidate, by the number of layers tied in its first stage and its last, and a kernel."""
        network, rows = network_of(proposal.architecture), proposal.architecture.roots
        tied = [sum(root != place for place, root in enumerate(row)) for row in (rows[0], rows[-1])]
        kernel = getattr(network.stages[0].blocks[0].token_mixer, "kernel", 1) // 2
        return replace(measured(replace(proposal, architecture=(*tied, kernel))), proposal=proposal)

    def test_spaces_without_ties_are_refused(self) -> None:
        for space in (GRID, get_space("mobile")):
            with pytest.raises(WrongUse, match="has no ties of layers"):
                self.made(space)


def growing(kernels: tuple[int, ...], depth: int, *widths: int) -> Space:
    """Networks of one stage that grows in width, depth, kernels and expansions."""
    block = Block(DepthwiseConv(one_of(*kernels)), MLP(one_of(1, 2)))
    return Space(Network(Conv3x3Stem(), (Stage(one_of(*widths), repeat(integers(1, depth), block)),)), "growing")


class GreedyGrowing(ControllerConformance):
    """For a controller of spaces with networks that grow."""

    grid = growing((1, 3, 5), 2, 8, 16, 24, 32, 40)
    small = growing((3, 5), 1, 8, 16, 24)
    wide = growing((1, 3, 5), 4, 8, 16, 24, 32, 40)
    layers = get_space("mobile", (1, 8, 8), 1_400)

    def measure(self, proposal: Proposal) -> Evaluation:
        """What becomes of a candidate, by the width and depth of its first stage, and the kernel of its first layer."""
        stage = network_of(proposal.architecture).stages[0]
        numbers = (stage.width // 8, len(stage.blocks), stage.blocks[0].token_mixer.kernel // 2)
        return replace(measured(replace(proposal, architecture=numbers)), proposal=proposal)

    def test_spaces_whose_networks_do_not_grow_are_refused(self) -> None:
        for space in (GRID, WIDE, get_space("cell201")):
            with pytest.raises(WrongUse, match="has no networks that grow"):
                self.made(space)


BASES: dict[str, type[ControllerConformance]] = {
    "one-shot": OneShot,
    "given": Given,
    "path-level": PathLevel,
    "layer-tying": LayerTying,
    "greedy-growing": GreedyGrowing,
}


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
