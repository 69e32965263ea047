"""Real, short trainings: deterministic, resumable, and every failure an outcome."""

import json
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from archfront.contracts import Context, Evaluation, Metric, Proposal, Provenance, Status, WrongUse
from evaluators import checkpoints
from evaluators.augmentation import Augmenting
from evaluators.base import attempt, create
from evaluators.candidate_training import Training
from evaluators.datasets import DataSet, Split, load
from evaluators.intervals import over_runs, wilson
from evaluators.optimization import optimizer_for
from evaluators.recipe import default_recipe
from evaluators.recipes.training import Recipe
from search_spaces.building import build
from search_spaces.errors import SpaceError
from search_spaces.holes import one_of
from search_spaces.space import Space
from search_spaces.topologies.network.cell201 import Cell201

EDGES = ("nor_conv_3x3", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "nor_conv_1x1")
SMALL = Cell201(*EDGES, cells=1, width=6)


@pytest.fixture(scope="module")
def whole() -> DataSet:
    return load("digits")


@pytest.fixture(scope="module")
def digits(whole: DataSet) -> DataSet:
    """The digits with fewer pictures, for speed."""
    few = [Split(split.inputs[:256], split.targets[:256]) for split in (whole.train, whole.validation, whole.test)]
    return replace(whole, train=few[0], validation=few[1], test=few[2])


def trained(folder: Path, data: DataSet, fidelity: int | None = None, **changes: Any) -> Evaluation:
    settings = changes.pop("settings", {"epochs": 2, "batch_size": 128})
    context = Context(folder, inputs=data.inputs, outputs=data.outputs, data=data, **changes)
    return attempt(create("training", settings), Proposal(SMALL, "d1", fidelity), context)


def weights(folder: Path, evaluation: Evaluation) -> dict[str, torch.Tensor]:
    return load_file(folder / next(a.path for a in evaluation.artifacts if a.kind == "weights"))


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def test_two_runs_are_identical_and_another_seed_is_not(tmp_path: Path, digits: DataSet) -> None:
    first = trained(tmp_path / "a", digits)
    torch.manual_seed(99)
    second, other = trained(tmp_path / "b", digits), trained(tmp_path / "c", digits, seed=1)
    assert first.status is Status.OK and first.metrics == second.metrics
    assert same(weights(tmp_path / "a", first), weights(tmp_path / "b", second))
    assert not same(weights(tmp_path / "a", first), weights(tmp_path / "c", other))


def test_it_learns_and_its_weights_give_the_reported_accuracy(tmp_path: Path, whole: DataSet) -> None:
    found = trained(tmp_path, whole, settings={"epochs": 6, "batch_size": 32})
    assert found.values["accuracy"] > 0.9 and found.values["test_accuracy"] > 0.9
    low, high = found.metrics[0].low, found.metrics[0].high
    assert low is not None and high is not None and low < found.values["accuracy"] < high
    model = build(SMALL, whole.inputs, whole.outputs)
    model.load_state_dict(weights(tmp_path, found))
    with torch.no_grad():
        outputs = model.eval()(whole.prepared(whole.test.inputs))
    share = float((outputs.argmax(1) == whole.test.targets).float().mean())
    assert share == pytest.approx(found.values["test_accuracy"], abs=0.003)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_higher_fidelity_resumes_exactly(tmp_path: Path, digits: DataSet, optimizer: str) -> None:
    settings = {"epochs": 3, "batch_size": 128, "optimizer": optimizer}
    whole = trained(tmp_path / "whole", digits, 3, settings=settings)
    part = trained(tmp_path / "part", digits, 1, settings=settings)
    assert {artifact.kind for artifact in part.artifacts} == {"weights", "optimizer", "confusion"}
    path = tmp_path / "part" / part.artifacts[0].path
    resumed = trained(tmp_path / "part", digits, 3, settings=settings, checkpoint=path)
    assert same(weights(tmp_path / "part", resumed), weights(tmp_path / "whole", whole))
    assert resumed.metrics == whole.metrics and part.metrics != whole.metrics


def test_resuming_trains_only_what_is_left(tmp_path: Path, digits: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    part = trained(tmp_path, digits, 1)
    epochs: list[int] = []
    run = Training._epoch
    monkeypatch.setattr(Training, "_epoch", lambda self, epoch: (epochs.append(epoch), run(self, epoch))[1])
    trained(tmp_path, digits, 2, checkpoint=tmp_path / part.artifacts[0].path)
    assert epochs == [1]
    (tmp_path / part.artifacts[0].path).write_bytes(b"broken")
    trained(tmp_path, digits, 2, checkpoint=tmp_path / part.artifacts[0].path)
    assert epochs == [1, 0, 1]


def test_a_checkpoint_of_another_training_is_not_used(tmp_path: Path, digits: DataSet) -> None:
    part = trained(tmp_path / "a", digits, 1, seed=5)
    stranger = trained(tmp_path / "b", digits, 2, checkpoint=tmp_path / "a" / part.artifacts[0].path)
    assert stranger.metrics == trained(tmp_path / "c", digits, 2).metrics


def test_artifacts_tell_their_hash(tmp_path: Path, digits: DataSet) -> None:
    for artifact in trained(tmp_path, digits, 1).artifacts:
        content = (tmp_path / artifact.path).read_bytes()
        assert (artifact.sha256, artifact.bytes) == (sha256(content).hexdigest(), len(content))
    assert not [path for path in (tmp_path / "checkpoints").iterdir() if path.name.startswith(".")]


def test_divergence_is_recorded(tmp_path: Path, digits: DataSet) -> None:
    found = trained(tmp_path, digits, settings={"epochs": 2, "lr": 1e9, "clip": 0.0, "warmup": 0.0, "optimizer": "sgd"})
    assert found.status is Status.DIVERGED and "finite" in found.reason and not found.metrics


def test_time_runs_out(tmp_path: Path, digits: DataSet) -> None:
    found = trained(tmp_path, digits, timeout_s=0.0)
    assert found.status is Status.TIMED_OUT and "epoch 1" in found.reason


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), Status.OUT_OF_MEMORY),
        (OSError(28, "No space left"), Status.FAILED),
    ],
)
def test_failures_on_the_way_are_outcomes(
    tmp_path: Path, digits: DataSet, monkeypatch: pytest.MonkeyPatch, error: Exception, status: Status
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise error

    if status is Status.OUT_OF_MEMORY:
        monkeypatch.setattr(Cell201, "build", broken)
    else:
        monkeypatch.setattr(checkpoints, "save_file", broken)
    found = trained(tmp_path, digits, 1)
    assert found.status is status
    assert status is Status.OUT_OF_MEMORY or "free some disk space" in found.reason
    folder = tmp_path / "checkpoints"
    assert not folder.exists() or not list(folder.iterdir())


def test_threads_and_generator_are_left_as_they_were(tmp_path: Path, digits: DataSet) -> None:
    torch.manual_seed(3)
    wanted, threads = torch.rand(3), torch.get_num_threads()
    torch.manual_seed(3)
    trained(tmp_path, digits, 1, threads=2)
    assert torch.equal(torch.rand(3), wanted) and torch.get_num_threads() == threads


def test_training_needs_data(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="needs a data set"):
        create("training").prepare(Context(tmp_path))


def test_the_schedule_warms_up_and_comes_down() -> None:
    recipe = Recipe(lr=1.0, warmup=0.1)
    rates = [recipe.lr_at(step, 100) for step in range(100)]
    assert max(rates) == 1.0 == rates[9] and rates[0] == 0.1 and rates[-1] < 0.02
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_a_recipe_is_a_space_when_it_has_holes() -> None:
    space = Space(Recipe(lr=one_of(1e-3, 1e-2), optimizer=one_of("adamw", "sgd")))
    assert space.size() == 4 and len({space.digest(recipe) for recipe in space.enumerate()}) == 4
    recipe = space.sample(1)
    assert space.from_json(space.to_json(recipe)) == recipe
    with pytest.raises(SpaceError, match=r"recipe\.epochs: must be an integer"):
        Recipe(epochs=0)


def test_small_sets_train_longer(digits: DataSet, whole: DataSet) -> None:
    assert default_recipe(digits).epochs > default_recipe(whole).epochs >= 7
    assert default_recipe(digits, epochs=3).epochs == 3


def test_only_matrices_decay() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
    groups = optimizer_for(model, Recipe()).param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(1, 0.05), (3, 0.0)]


def test_augmentation_shifts_within_the_picture(digits: DataSet) -> None:
    images = torch.arange(2 * 16 * 16, dtype=torch.float32).view(2, 1, 16, 16)
    draw = torch.Generator().manual_seed(0)

    def augmented(kind: Any) -> torch.Tensor:
        return Augmenting(Recipe(augmentation=kind), digits)(images, torch.zeros(2), draw)[0]

    assert torch.equal(augmented("none"), images)
    inner = [augmented("shift")[0, 0, 4:12, 4:12] for _ in range(40)]
    windows = [images[0, 0, 4 + y : 12 + y, 4 + x : 12 + x] for y in range(-2, 3) for x in range(-2, 3)]
    found = {next(i for i, window in enumerate(windows) if torch.equal(picture, window)) for picture in inner}
    assert len(found) > 10
    flipped = [augmented("flip")[0, 0, 8] for _ in range(40)]
    falling = sum(bool(row[3] > row[12]) for row in flipped)
    assert 8 < falling < 32


def test_wilson_interval() -> None:
    assert wilson(95, 100) == pytest.approx((0.8882, 0.9785), abs=1e-3)
    assert wilson(10, 10)[1] == 1.0 and wilson(0, 10)[0] == 0.0


def test_several_seeds_give_the_mean_of_single_trainings(tmp_path: Path, digits: DataSet) -> None:
    settings = {"epochs": 1, "batch_size": 128}
    single = [trained(tmp_path / str(n), digits, seed=n, settings=settings) for n in range(3)]
    several = trained(tmp_path / "all", digits, settings={**settings, "seeds": 3})
    found = {metric.name: metric for metric in several.metrics}
    runs = [evaluation.values["accuracy"] for evaluation in single]
    middle = found["accuracy"]
    assert middle.value == pytest.approx(sum(runs) / 3) and middle.low < middle.value < middle.high
    assert middle.summary.n == 3 and middle.summary.p50 == pytest.approx(sorted(runs)[1])
    assert middle.provenance.protocol.endswith("seed=0 seeds=3")
    best = max(range(3), key=runs.__getitem__)
    assert same(weights(tmp_path / "all", several), weights(tmp_path / str(best), single[best]))
    kept = json.loads((tmp_path / "all" / several.artifacts[-1].path).read_text())
    assert kept["accuracy"] == runs and kept["seeds"] == [0, 1, 2]
    assert len(list((tmp_path / "all" / "checkpoints").iterdir())) == 3  # weights, confusion, runs


def test_several_seeds_go_on_each_from_its_own_checkpoint(tmp_path: Path, digits: DataSet) -> None:
    settings = {"epochs": 2, "batch_size": 128, "seeds": 2}
    whole = trained(tmp_path / "whole", digits, settings=settings)
    part = trained(tmp_path / "part", digits, 1, settings=settings)
    path = tmp_path / "part" / next(file.path for file in part.artifacts if file.kind == "weights")
    resumed = trained(tmp_path / "part", digits, 2, settings=settings, checkpoint=path)
    assert resumed.metrics == whole.metrics
    assert same(weights(tmp_path / "part", resumed), weights(tmp_path / "whole", whole))


def test_seeds_are_checked() -> None:
    for wrong in (0, 2.5, True, "3"):
        with pytest.raises(WrongUse, match="seeds="):
            create("training", {"seeds": wrong})


def test_interval_over_runs() -> None:
    runs = [Metric("accuracy", value, "fraction") for value in (0.90, 0.92, 0.94)]
    found = over_runs(runs, Provenance())
    half = 4.303 * 0.02 / 3**0.5
    assert (found.value, found.low, found.high) == pytest.approx((0.92, 0.92 - half, 0.92 + half), abs=1e-6)
    assert over_runs([replace(run, value=run.value + 0.06) for run in runs], Provenance()).high == 1.0
