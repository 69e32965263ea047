"""Trainings that begin with weights of other data: what is taken over, what isn't, and what is said of it."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from archfront.contracts import Context, Evaluation, Proposal, Status, WrongUse
from evaluators import checkpoints, pretrained_weights
from evaluators.base import attempt, create
from evaluators.datasets import DataSet, Split, load
from evaluators.recipe import fine_tuning_recipe
from evaluators.starting_weights import start_from
from evaluators.supernet_training import load_supernet
from evaluators.tasks import Classification
from evaluators.transferred_weights import depending, refitted, transfer
from search_spaces.blocks import Block, Conv3x3Stem, DepthwiseConv
from search_spaces.building import build
from search_spaces.canonical import digest
from search_spaces.holes import one_of
from search_spaces.space import Space
from search_spaces.spaces import get_space
from search_spaces.topologies import Network, Stage, Timm

NETWORK = Network(Conv3x3Stem(1), (Stage(8, (Block(DepthwiseConv(3)),), None),))
OTHER = Network(Conv3x3Stem(1), (Stage(8, (Block(DepthwiseConv(5)),), None),))
TIMM = Timm("test_resnet", stem_stride=1)
STILL = {"epochs": 2, "batch_size": 64, "lr": 1e-12, "augmentation": "none"}
"""A rate of next to nothing shows what a training began with."""


@pytest.fixture(scope="module")
def digits() -> DataSet:
    whole = load("digits")
    few = [Split(split.inputs[:192], split.targets[:192]) for split in (whole.train, whole.validation, whole.test)]
    return replace(whole, train=few[0], validation=few[1], test=few[2])


@pytest.fixture(scope="module")
def named(digits: DataSet) -> DataSet:
    """Other pictures of as many classes, which have names."""
    return replace(digits, task=Classification(10, tuple("abcdefghij")), sha256="another")


def trained(folder: Path, data: DataSet, network: Any, **settings: Any) -> Evaluation:
    context = Context(folder, inputs=data.inputs, outputs=data.outputs, data=data)
    found = attempt(create("training", {**STILL, **settings}), Proposal(network, digest(network)), context)
    assert found.status is Status.OK, found.reason
    return found


def weights(folder: Path, evaluation: Evaluation) -> dict[str, torch.Tensor]:
    return checkpoints.load(folder / next(a.path for a in evaluation.artifacts if a.kind == "weights"))[0]


def test_the_same_network_of_other_data_begins_with_its_weights_and_a_new_head(
    tmp_path: Path, digits: DataSet, named: DataSet
) -> None:
    before = weights(tmp_path / "a", trained(tmp_path / "a", digits, NETWORK, lr=0.02))
    done = trained(tmp_path / "b", named, NETWORK, start=str(tmp_path / "a"))
    after = weights(tmp_path / "b", done)
    head = depending(NETWORK, digits.inputs, 10, outputs_too=True)
    assert 0 < len(head) < len(before) / 2
    for name, tensor in before.items():
        if name not in head and "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(after[name], tensor, rtol=0, atol=1e-6)
    assert all(not torch.allclose(after[name], before[name], atol=1e-3) for name in head if name.endswith("weight"))
    assert "start=" in done.metrics[0].provenance.protocol and "start=none" not in done.metrics[0].provenance.protocol
    # One that isn't in there begins with random weights, and says so.
    other = trained(tmp_path / "b", named, OTHER, start=str(tmp_path / "a"))
    assert "start=none" in other.metrics[0].provenance.protocol


def test_the_head_is_kept_where_the_classes_have_the_same_names(tmp_path: Path, named: DataSet) -> None:
    before = weights(tmp_path / "a", trained(tmp_path / "a", named, NETWORK, lr=0.02))
    after = weights(tmp_path, trained(tmp_path, replace(named, sha256="third"), NETWORK, start=str(tmp_path / "a")))
    for name in depending(NETWORK, named.inputs, 10, outputs_too=True):
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=1e-6)


def test_the_longest_training_of_a_network_counts(tmp_path: Path, digits: DataSet) -> None:
    trained(tmp_path, digits, NETWORK, epochs=3)
    trained(tmp_path, digits, NETWORK, epochs=1)
    [(name, found)] = start_from(str(tmp_path)).files.items()  # type: ignore[attr-defined]
    assert name == digest(NETWORK) and found.path.name == f"{name}-3.safetensors"


def test_filters_are_fitted_to_the_channels() -> None:
    filters = torch.randn(8, 3, 3, 3)
    picture = torch.randn(2, 1, 5, 5)
    convolve = torch.nn.functional.conv2d
    torch.testing.assert_close(convolve(picture, refitted(filters, 1)), convolve(picture.repeat(1, 3, 1, 1), filters))
    assert refitted(filters, 4).shape == (8, 4, 3, 3)
    grey = refitted(filters, 1)
    torch.testing.assert_close(convolve(picture.repeat(1, 3, 1, 1), refitted(grey, 3)), convolve(picture, grey))


def test_a_network_for_other_channels_and_sides_takes_what_fits() -> None:
    state = build(NETWORK, (3, 16, 16), 7, seed=1).state_dict()
    model = build(NETWORK, (1, 8, 8), 4, seed=2)
    assert transfer(state, model, NETWORK, (1, 8, 8), 4, head=False) == []
    own = model.state_dict()
    [stem] = depending(NETWORK, (1, 8, 8), 4, outputs_too=False)
    torch.testing.assert_close(own[stem], state[stem].sum(1, keepdim=True))
    assert all(torch.equal(own[name], state[name]) for name in own if own[name].shape == state[name].shape)


def test_a_supernet_of_other_data_gives_weights(
    tmp_path: Path, named: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = Path(__file__).parent.parent / "earlier"
    shutil.copytree(earlier / "supernet", tmp_path / "supernet")
    shutil.copy(earlier / "tiny_space.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    space, (supernet, _) = get_space("tiny_space.py:tiny"), load_supernet(tmp_path / "supernet")
    network = space.sample(4)
    before = supernet.extract(network).state_dict()
    done = trained(tmp_path, named, network, start="supernet")
    after = weights(tmp_path, done)
    moved = {name for name in after if not torch.allclose(after[name], before[name], atol=1e-5)}
    head = depending(network, named.inputs, 10, outputs_too=True)
    assert {name for name in moved if "running" not in name and "num_batches" not in name} <= head and moved & head
    assert "start=none" not in done.metrics[0].provenance.protocol
    start_from("supernet").check(space)
    with pytest.raises(WrongUse, match="no network of the space"):
        start_from("supernet").check(Space(one_of(NETWORK, OTHER)))


def pretrained(folder: Path) -> dict[str, torch.Tensor]:
    """Weights of timm's network for pictures of three channels and a thousand classes, made up."""
    import timm

    torch.manual_seed(5)
    state = timm.create_model("test_resnet").state_dict()
    folder.mkdir()
    save_file(
        {name: tensor.contiguous() for name, tensor in state.items()}, folder / "test_resnet.made_in1k.safetensors"
    )
    return state


def test_networks_of_timm_begin_with_the_weights_of_a_folder(tmp_path: Path, digits: DataSet) -> None:
    state = pretrained(tmp_path / "w")
    done = trained(tmp_path, digits, TIMM, weights=str(tmp_path / "w"))
    after = weights(tmp_path, done)
    stem = "conv1.weight" if "conv1.weight" in state else "conv1.0.weight"
    torch.testing.assert_close(after[f"body.{stem}"], state[stem].sum(1, keepdim=True), rtol=0, atol=1e-6)
    block = next(name for name in state if name.startswith("layer1") and name.endswith("conv1.weight"))
    torch.testing.assert_close(after[f"body.{block}"], state[block], rtol=0, atol=1e-6)
    protocol = done.metrics[0].provenance.protocol
    assert "pretrained=" in protocol and "pretrained=none" not in protocol
    assert (
        "pretrained=none"
        in trained(tmp_path, digits, NETWORK, weights=str(tmp_path / "w")).metrics[0].provenance.protocol
    )


def test_weights_of_another_network_are_refused(tmp_path: Path, digits: DataSet) -> None:
    state = pretrained(tmp_path / "w")
    kept = {name: tensor for name, tensor in state.items() if not name.startswith("layer2")}
    save_file(kept, tmp_path / "w" / "test_resnet.safetensors")
    context = Context(tmp_path, inputs=digits.inputs, outputs=10, data=digits)
    found = attempt(
        create("training", {**STILL, "weights": str(tmp_path / "w")}), Proposal(TIMM, digest(TIMM)), context
    )
    assert found.status is Status.FAILED and "layer2" in found.reason and "\n" not in found.reason


@pytest.mark.parametrize("where", ["folder", "nowhere"])
def test_what_has_no_weights_is_said_before_the_search(
    where: str, tmp_path: Path, digits: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained_weights, "_unreachable", lambda: "the hub isn't reached")
    pretrained_weights.file_of.cache_clear()
    given = {"weights": str(tmp_path)} if where == "folder" else {"pretrained": True}
    evaluator = create("training", given)
    evaluator.prepare(Context(tmp_path, inputs=digits.inputs, outputs=10, data=digits))
    space = Space(one_of(Timm(one_of("lcnet_035", "test_resnet")), NETWORK))
    with pytest.raises(WrongUse, match=r"lcnet_035.*put lcnet_035\.safetensors into a folder") as caught:
        evaluator.look_over(space)
    assert "\n" not in str(caught.value)
    with pytest.raises(WrongUse, match="no networks of timm"):
        evaluator.look_over(Space(one_of(Timm("lcnet_050", width=0.5), NETWORK)))


def test_two_sources_and_empty_ones_are_refused(tmp_path: Path, digits: DataSet) -> None:
    for given in (
        {"pretrained": True, "start": "x"},
        {"weights": "x", "inherit": "parent"},
        {"pretrained": False, "weights": "x"},
    ):
        with pytest.raises(WrongUse, match="leave out one"):
            create("training", given)
    for setting, said in (("start", "no trained network"), ("weights", "no such folder")):
        evaluator = create("training", {setting: str(tmp_path / "absent")})
        with pytest.raises(WrongUse, match=said):
            evaluator.prepare(Context(tmp_path, inputs=digits.inputs, outputs=10, data=digits))


def test_what_begins_with_weights_is_fine_tuned_and_the_rest_trained_as_long(tmp_path: Path, digits: DataSet) -> None:
    trained(tmp_path, digits, NETWORK)
    evaluator: Any = create("training", {"start": str(tmp_path)})
    evaluator.prepare(Context(tmp_path, inputs=digits.inputs, outputs=10, data=digits))
    usual: Any = create("training")
    scratch, tuned, own = usual.recipe(digits), evaluator.recipe_of(NETWORK, digits), evaluator.recipe_of(OTHER, digits)
    assert tuned == fine_tuning_recipe(digits) and tuned.lr < scratch.lr and tuned.epochs < scratch.epochs
    assert own == replace(scratch, epochs=tuned.epochs)
    assert [phase.name for phase in tuned.parts("phases")] == ["head_first"]
    assert fine_tuning_recipe(digits, 20, lr=0.5).lr == 0.5 and fine_tuning_recipe(digits, 20).epochs == 20


def test_only_the_head_learns_at_first(tmp_path: Path, digits: DataSet) -> None:
    """Trained for the phase alone, everything else stays; when it is over, all learn."""
    start = build(NETWORK, digits.inputs, 10, seed=0).state_dict()
    found = {}
    for share in (1.0, 0.5):
        folder = tmp_path / str(share)
        settings = {"lr": 0.02, "phases": f"head_first(share={share})", "start": str(tmp_path / "from")}
        if not found:
            trained(tmp_path / "from", digits, NETWORK)
        found[share] = weights(folder, trained(folder, digits, NETWORK, **settings))
    before = checkpoints.load(next((tmp_path / "from" / checkpoints.FOLDER).glob("*.safetensors")))[0]
    changed = {
        share: {name for name in start if "running" not in name and not torch.equal(after[name], before[name])}
        for share, after in found.items()
    }
    batches = {name for name in start if name.endswith("num_batches_tracked")}
    assert changed[1.0] - batches == {"head.3.weight", "head.3.bias"}
    assert len(changed[0.5] - batches) > 8
