"""Trainings that begin with a parent's weights, edited; the parent's absence is an outcome."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archfront.contracts import Context, Evaluation, Proposal, Status
from archfront.plan import Plan
from archfront.run import Order, search
from archfront.search import Budget
from evaluators import checkpoints
from evaluators.base import attempt, create
from evaluators.datasets import DataSet, Split, load
from search_spaces.blocks import Block, Conv3x3Stem, DepthwiseConv
from search_spaces.canonical import digest
from search_spaces.edits import EnlargeKernel, Replicate
from search_spaces.topologies import Network, Stage

BLOCK = Block(DepthwiseConv(3))
PARENT = Network(Conv3x3Stem(1), (Stage(8, (BLOCK,), None),))
KERNEL = EnlargeKernel("stages.0.blocks.0.token_mixer", 5).applied(PARENT)


@pytest.fixture(scope="module")
def digits() -> DataSet:
    whole = load("digits")
    few = [Split(split.inputs[:256], split.targets[:256]) for split in (whole.train, whole.validation, whole.test)]
    return replace(whole, train=few[0], validation=few[1], test=few[2])


def trained(folder: Path, data: DataSet, architecture: Any, *parents: Path, lr: float = 0.02) -> Evaluation:
    settings = {"inherit": "parent", "epochs": 4, "batch_size": 16, "lr": lr, "augmentation": "none"}
    context = Context(folder, inputs=data.inputs, outputs=data.outputs, data=data, parents=parents)
    return attempt(create("training", settings), Proposal(architecture, digest(architecture)), context)


def left(folder: Path, evaluation: Evaluation) -> Path:
    assert evaluation.status is Status.OK, evaluation.reason
    return folder / next(a.path for a in evaluation.artifacts if a.kind == "weights")


def test_a_child_begins_where_its_parent_ended(tmp_path: Path, digits: DataSet) -> None:
    parent = trained(tmp_path, digits, PARENT)
    weights = left(tmp_path, parent)
    # A learning rate of next to nothing shows what it began with; only the batch statistics move a little.
    child = trained(tmp_path, digits, KERNEL, weights, lr=1e-9)
    assert child.values["loss"] == pytest.approx(parent.values["loss"], rel=0.1)
    assert "parent=" in child.metrics[0].provenance.protocol
    assert checkpoints.load(left(tmp_path, child))[1]["parent"]
    alone = trained(tmp_path / "alone", digits, KERNEL, lr=1e-9)
    assert alone.values["loss"] > parent.values["loss"] + 0.2
    assert "parent=" not in alone.metrics[0].provenance.protocol


def test_a_child_that_no_edit_reaches_is_trained_from_scratch(tmp_path: Path, digits: DataSet) -> None:
    weights = left(tmp_path, trained(tmp_path, digits, KERNEL))
    child = trained(tmp_path, digits, PARENT, weights)
    assert child.metrics == trained(tmp_path / "alone", digits, PARENT).metrics
    other = trained(tmp_path, digits, Replicate("stages.0.blocks.0.token_mixer").applied(KERNEL), weights)
    assert "parent=" in other.metrics[0].provenance.protocol


def test_the_first_parent_that_edits_lead_from_is_taken(tmp_path: Path, digits: DataSet) -> None:
    small, large = (left(tmp_path, trained(tmp_path, digits, network)) for network in (PARENT, KERNEL))
    ends = [trained(tmp_path / "a", digits, KERNEL, *given).metrics for given in ((large, small), (large,))]
    assert ends[0] == ends[1]


def test_weights_that_are_gone_or_broken_are_an_outcome(tmp_path: Path, digits: DataSet) -> None:
    found = trained(tmp_path, digits, KERNEL, tmp_path / "checkpoints" / "gone.safetensors")
    assert found.status is Status.FAILED
    assert "the parent's weights are gone" in found.reason and "\n" not in found.reason
    (tmp_path / "broken.safetensors").write_bytes(b"none")
    assert trained(tmp_path, digits, KERNEL, tmp_path / "broken.safetensors").status is Status.FAILED


def test_a_study_hands_its_lineage_to_the_evaluator(tmp_path: Path) -> None:
    plan = Plan(
        space="mobile",
        data="digits",
        evaluator_settings={"inherit": "parent", "epochs": 1, "device": "cpu"},
        objectives=("accuracy:max",),
        seed=1,
    )
    order = Order(
        plan,
        "s",
        f"sqlite:///{tmp_path}/s.db",
        "regularized-evolution",
        {"population": 2, "tournament": 1},
        Budget(evaluations=9),
    )
    study, _ = search(order)
    inherited = set()
    for row in study.rows():
        protocol = study.candidate(row.digest).metrics[-1].provenance.protocol
        if "parent=" in protocol:
            inherited.add(row.origin)
    assert inherited == {"mutation"}
