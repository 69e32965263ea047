"""The supernet evaluator: what it says depends on the architecture alone, and is what the extracted network gives."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from archfront.contracts import Context, Evaluation, Proposal, Status, WrongUse
from archfront.supernets.settings import SupernetSettings
from archfront.supernets.training import plan
from evaluators.base import attempt, create
from evaluators.datasets import DataSet, load
from evaluators.inherited_weights import InheritedWeights, about_supernet, recalibration_batches
from search_spaces.building import build
from search_spaces.spaces import get_space
from search_spaces.weight_sharing import recalibrate

SPACE = f"{Path(__file__).with_name('small_space.py')}:space"


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return load("digits")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A supernet that was trained for a few steps."""
    found = tmp_path_factory.mktemp("supernet")
    plan(SupernetSettings(space=SPACE, steps=30), found, "cpu").run(found)
    return found


@pytest.fixture(scope="module")
def architectures() -> list[Any]:
    space = get_space(SPACE)
    return [space.sample(seed) for seed in range(6)]


def context(folder: Path, data: DataSet, **changes: Any) -> Context:
    return Context(folder, inputs=data.inputs, outputs=data.outputs, data=data, **changes)


def evaluated(folder: Path, data: DataSet, chosen: list[Any], to: Path, **settings: Any) -> list[Evaluation]:
    evaluator = create(f"supernet:{folder}", {"device": "cpu", "images": 200, **settings})
    proposals = [Proposal(architecture, f"digest{number}") for number, architecture in enumerate(chosen)]
    return [attempt(evaluator, proposal, context(to, data)) for proposal in proposals]


def test_order_changes_nothing(folder: Path, digits: DataSet, architectures: list[Any], tmp_path: Path) -> None:
    forward = evaluated(folder, digits, architectures, tmp_path)
    assert all(evaluation.status is Status.OK for evaluation in forward)
    backward = evaluated(folder, digits, architectures[::-1] * 2, tmp_path)
    assert (
        [e.metrics for e in forward]
        == [e.metrics for e in backward[:6][::-1]]
        == [e.metrics for e in backward[6:][::-1]]
    )
    assert len({evaluation.values["loss"] for evaluation in forward}) == 6


def test_accuracy_is_that_of_the_extracted_network(
    folder: Path, digits: DataSet, architectures: list[Any], tmp_path: Path
) -> None:
    found = evaluated(folder, digits, architectures, tmp_path, keep=True)
    for architecture, evaluation in zip(architectures, found, strict=True):
        [file] = evaluation.artifacts
        network = build(architecture, digits.inputs, digits.outputs, seed=1)
        network.load_state_dict(load_file(tmp_path / file.path))
        network.eval()
        with torch.no_grad():
            right = network(digits.prepared(digits.validation.inputs)).argmax(1) == digits.validation.targets
            tests = network(digits.prepared(digits.test.inputs)).argmax(1) == digits.test.targets
        metrics = {metric.name: metric for metric in evaluation.metrics}
        assert metrics["accuracy"].value == pytest.approx(float(right.double().mean()), abs=1e-9)
        assert metrics["test_accuracy"].value == pytest.approx(float(tests.double().mean()), abs=1e-9)
        assert metrics["accuracy"].low < metrics["accuracy"].value < metrics["accuracy"].high
        assert metrics["accuracy"].kind == "measured"


def test_statistics_are_those_of_training_pictures(folder: Path, digits: DataSet, architectures: list[Any]) -> None:
    source = InheritedWeights(folder, digits, images=200)
    architecture = next(a for a in architectures if "BatchNorm" in str(a))
    network = source.extracted(architecture)
    before = {name: value.clone() for name, value in network.state_dict().items() if "running" in name}
    again = source.extracted(architecture)
    with recalibrate(again, recalibration_batches(digits, 200, 128, "cpu")):
        after = {name: value.clone() for name, value in again.state_dict().items() if "running" in name}
    assert before and before.keys() == after.keys()
    assert all(torch.allclose(before[name], after[name], atol=1e-5) for name in before)


def test_says_how_it_was_got(folder: Path, digits: DataSet, architectures: list[Any], tmp_path: Path) -> None:
    [found] = evaluated(folder, digits, architectures[:1], tmp_path)
    protocol = found.metrics[0].provenance.protocol
    sha = InheritedWeights(folder, digits).sha256
    assert "inherited weights" in protocol and f"supernet={sha[:8]}" in protocol and "recalibrated=200" in protocol
    assert "steps" not in protocol
    [fewer] = evaluated(folder, digits, architectures[:1], tmp_path, test=False)
    assert set(fewer.values) == {"accuracy", "balanced_accuracy", "loss"} and not list(tmp_path.iterdir())


def test_an_unfinished_supernet_says_so(digits: DataSet, architectures: list[Any], tmp_path: Path) -> None:
    planned = plan(SupernetSettings(space=SPACE, steps=30), tmp_path / "s", "cpu")
    planned.training.run(tmp_path / "s", until=2)
    [found] = evaluated(tmp_path / "s", digits, architectures[:1], tmp_path)
    assert found.status is Status.OK and "2 of 30 steps" in found.metrics[0].provenance.protocol


def test_architectures_of_another_space_are_unsupported(folder: Path, digits: DataSet, tmp_path: Path) -> None:
    stranger = get_space("mobile", digits.inputs, digits.train.size).sample(0)
    [found] = evaluated(folder, digits, [stranger], tmp_path)
    assert found.status is Status.UNSUPPORTED and "isn't in the space" in found.reason and "\n" not in found.reason


def test_other_data_is_refused(folder: Path, digits: DataSet, tmp_path: Path) -> None:
    evaluator = create(f"supernet:{folder}")
    with pytest.raises(WrongUse, match="not on this split"):
        evaluator.prepare(context(tmp_path, load("digits", seed=1)))
    with pytest.raises(WrongUse, match="not on other"):
        evaluator.prepare(context(tmp_path, replace(digits, sha256="0" * 64, name="other")))
    with pytest.raises(WrongUse, match="needs the supernet's data set"):
        evaluator.prepare(Context(tmp_path))


@pytest.mark.parametrize(
    ("settings", "cause"), [({"images": 1}, "images=1"), ({"batch_size": 0}, "batch_size"), ({"epochs": 3}, "epochs")]
)
def test_wrong_settings(settings: dict[str, Any], cause: str) -> None:
    with pytest.raises(WrongUse, match=cause):
        create("supernet:folder", settings)


def test_no_supernet_there(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="has no trained supernet"):
        about_supernet(tmp_path)
    broken = tmp_path / "checkpoints" / "supernet.safetensors"
    broken.parent.mkdir()
    for content in (b"", b"\xff" * 30, b"\x02" + b"\0" * 7 + b"{}"):
        broken.write_bytes(content)
        with pytest.raises(WrongUse, match="can't be read"):
            about_supernet(tmp_path)


def test_fine_tuning_starts_from_inherited_weights(
    folder: Path, digits: DataSet, architectures: list[Any], tmp_path: Path
) -> None:
    settings = {"epochs": 1, "batch_size": 128, "device": "cpu", "lr": 1e-3}
    proposal = Proposal(architectures[0], "d0")
    tuned = attempt(create("training", {**settings, "inherit": str(folder)}), proposal, context(tmp_path / "a", digits))
    scratch = attempt(create("training", settings), proposal, context(tmp_path / "b", digits))
    assert tuned.status is Status.OK and tuned.values["loss"] < scratch.values["loss"]
    assert "inherit=" in tuned.metrics[0].provenance.protocol
    # So little learning keeps the weights where they began.
    still = {**settings, "lr": 1e-12, "weight_decay": 0.0, "inherit": str(folder)}
    kept = attempt(create("training", still), proposal, context(tmp_path / "c", digits))
    weights = load_file(tmp_path / "c" / kept.artifacts[0].path)
    wanted = InheritedWeights(folder, digits).extracted(architectures[0])
    assert all(torch.allclose(weights[name], value, atol=1e-6) for name, value in wanted.named_parameters())
