"""Probes: against formulas of their own, in searches, from a user's file, and what they refuse."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from archfront.contracts import Context, Objective, Proposal, Provenance, WrongUse, meaning
from archfront.plan import Experiment, Plan
from evaluators.datasets import DataSet, load
from evaluators.probes import PROBES, chosen, naming, probed
from evaluators.probes.calibration import outputs_on, temperature
from evaluators.probes.corruptions import CORRUPTIONS, corrupted
from evaluators.training import TrainingEvaluator
from search_spaces import digest
from tests.evaluators.small_space import space as small

OWN = '''
from evaluators.probes import PROBES, Probe

@PROBES.register("confidence")
class Confidence(Probe):
    """The mean of the largest probability."""

    name = "confidence"
    measures = {"confidence": ("max", "fraction", "mean of the largest probability")}

    def __init__(self, share: float = 1.0) -> None:
        self.share = share

    def probed(self, network, data, device, seed):
        def on(split):
            return self.share * float(network(data.prepared(split.inputs[:])).softmax(1).amax(1).mean().detach())

        return {"confidence": on(data.validation), "test_confidence": on(data.test)}
'''


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load("digits")


class Linear(nn.Module):
    """One layer whose outputs are `sharpness` times too large."""

    def __init__(self, sharpness: float = 1.0) -> None:
        super().__init__()
        self.sharpness = sharpness
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(64, 10, generator=generator) / 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.sharpness * x.flatten(1) @ self.weight


def expected_error(probabilities: np.ndarray, targets: np.ndarray, bins: int) -> float:
    """The definition: per bin of confidence, |share that is right - mean confidence|, weighed by its examples."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == targets
    total = 0.0
    for low in np.arange(bins) / bins:
        inside = (confidence > low) & (confidence <= low + 1 / bins)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return float(total)


def test_calibration_is_the_formula_before_and_after_the_best_temperature(data: DataSet) -> None:
    network = Linear(3.0)
    found = PROBES.get("calibration")(bins=10).probed(network, data, "cpu", 0)
    outputs, targets = outputs_on(network, data, data.validation, "cpu")
    assert len(targets) == data.validation.size
    heats = np.exp(np.linspace(np.log(0.02), np.log(50), 4000))
    losses = [float(nn.functional.cross_entropy(outputs.double() / heat, targets)) for heat in heats]
    best = heats[int(np.argmin(losses))]
    assert temperature(outputs, targets) == pytest.approx(best, rel=0.01)
    for prefix, split in (("", data.validation), ("test_", data.test)):
        with torch.no_grad():
            outputs, targets = network(data.prepared(split.inputs[:])), split.targets[:].numpy()
        raw, scaled = (expected_error((outputs / heat).softmax(1).numpy(), targets, 10) for heat in (1.0, best))
        assert found[f"{prefix}calibration_error"] == pytest.approx(raw, abs=1e-4)
        assert found[f"{prefix}scaled_calibration_error"] == pytest.approx(scaled, abs=3e-3)
        assert scaled < 0.6 * raw


def test_temperature_undoes_what_made_outputs_too_sharp() -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(20_000, 5, generator=generator)
    targets = torch.multinomial(outputs.softmax(1), 1, generator=generator)[:, 0]
    assert temperature(outputs, targets) == pytest.approx(1, abs=0.05)
    assert temperature(4 * outputs, targets) == pytest.approx(4, abs=0.2)


def test_positions_of_maps_are_taken_one_by_one_and_unlabelled_ones_left_out(data: DataSet) -> None:
    class Maps(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x, -x], 1)

    targets = (data.validation.inputs[:][:, 0] > 100).long()
    targets[:, 0] = -100
    split = data.validation._replace(targets=targets)
    outputs, wanted = outputs_on(Maps(), data, split, "cpu")
    assert outputs.shape == (split.size * 56, 2) and set(wanted.tolist()) == {0, 1}
    x = data.prepared(split.inputs[:])[:, 0, 1:]
    assert torch.allclose(outputs[:, 0], x.flatten()) and torch.equal(wanted, targets[:, 1:].flatten())


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_each_corruption_is_worse_the_severer_and_the_same_for_one_seed(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    smooth = nn.functional.interpolate(torch.rand(8, 3, 4, 4, generator=generator), (32, 32), mode="bilinear")
    raw = (smooth * 200).to(torch.uint8)

    def changed(severity: int, seed: int = 1) -> torch.Tensor:
        return corrupted(raw, kind, severity, torch.Generator().manual_seed(seed))

    far = [float((changed(severity).float() - raw.float()).abs().mean()) for severity in (1, 3, 5)]
    assert 0 < far[0] <= far[1] <= far[2] and far[0] < far[2]
    assert changed(3).dtype == torch.uint8 and torch.equal(changed(3), changed(3))
    noisy = kind.endswith("noise")
    assert noisy != torch.equal(changed(3), changed(3, seed=2))


def test_corruptions_that_have_a_formula() -> None:
    raw = torch.tensor([[[[100, 200], [0, 255]]], [[[10, 20], [30, 40]]]], dtype=torch.uint8)
    none = torch.Generator()
    lighter = corrupted(raw, "brightness", 2, none)
    assert torch.equal(lighter, (raw.float() + 25.5).clamp(max=255).round().to(torch.uint8))
    mean = raw.float().mean((2, 3), keepdim=True)
    assert torch.equal(corrupted(raw, "contrast", 1, none), ((raw - mean) * 0.75 + mean).round().to(torch.uint8))
    # A side of 2 at 95 % is one of 1: each picture is its mean.
    assert (corrupted(raw, "pixelate", 1, none) - mean).abs().max() <= 0.5
    colour = torch.tensor([200, 100, 50], dtype=torch.uint8).view(1, 3, 1, 1)
    brighter = corrupted(colour, "brightness", 2, none).float().flatten()
    assert brighter[0] == 226 and torch.allclose(brighter / brighter[0], colour.float().flatten() / 200, atol=0.01)


class Bright(nn.Module):
    """Takes a picture for class 1 where it is bright, else for class 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = (x.mean((1, 2, 3)) > 0.2).float()
        return torch.stack([1 - bright, bright, *[torch.zeros_like(bright)] * 8], 1)


def test_corruption_accuracy_is_the_mean_over_the_kinds(data: DataSet) -> None:
    named = Bright()(data.prepared(data.validation.inputs[:])).argmax(1)
    easy = replace(data, validation=data.validation._replace(targets=named))

    def accuracy(kinds: list[str]) -> float:
        return PROBES.get("corruptions")(kinds=kinds).probed(Bright(), easy, "cpu", 0)["corruption_accuracy"]

    kinds = ["contrast", "brightness"]
    each = [accuracy([kind]) for kind in kinds]
    assert each[0] != each[1] and accuracy(kinds) == pytest.approx(sum(each) / 2)
    raw = corrupted(easy.validation.inputs[:], "brightness", 3, torch.Generator())
    right = Bright()(data.prepared(raw)).argmax(1) == named
    assert each[1] == pytest.approx(float(right.float().mean()))


def test_an_objective_brings_its_probe(tmp_path: Path) -> None:
    assert Objective.parse("calibration_error").direction == "min"
    assert Objective.parse("test_corruption_accuracy").direction == "max"
    assert meaning("scaled_calibration_error") is not None and meaning("nothing") is None
    plan = Plan(
        space="mobile",
        data="digits",
        evaluator_settings={"epochs": 1},
        objectives=("accuracy", "calibration_error"),
        constraints=("corruption_accuracy>=0.01",),
        folder=str(tmp_path),
    )
    experiment = Experiment(plan)
    experiment.check()
    assert [probe.name for probe in experiment.main.probes] == ["calibration", "corruptions"]
    assert [probe.name for probe in Experiment(replace(plan, objectives=("accuracy",))).main.probes] == ["corruptions"]
    architecture = small.sample(0)
    context = replace(experiment.context, folder=tmp_path)
    plain = TrainingEvaluator(epochs=1).evaluate(Proposal(architecture, digest(architecture)), context)
    found = experiment.main.evaluate(Proposal(architecture, digest(architecture)), context)
    assert {name: found.values[name] for name in plain.values} == plain.values, "probing changes no training"
    assert set(found.values) == set(experiment.main.metrics())
    assert {"calibration_error", "test_scaled_calibration_error", "corruption_accuracy"} < found.values.keys()


def test_probes_of_several_runs_are_averaged(tmp_path: Path, data: DataSet) -> None:
    architecture = small.sample(0)
    proposal = Proposal(architecture, digest(architecture))
    context = Context(tmp_path, inputs=data.inputs, outputs=data.outputs, data=data)
    both = TrainingEvaluator(epochs=1, seeds=2, probes="calibration").evaluate(proposal, context)
    each = [
        TrainingEvaluator(epochs=1, probes="calibration").evaluate(proposal, replace(context, seed=seed)).values
        for seed in (0, 1)
    ]
    mean = sum(values["calibration_error"] for values in each) / 2
    assert both.values["calibration_error"] == pytest.approx(mean)


def test_a_users_own_probe(tmp_path: Path, data: DataSet) -> None:
    file = tmp_path / "mine.py"
    file.write_text(OWN)
    (probe,) = chosen(f"{file}:Confidence(share=0.5)")
    [value, test] = probed([probe], Linear(), data, "cpu", 0, Provenance())
    assert value.name == "confidence" and test.name == "test_confidence" and value.unit == "fraction"
    with torch.no_grad():
        expected = Linear()(data.prepared(data.validation.inputs[:])).softmax(1).amax(1).mean() / 2
    assert value.value == pytest.approx(float(expected))
    # Once it is registered, its direction is known, and it comes with its objective.
    assert Objective.parse("confidence").direction == "max" and naming(["test_confidence"]) == ["confidence"]
    assert "confidence" in TrainingEvaluator(probes=[f"{file}:Confidence"]).metrics()


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ("calibrations", "did you mean 'calibration'"),
        ("calibration(bin=3)", "did you mean 'bins'"),
        ("calibration(bins=1)", "bins from 2"),
        ("calibration,calibration", "both yield calibration_error"),
        ("corruptions(severity=6)", "severity from 1 to 5"),
        ("corruptions(kinds=jpg)", "did you mean 'jpeg'"),
        ("corruptions(severity=3", "say NAME"),
        (3, "must be names of probes"),
    ],
)
def test_wrong_settings(settings: object, cause: str) -> None:
    with pytest.raises(WrongUse, match=cause.replace("(", r"\(")) as caught:
        TrainingEvaluator(probes=settings)
    assert "\n" not in str(caught.value)


def test_probes_refuse_what_they_cannot_probe(data: DataSet, tmp_path: Path) -> None:
    from evaluators.tasks.task import Task

    class Numbers(type(data.task)):  # type: ignore[misc]
        kind = "numeric"
        name = "regression"
        measures = ("mae",)

    numbers: Task = Numbers(1)
    context = Context(tmp_path, inputs=data.inputs, outputs=1, data=replace(data, task=numbers))
    for probe, other in (("calibration", "regression"), ("corruptions", "measures accuracy")):
        with pytest.raises(WrongUse, match=other):
            TrainingEvaluator(probes=probe).prepare(context)
    with pytest.raises(WrongUse, match="only pictures"):
        TrainingEvaluator(probes="corruptions").prepare(replace(context, data=replace(data, medium="spectrograms")))
    TrainingEvaluator(probes="calibration,corruptions").prepare(replace(context, data=data))
