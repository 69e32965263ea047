"""The task's contract, by the task that all data sets of classes have."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional

from archfront.contracts import METRICS, Context, Proposal, Provenance, Status, WrongUse
from evaluators import confusion
from evaluators import tested as testing
from evaluators.base import attempt, create
from evaluators.datasets import load
from evaluators.fitting import check_space
from evaluators.tasks import IGNORED
from evaluators.tasks.classification import Classification
from search_spaces.errors import SpaceError
from search_spaces.space import Space
from search_spaces.spaces import get_space
from search_spaces.topologies import Network


def drawn(examples: int = 400, classes: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, classes, (examples,), generator=generator).pow(2) % classes
    outputs = torch.randn(examples, classes, generator=generator)
    outputs[torch.arange(examples), targets] += 1.0
    return outputs, targets


def test_figures_are_those_of_scikit_learn() -> None:
    outputs, targets = drawn()
    tally = Classification(5).tally()
    for part in range(0, 400, 130):
        tally.add(outputs[part : part + 130], targets[part : part + 130])
    found = {metric.name: metric for metric in tally.metrics(Provenance(), "test_")}
    answers = outputs.argmax(1)
    assert found["test_accuracy"].value == pytest.approx(accuracy_score(targets, answers))
    assert found["test_balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(targets, answers))
    assert found["test_loss"].value == pytest.approx(float(functional.cross_entropy(outputs, targets)), rel=1e-5)
    np.testing.assert_array_equal(tally.confusion.numpy(), confusion_matrix(targets, answers, labels=range(5)))
    for metric in found.values():
        assert metric.name in METRICS and METRICS[metric.name][1] == metric.unit
    balanced = found["test_balanced_accuracy"]
    assert balanced.low < balanced.value < balanced.high


def test_what_is_unlabelled_counts_nowhere() -> None:
    outputs, targets = drawn()
    some = torch.cat([targets, torch.full((50,), IGNORED)])
    tally, whole = Classification(5).tally(), Classification(5).tally()
    tally.add(torch.cat([outputs, torch.randn(50, 5)]), some)
    whole.add(outputs, targets)
    assert [m.value for m in tally.metrics(Provenance())] == pytest.approx(
        [m.value for m in whole.metrics(Provenance())]
    )


def test_the_interval_of_balanced_accuracy_holds_the_truth() -> None:
    """Of many draws with recalls .9, .6 and .3 of classes of 200, 50 and 20, about 95 % of the intervals hold .6."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(300):
        tally = Classification(3).tally()
        for label, (size, recall) in enumerate(((200, 0.9), (50, 0.6), (20, 0.3))):
            right = rng.binomial(size, recall)
            tally.confusion[label, label], tally.confusion[label, (label + 1) % 3] = int(right), int(size - right)
        metric = tally.metrics(Provenance())[1]
        held += metric.low <= 0.6 <= metric.high
    assert 0.91 <= held / 300 <= 0.99


def test_class_weights() -> None:
    counts = (90, 30, 60)
    task = Classification(3, ("a", "b", "c"), counts)
    labels = np.repeat([0, 1, 2], counts)
    wanted = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    torch.testing.assert_close(task.class_weights(1.0), torch.tensor(wanted, dtype=torch.float32))
    assert task.class_weights(0.0) is None and Classification(3).class_weights(1.0) is None
    outputs, targets = drawn(60, 3)
    root = torch.tensor(counts).float() ** -0.5
    expected = functional.cross_entropy(outputs, targets, root)
    assert float(task.loss(outputs, targets, balance=0.5)) == pytest.approx(float(expected), rel=1e-5)
    assert float(task.loss(outputs, targets)) == pytest.approx(float(functional.cross_entropy(outputs, targets)))


def test_mixed_targets_have_the_same_loss() -> None:
    task, (outputs, targets) = Classification(5), drawn(40)
    mixed = task.mixed(targets)
    assert mixed.shape == (40, 5) and float(task.loss(outputs, mixed)) == pytest.approx(
        float(task.loss(outputs, targets))
    )


def test_a_network_that_gives_something_else_is_refused() -> None:
    images = torch.randn(2, 1, 8, 8)
    Classification(10).check(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), images)
    network = nn.Conv2d(1, 10, 1).train()
    with pytest.raises(SpaceError, match=r"gives \(10, 8, 8\) for an example, but classification needs \(10,\)"):
        Classification(10).check(network, images)
    assert network.training


def test_spaces_are_tried_before_a_search() -> None:
    data = load("digits")
    check_space(get_space("hybrid", data.inputs, data.train.size), data)
    other = Space(Network(stem="patchify", stages=get_space("hybrid", (3, 64, 64), 100).sample(0).stages))
    with pytest.raises(WrongUse, match=r"don't suit digits \(classification\).*'hybrid' is the space"):
        check_space(other, replace(data, inputs=(1, 2, 2)))


def test_a_training_leaves_its_confusion_matrix(tmp_path: Path) -> None:
    data = load("digits")
    space = get_space("hybrid", data.inputs, data.train.size)
    evaluator = create("training", {"epochs": 1, "batch_size": 128})
    evaluator.suit(data)
    architecture = space.sample(0)
    context = Context(tmp_path, inputs=data.inputs, outputs=data.outputs, data=data)
    found = attempt(evaluator, Proposal(architecture, "d"), context)
    assert found.status is Status.OK and set(found.values) == set(evaluator.metrics())
    [file] = [artifact for artifact in found.artifacts if artifact.kind == confusion.KIND]
    kept = json.loads((tmp_path / file.path).read_text())
    matrix = np.array(kept["validation"])
    assert kept["classes"] == list(data.classes) and matrix.sum() == data.validation.size
    assert np.trace(matrix) / matrix.sum() == pytest.approx(found.values["accuracy"])
    assert np.array(kept["test"]).sum() == data.test.size


def test_testing_gives_up_in_time() -> None:
    batches = [(torch.randn(4, 3), torch.zeros(4))] * 3
    with pytest.raises(TimeoutError):
        testing.tested(nn.Identity(), batches, Classification(3), until=0.0)
