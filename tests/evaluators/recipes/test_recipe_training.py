"""What averaging, layers' rates, regularisers, phases and teachers do in real trainings, which resume exactly."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from archfront.contracts import Context, Evaluation, Proposal, Status, WrongUse
from evaluators import checkpoints
from evaluators.averaged_weights import AveragedWeights
from evaluators.base import attempt, create
from evaluators.candidate_training import Training
from evaluators.datasets import DataSet, Split, load
from evaluators.layers import last_layer, layers
from evaluators.optimization import optimizer_for, still
from evaluators.phases import Phases
from evaluators.recipes.training import Recipe
from evaluators.trained_networks import trained_network
from search_spaces.building import build
from search_spaces.canonical import to_json
from search_spaces.layers.residual_branch import ResidualBranch
from search_spaces.topologies.network.cell201 import Cell201
from tests.evaluators.recipes.given import NUMBERS, PICTURES, draw
from tests.evaluators.small_space import space

EDGES = ("nor_conv_3x3", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "nor_conv_1x1")
SMALL = Cell201(*EDGES, cells=1, width=6)
STAGED = space.sample(3)


@pytest.fixture(scope="module")
def digits() -> DataSet:
    whole = load("digits")
    few = [Split(split.inputs[:256], split.targets[:256]) for split in (whole.train, whole.validation, whole.test)]
    return replace(whole, train=few[0], validation=few[1], test=few[2])


def trained(folder: Path, data: DataSet, fidelity: int | None = None, net: Any = SMALL, **settings: Any) -> Evaluation:
    checkpoint = settings.pop("checkpoint", None)
    context = Context(folder, inputs=data.inputs, outputs=data.outputs, data=data, checkpoint=checkpoint)
    evaluator = create("training", {"batch_size": 64, "device": "cpu", **settings})
    return attempt(evaluator, Proposal(net, "d1", fidelity), context)


def weights(folder: Path, evaluation: Evaluation) -> dict[str, torch.Tensor]:
    return load_file(folder / next(a.path for a in evaluation.artifacts if a.kind == "weights"))


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


@pytest.mark.parametrize(
    "settings",
    [
        {"averaging": "ema"},
        {"augmentations": "mixup"},
        {"optimizer": "lion"},
        {"optimizer": "muon"},
        {"optimizer": "lamb"},
        {"schedule": "one_cycle", "loss": "focal", "augmentations": "trivial_augment+cutmix+random_erasing"},
        {"regularisers": "stochastic_depth(p=0.5)+dropout", "learning": "layer_wise", "averaging": "ema"},
        {"phases": "rotation_prediction(share=0.5)", "averaging": "ema"},
        {"phases": "rotation_prediction(share=0.6)+progressive_resolution(share=0.4)", "batch_size": 60},
    ],
    ids=lambda settings: "+".join(str(value) for value in settings.values()),
)
def test_a_training_that_was_stopped_ends_as_one_that_never_was(
    tmp_path: Path, digits: DataSet, settings: dict[str, Any]
) -> None:
    settings = {"epochs": 3, **settings}
    whole = trained(tmp_path / "whole", digits, **settings)
    assert whole.status is Status.OK, whole.reason
    part = trained(tmp_path / "part", digits, 1, **settings)
    path = tmp_path / "part" / part.artifacts[0].path
    seen: list[int] = []
    once = Training._epoch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "_epoch", lambda self, epoch: (seen.append(epoch), once(self, epoch))[1])
        resumed = trained(tmp_path / "part", digits, 3, checkpoint=path, **settings)
    assert seen == [1, 2]
    assert same(weights(tmp_path / "part", resumed), weights(tmp_path / "whole", whole))
    assert resumed.metrics == whole.metrics
    # A default training ends elsewhere: the recipe did something.
    plain = trained(tmp_path / "plain", digits, epochs=3, batch_size=settings.get("batch_size", 64))
    assert not same(weights(tmp_path / "plain", plain), weights(tmp_path / "whole", whole))


def test_ema_by_the_formula() -> None:
    network, expected = nn.Linear(3, 2), None
    averaged = AveragedWeights.of(Recipe(averaging="ema(decay=0.5)"), network)
    assert averaged is not None and AveragedWeights.of(Recipe(), network) is None
    expected = network.weight.detach().clone()
    for step in range(8):
        with torch.no_grad():
            network.weight.copy_(torch.randn(2, 3, generator=draw(step)))
        averaged.follow(network, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * network.weight.detach()
        assert torch.allclose(averaged.tensors["weight"], expected, atol=1e-6)


def test_averaged_weights_are_those_tested_and_kept_and_the_trained_lie_beside(tmp_path: Path, digits: DataSet) -> None:
    part = trained(tmp_path, digits, 1, epochs=2, averaging="ema(decay=0.9)")
    path = tmp_path / part.artifacts[0].path
    beside, _ = checkpoints.load(path.with_name(path.name.removesuffix(checkpoints.SUFFIX) + checkpoints.OPTIMIZER))
    kept = load_file(path)
    raw = {key.removeprefix("trained/"): value for key, value in beside.items() if key.startswith("trained/")}
    plain = trained(tmp_path / "plain", digits, 1, epochs=2)
    assert same(raw, weights(tmp_path / "plain", plain)) and not same(raw, kept)
    model = build(SMALL, digits.inputs, digits.outputs)
    model.load_state_dict(kept)
    with torch.no_grad():
        outputs = model.eval()(digits.prepared(digits.validation.inputs))
    share = float((outputs.argmax(1) == digits.validation.targets).float().mean())
    assert share == pytest.approx(part.values["accuracy"], abs=0.005)


def test_layers_are_in_order_and_hold_every_parameter_once() -> None:
    for architecture, shape in ((SMALL, (3, 8, 8)), (STAGED, (3, 8, 8))):
        network = build(architecture, shape, 4, seed=0)
        found = layers(network)
        own = [id(p) for layer in found for p in layer.parameters]
        assert sorted(own) == sorted(id(p) for p in network.parameters()) and len(own) == len(set(own))
        assert all(sum(p.ndim > 1 for p in layer.parameters) >= 1 for layer in found)
        assert last_layer(network) in found[-1].modules and isinstance(last_layer(network), nn.Linear)
        assert found[0].parameters[0] is next(network.parameters())


def test_layer_wise_rates_fall_geometrically() -> None:
    network = build(SMALL, (3, 8, 8), 4, seed=0)
    made = optimizer_for(network, Recipe(learning="layer_wise(first=0.01)"))
    share = {id(p): group["share"] for group in made.param_groups for p in group["params"]}
    found = layers(network)
    rates = [share[id(layer.parameters[0])] for layer in found]
    assert rates[0] == pytest.approx(0.01) and rates[-1] == 1
    assert [b / a for a, b in pairwise(rates)] == pytest.approx([100 ** (1 / (len(rates) - 1))] * (len(rates) - 1))
    decays = {p.ndim > 1: group["weight_decay"] for group in made.param_groups for p in group["params"]}
    assert decays == {True: 0.05, False: 0.0}


def test_only_the_last_layers_learn_and_the_others_keep_their_statistics(tmp_path: Path, digits: DataSet) -> None:
    evaluation = trained(tmp_path, digits, epochs=1, learning="last_layers(share=0.3)")
    first = create("training", {"epochs": 1})
    assert evaluation.status is Status.OK, evaluation.reason
    context = Context(tmp_path, inputs=digits.inputs, outputs=digits.outputs, data=digits)
    before, _ = first._first(Proposal(SMALL, "d1"), context)  # type: ignore[attr-defined]
    network = build(SMALL, digits.inputs, digits.outputs, seed=0)
    after = weights(tmp_path, evaluation)
    found = layers(network)
    count = len(found)
    names = {id(p): name for name, p in network.named_parameters()}
    learning = max(1, -(-3 * count // 10))
    for number, layer in enumerate(found):
        for parameter in layer.parameters:
            name = names[id(parameter)]
            equal = torch.equal(before.state_dict()[name], after[name])
            assert equal == (number < count - learning), name
    modules = {id(m): name for name, m in network.named_modules()}
    for layer in found[: count - learning]:
        for module in layer.modules:
            if isinstance(module, nn.BatchNorm2d):
                assert torch.equal(after[modules[id(module)] + ".running_mean"], torch.zeros(module.num_features))
    optimizer_for(network, Recipe(learning="last_layers(share=0.3)"))
    assert still(network) and not still(build(SMALL, digits.inputs, digits.outputs))


@pytest.mark.parametrize("architecture", [SMALL, STAGED], ids=["cell", "staged"])
def test_regularisers_act_in_training_alone_and_leave_names_as_they_were(architecture: Any) -> None:
    for text in ("stochastic_depth(p=0.9)", "dropout(p=0.5)"):
        plain, network = build(architecture, (3, 8, 8), 4, seed=0), build(architecture, (3, 8, 8), 4, seed=0)
        for part in Recipe(regularisers=text).parts("regularisers"):
            part.apply(network)
        assert network.state_dict().keys() == plain.state_dict().keys()
        inputs = torch.randn(16, 3, 8, 8, generator=draw())
        with torch.no_grad():
            assert torch.equal(network.eval()(inputs), plain.eval()(inputs))
            torch.manual_seed(0)
            found, expected = network.train()(inputs), plain.train()(inputs)
        assert not torch.allclose(found, expected)


def test_stochastic_depth_drops_branches_the_later_the_oftener() -> None:
    class Recorded(nn.Module):
        def forward(self, x: torch.Tensor, branch: torch.Tensor) -> torch.Tensor:
            self.kept = float((branch != 0).flatten(1).any(1).float().mean())
            self.scale = float(branch.max())
            return x

    branches = [ResidualBranch(nn.Identity(), Recorded()) for _ in range(4)]
    network = nn.Sequential(*branches)
    Recipe(regularisers="stochastic_depth(p=0.4)").parts("regularisers")[0].apply(network)
    torch.manual_seed(0)
    network.train()(torch.ones(20_000, 2))
    assert [branch.residual.kept for branch in branches] == pytest.approx([0.9, 0.8, 0.7, 0.6], abs=0.02)
    assert [branch.residual.scale for branch in branches] == pytest.approx([1 / 0.9, 1 / 0.8, 1 / 0.7, 1 / 0.6])


def test_resolution_grows_in_stages() -> None:
    recipe = Recipe(phases="progressive_resolution(share=0.8,smallest=0.5,stages=3)")
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
    phases = Phases(recipe, network, PICTURES, 0)
    pictures = torch.randn(4, 3, 32, 32)
    sides = []
    for step in range(50):
        part, _, progress = phases.at(step, 50)
        sides.append(32 if part is None else part.batch(pictures, torch.zeros(4), progress, draw())[0].shape[-1])
    assert sides == [16] * 14 + [24] * 13 + [32] * 23
    assert phases.at(39, 50)[0] is not None and phases.at(40, 50)[0] is None


def test_rotations_are_what_the_targets_say_and_the_head_waits() -> None:
    part = Recipe(phases="rotation_prediction").parts("phases")[0]
    pictures = torch.randn(32, 3, 8, 8)
    turned, turns = part.batch(pictures, torch.zeros(32), 0.0, draw())
    assert all(torch.equal(turned[i], torch.rot90(pictures[i], int(turns[i]), (1, 2))) for i in range(32))
    assert set(turns.tolist()) == {0, 1, 2, 3}
    network = build(SMALL, (3, 8, 8), 4, seed=0)
    beside = part.beside(network, PICTURES)
    assert isinstance(beside, nn.Linear) and beside.in_features == last_layer(network).in_features
    part.loss(network, beside, turned, turns).backward()
    assert last_layer(network).weight.grad is None and beside.weight.grad is not None
    assert next(network.parameters()).grad is not None


def test_phases_that_take_too_much_or_that_the_network_cant_take_are_one_line(tmp_path: Path, digits: DataSet) -> None:
    with pytest.raises(WrongUse, match=r"take 1\.2 of the training"):
        create("training", {"phases": "rotation_prediction(share=0.6)+progressive_resolution(share=0.6)"})
    # Two reductions halve four pixels to one; two pixels are too few.
    found = trained(tmp_path, digits, epochs=1, phases="progressive_resolution(smallest=0.25,multiple=2)")
    assert found.status is not Status.OK and "with which 'progressive_resolution' begins" in str(found.reason)
    assert "\n" not in str(found.reason)


def exported(folder: Path, data: DataSet, architecture: Any = SMALL, seed: int = 4) -> nn.Module:
    """A folder as extracted networks are written."""
    folder.mkdir()
    network = build(architecture, data.inputs, data.outputs, seed=seed).eval()
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / "model.safetensors")
    (folder / "architecture.json").write_text(json.dumps(to_json(architecture)))
    return network


def test_a_teacher_is_taught_from(tmp_path: Path, digits: DataSet) -> None:
    teacher = exported(tmp_path / "teacher", digits)
    found, digest = trained_network(str(tmp_path / "teacher"), "", digits, "cpu")
    inputs = digits.prepared(digits.train.inputs[:8])
    with torch.no_grad():
        assert torch.equal(found(inputs), teacher(inputs))
    assert len(digest) == 64 and not any(p.requires_grad for p in found.parameters())

    def distance(folder: Path, **settings: Any) -> float:
        evaluation = trained(folder, digits, epochs=8, **settings)
        assert evaluation.status is Status.OK, evaluation.reason
        student = build(SMALL, digits.inputs, digits.outputs)
        student.load_state_dict(weights(folder, evaluation))
        with torch.no_grad():
            held = digits.prepared(digits.validation.inputs)
            return float(
                nn.functional.kl_div(
                    student.eval()(held).log_softmax(1), teacher(held).softmax(1), reduction="batchmean"
                )
            )

    text = f"distillation(network={tmp_path / 'teacher'},weight=1)"
    assert distance(tmp_path / "a", teacher=text) < 0.5 * distance(tmp_path / "b")
    evaluation = trained(tmp_path / "c", digits, epochs=1, teacher=text)
    assert f"teacher={digest[:8]}" in evaluation.metrics[0].provenance.protocol


def test_a_teacher_of_timm_with_weights_of_a_file(tmp_path: Path) -> None:
    import timm

    data = replace(PICTURES, inputs=(3, 32, 32))
    data = replace(data, train=data.train._replace(inputs=torch.randint(0, 256, (48, 3, 32, 32), dtype=torch.uint8)))
    torch.manual_seed(0)
    other = timm.create_model("mobilenetv3_small_050", num_classes=4)
    save_file(other.state_dict(), tmp_path / "w.safetensors")
    found, _ = trained_network("timm:mobilenetv3_small_050", str(tmp_path / "w.safetensors"), data, "cpu")
    inputs = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(found(inputs), other.eval()(inputs))


def test_a_teacher_that_cant_be_had_is_one_line(tmp_path: Path, digits: DataSet) -> None:
    exported(tmp_path / "other", replace(PICTURES, inputs=(3, 8, 8)))
    (tmp_path / "empty").mkdir()
    for network, says in (
        (tmp_path / "empty", "has no trained supernet"),
        (tmp_path / "other", "can't be made for this data"),
        ("timm:nothing_at_all", "timm has no model 'nothing_at_all'"),
    ):
        evaluator = create("training", {"teacher": f"distillation(network={network})"})
        context = Context(tmp_path, inputs=digits.inputs, outputs=digits.outputs, data=digits)
        with pytest.raises(WrongUse) as error:
            evaluator.prepare(context)
        assert says in str(error.value) and "\n" not in str(error.value)


def test_what_a_phase_cant_do_is_said_before_a_search() -> None:
    from evaluators.recipe import check_recipe

    oblong = replace(PICTURES, inputs=(3, 8, 4))
    with pytest.raises(WrongUse, match=r"phases=rotation_prediction can't be used .* it is for square pictures"):
        check_recipe(Recipe(phases="rotation_prediction"), oblong)
    check_recipe(Recipe(phases="rotation_prediction"), NUMBERS)


def test_mixed_precision_trains_otherwise_is_told_and_resumes_exactly(tmp_path: Path, digits: DataSet) -> None:
    settings = {"precision": "bfloat16", "epochs": 2, "averaging": "ema", "net": STAGED}
    whole = trained(tmp_path / "whole", digits, **settings)
    part = trained(tmp_path / "part", digits, 1, **settings)
    path = tmp_path / "part" / part.artifacts[0].path
    resumed = trained(tmp_path / "part", digits, 2, checkpoint=path, **settings)
    full = trained(tmp_path / "full", digits, **{**settings, "precision": "float32"})
    usual = trained(tmp_path / "usual", digits, **{**settings, "precision": "auto"})
    assert same(weights(tmp_path / "part", resumed), weights(tmp_path / "whole", whole))
    assert same(weights(tmp_path / "full", full), weights(tmp_path / "usual", usual))
    assert not same(weights(tmp_path / "full", full), weights(tmp_path / "whole", whole))
    told = [found.metrics[0].provenance.precision for found in (whole, full)]
    assert told == ["mixed bfloat16", "float32"]


def test_averages_follow_every_tensor_of_the_state_and_no_other() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    network.add_module("tied", network[0])
    network.register_buffer("left_out", torch.zeros(1), persistent=False)
    averaged = AveragedWeights.of(Recipe(averaging="ema(decay=0)"), network)
    assert averaged is not None
    for step in range(2):
        network(torch.randn(4, 2))
        network[0].weight = nn.Parameter(torch.randn(2, 2))  # Another tensor in the place of one is followed, too.
        averaged.follow(network, step)
        assert same(averaged.tensors, network.state_dict())
