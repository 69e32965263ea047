"""Modules with a loss of their own, and modules that are told how far the training is: both loops heed them."""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from archfront.contracts import Context, Proposal, Status
from evaluators.base import attempt, create
from evaluators.datasets import DataSet, Split, load
from evaluators.recipes.training import Recipe
from evaluators.supernet_training import SupernetTraining
from search_spaces import one_of
from search_spaces.blocks import Block, Conv3x3Stem
from search_spaces.parts import Part, part
from search_spaces.site import Shape, Site
from search_spaces.topologies import Network, Stage
from search_spaces.topologies.wiring.early_exit import EarlyExit
from search_spaces.weight_sharing import METHODS, Supernet


class Told(nn.Module):
    """A linear head whose factor learns from its own loss alone, and which keeps what it is told."""

    heard: ClassVar[list[float]] = []

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, outputs)
        self.own = nn.Parameter(torch.zeros(()))
        self.progress = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # What a schedule may do: noise that fades.
        noise = torch.randn_like(x) * (1 - self.progress) if self.training else 0
        return self.linear((x + noise).mean((2, 3)))

    def auxiliary_loss(self, criterion: Any) -> torch.Tensor:
        assert criterion(torch.zeros(64, 10)).isfinite()
        return (self.own - 1).square()

    def set_progress(self, progress: float) -> None:
        self.progress = progress
        type(self).heard.append(progress)


@part("head", "told_in_a_test", source="A test", sliced=True)
class ToldHead(Part):
    """A head that follows the protocols."""

    def shape_after(self, site: Site) -> Shape:
        return (site.leads_to,)

    def build(self, site: Site) -> nn.Module:
        return Told(site.channels, site.leads_to)


def network(head: Any = "told_in_a_test", **fields: Any) -> Network:
    stages = (Stage(8, (Block("pool"),)), Stage(8, (Block("pool"),), "pool"))
    return Network(Conv3x3Stem(stride=2), stages, head, **fields)


@pytest.fixture(scope="module")
def digits() -> DataSet:
    whole = load("digits")
    few = [Split(split.inputs[:256], split.targets[:256]) for split in (whole.train, whole.validation, whole.test)]
    return replace(whole, train=few[0], validation=few[1], test=few[2])


@dataclass
class Trained:
    """What a training left."""

    weights: dict[str, torch.Tensor]
    artifacts: dict[str, Path]


def trained(folder: Path, data: DataSet, architecture: Any, fidelity: int | None = None, **about: Any) -> Trained:
    context = Context(folder, inputs=data.inputs, outputs=data.outputs, data=data, **about)
    settings = {"epochs": 4, "batch_size": 64}
    found = attempt(create("training", settings), Proposal(architecture, "d", fidelity), context)
    assert found.status is Status.OK, found.reason
    artifacts = {artifact.kind: folder / artifact.path for artifact in found.artifacts}
    return Trained(load_file(artifacts["weights"]), artifacts)


def test_a_loss_of_a_module_gives_gradients(tmp_path, digits):
    found = trained(tmp_path, digits, network()).weights
    assert 0 < float(found["head.own"]) < 1, "it learns from its own loss"


def test_exits_learn_with_their_weight_and_change_the_trunk(tmp_path, digits):
    heard, unheard = (
        trained(tmp_path / name, digits, network("average_pool", wiring=EarlyExit(weight=weight))).weights
        for name, weight in (("heard", 1.0), ("unheard", 0.0))
    )
    (stem,) = [name for name in heard if name.startswith("stem.") and heard[name].dim() == 4]
    assert not torch.equal(heard[stem], unheard[stem])


def test_progress_goes_from_0_to_1_over_a_resume_and_nothing_else_changes(tmp_path, digits):
    Told.heard.clear()
    whole = trained(tmp_path / "whole", digits, network())
    steps = 4 * (256 // 64)
    assert Told.heard == [step / steps for step in range(steps + 1)]
    Told.heard.clear()
    part = trained(tmp_path / "part", digits, network(), 1)
    assert Told.heard == [step / steps for step in range(steps // 4 + 1)]
    Told.heard.clear()
    resumed = trained(tmp_path / "part", digits, network(), 4, checkpoint=part.artifacts["weights"])
    assert Told.heard == [step / steps for step in range(steps // 4, steps + 1)]
    assert all(torch.equal(resumed.weights[name], tensor) for name, tensor in whole.weights.items())


SETTINGS: dict[str, dict[str, Any]] = {"sandwich": {}, "darts": {"warm_up": 0.0}, "gdas": {"warm_up": 0.0}}


def supernet_training(method: str) -> SupernetTraining:
    tree = replace(network(), stages=(Stage(one_of(8, 16), (Block(one_of("pool", "depthwise_conv")),)),))
    supernet = Supernet(tree, (1, 8, 8), 10, seed=0)
    recipe = Recipe(epochs=1, batch_size=64, augmentation="none")
    return SupernetTraining(supernet, load("digits"), recipe, METHODS.get(method)(**SETTINGS[method]), 0, steps=8)


@pytest.mark.parametrize("method", SETTINGS)
def test_supernets_heed_both(tmp_path, method):
    Told.heard.clear()
    training = supernet_training(method)
    training.run(tmp_path / "parts", until=3)
    training = supernet_training(method)
    training.run(tmp_path / "parts")
    assert sorted(Told.heard) == Told.heard, "never back, also over a resume"
    assert list(dict.fromkeys(Told.heard)) == [step / 8 for step in range(8)]
    own = [p for name, p in training.supernet.store.named_parameters() if name.endswith(":own")]
    assert len(own) == 1 and 0 < float(own[0]) < 1
    whole = supernet_training(method)
    whole.run(tmp_path / "whole")
    for now, then in itertools.zip_longest(training.supernet.parameters(), whole.supernet.parameters()):
        assert torch.equal(now, then)


def test_supernets_with_exits_learn_and_stay_exact(tmp_path):
    tree = network("average_pool", wiring=EarlyExit((one_of(None, "average_pool"),)))
    recipe = Recipe(epochs=1, batch_size=64, augmentation="none")
    for method in ("single-path", "darts"):
        supernet = Supernet(tree, (1, 8, 8), 10, seed=0)
        before = {name: p.clone() for name, p in supernet.store.named_parameters() if "exits" in name}
        found = SupernetTraining(supernet, load("digits"), recipe, METHODS.get(method)(), 0, steps=6)
        found.run(tmp_path / method)
        after = dict(supernet.store.named_parameters())
        assert before and all(not torch.equal(after[name], tensor) for name, tensor in before.items())
