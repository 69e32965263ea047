"""Tasks: their figures are those of scikit-learn and torchmetrics, their losses those of torch; what they refuse."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics
from torch import Tensor, nn
from torch.nn import functional

import search_spaces.torchvision_operators  # noqa: F401  (torchmetrics imports torchvision)

# isort: split
from torchmetrics.functional import classification

from archfront.contracts import TASK_METRICS, Metric, Provenance, WrongUse
from evaluators.intervals import averaged, bootstrap
from evaluators.tasks import IGNORED, Classification, DensePrediction, MultiLabel, NextToken, Regression, Task
from search_spaces.errors import SpaceError

GENERATOR = np.random.default_rng(0)
TASKS: list[Task] = [
    Classification(4),
    MultiLabel(5),
    NextToken(11),
    DensePrediction(3),
    Regression(2, mean=(3.0, -1.0), std=(2.0, 5.0)),
]


def made_up(task: Task, n: int = 60) -> tuple[Tensor, Tensor]:
    """Random outputs, and targets as a split holds them that the outputs know something of."""
    torch.manual_seed(3)
    sides = {"next-token prediction": (7,), "dense prediction": (6, 5)}.get(task.name, ())
    outputs = torch.randn(n, task.outputs, *sides)
    noisy = outputs + torch.randn_like(outputs)
    if task.kind == "categorical":
        return outputs, noisy.argmax(1)
    if task.kind == "binary":
        return outputs, (noisy > 0.5).to(torch.uint8)
    return outputs, noisy.double() * torch.tensor([2.0, 5.0]) + torch.tensor([3.0, -1.0])


def figures(task: Task, outputs: Tensor, held: Tensor, size: int = 25, prefix: str = "") -> dict[str, Metric]:
    tally = task.tally()
    for start in range(0, len(outputs), size):
        tally.add(outputs[start : start + size], task.targets(held[start : start + size]))
    return {metric.name: metric for metric in tally.metrics(Provenance(), prefix)}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_measures_are_those_that_the_contract_knows(task: Task) -> None:
    found = figures(task, *made_up(task))
    assert tuple(found) == task.measures
    assert tuple(figures(task, *made_up(task), prefix="test_")) == tuple(f"test_{name}" for name in task.measures)
    for name, metric in found.items():
        assert name in TASK_METRICS and np.isfinite(metric.value)
        assert metric.low is None or metric.low <= metric.value <= (metric.high or 0.0)
    again = figures(task, *made_up(task), size=60)
    assert {n: m.value for n, m in again.items()} == pytest.approx({n: m.value for n, m in found.items()})
    for name in ("low", "high"):
        assert [getattr(m, name) for m in again.values()] == pytest.approx([getattr(m, name) for m in found.values()])


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_measured_loss_is_that_which_is_trained(task: Task) -> None:
    outputs, held = made_up(task)
    found = figures(task, outputs, held)["loss"].value
    assert float(task.loss(outputs, task.targets(held))) == pytest.approx(found, rel=1e-5)


def test_several_labels() -> None:
    task = MultiLabel(5)
    outputs, held = made_up(task)
    # Equal scores, too.
    outputs[::3, 1], outputs[:, 3] = 0.25, outputs[:, 3].round()
    found = figures(task, outputs, held)
    precision = classification.multilabel_average_precision(outputs, held.long(), 5, average="macro")
    f1 = classification.multilabel_f1_score(outputs, held.long(), 5, average="macro")
    assert found["mean_average_precision"].value == pytest.approx(float(precision), abs=1e-6)
    assert found["f1"].value == pytest.approx(float(f1), abs=1e-6)
    assert found["mean_average_precision"].value == pytest.approx(
        sklearn_metrics.average_precision_score(held, outputs, average="macro")
    )
    loss = functional.binary_cross_entropy(outputs.sigmoid(), held.float())
    assert found["loss"].value == pytest.approx(float(loss), rel=1e-5)


def test_labels_that_never_occur_say_nothing() -> None:
    outputs, held = made_up(MultiLabel(5))
    held[:, 2] = 0
    found, others = figures(MultiLabel(5), outputs, held), [0, 1, 3, 4]
    apart = figures(MultiLabel(4), outputs[:, others], held[:, others])
    for name in ("mean_average_precision", "f1"):
        assert found[name].value == apart[name].value
    nothing = figures(MultiLabel(5), outputs, torch.zeros_like(held))
    assert nothing["mean_average_precision"].value == 0 and nothing["f1"].low is None


def test_next_tokens() -> None:
    task = NextToken(11)
    outputs, held = made_up(task)
    held[0, 3:] = IGNORED
    found = figures(task, outputs, held)
    flat, wanted = outputs.movedim(1, 2)[held != IGNORED], held[held != IGNORED]
    loss = sklearn_metrics.log_loss(wanted, flat.double().softmax(1), labels=range(11))
    assert found["loss"].value == pytest.approx(loss, rel=1e-5)
    assert found["perplexity"].value == pytest.approx(np.exp(loss), rel=1e-5)
    assert found["accuracy"].value == pytest.approx(sklearn_metrics.accuracy_score(wanted, flat.argmax(1)))
    assert task.tally().confusion is None and task.gives((11, 7)) == (11, 7)


def test_masks() -> None:
    task = DensePrediction(3)
    outputs, held = made_up(task)
    held[:20, 2:] = IGNORED
    found = figures(task, outputs, held)
    iou = classification.multiclass_jaccard_index(outputs, held, 3, average="macro", ignore_index=IGNORED)
    known = held != IGNORED
    wanted, predicted = held[known], outputs.argmax(1)[known]
    assert found["miou"].value == pytest.approx(float(iou), abs=1e-6)
    assert found["pixel_accuracy"].value == pytest.approx(sklearn_metrics.accuracy_score(wanted, predicted))
    tally = task.tally()
    tally.add(outputs, held)
    assert np.array_equal(tally.confusion, sklearn_metrics.confusion_matrix(wanted, predicted))
    loss = sklearn_metrics.log_loss(wanted, outputs.movedim(1, 3)[known].double().softmax(1))
    assert found["loss"].value == pytest.approx(loss, rel=1e-5)


def test_unlabelled_pixels_train_nothing() -> None:
    task = DensePrediction(3)
    outputs, held = made_up(task)
    nothing = torch.full_like(held, IGNORED)
    wanted = outputs.clone().requires_grad_()
    loss = task.loss(wanted, nothing, balance=0.5)
    loss.backward()
    assert loss.item() == 0 and wanted.grad is not None and not wanted.grad.any()
    held[:, 0] = IGNORED
    probabilities = task.mixed(held)
    assert not probabilities[:, :, 0].any() and torch.equal(probabilities[:, :, 1:].sum(1), torch.ones(60, 5, 5))


def test_numbers() -> None:
    task = Regression(2, mean=(3.0, -1.0), std=(2.0, 5.0))
    outputs, held = made_up(task)
    found = figures(task, outputs, held)
    read = task.reading()(outputs)
    assert found["mae"].value == pytest.approx(sklearn_metrics.mean_absolute_error(held, read), rel=1e-5)
    assert found["mse"].value == pytest.approx(sklearn_metrics.mean_squared_error(held, read), rel=1e-5)
    assert found["r2"].value == pytest.approx(sklearn_metrics.r2_score(held, read), rel=1e-5)
    assert figures(task, outputs[:3], held[:1].expand(3, 2))["r2"].value == 0


def test_numbers_are_learnt_standardized() -> None:
    held = np.array([[10.0], [20.0], [60.0]])
    task = Regression(1, columns=("price",)).fitted(held)
    learnt = task.targets(torch.from_numpy(held))
    assert learnt.mean().item() == pytest.approx(0, abs=1e-6)
    assert learnt.std(correction=0).item() == pytest.approx(1)
    assert torch.allclose(task.reading()(learnt), torch.from_numpy(held).float())
    assert "price" in task.describe() and task.fitted(held * 2) is task


def test_frequencies_are_those_of_the_training_targets() -> None:
    assert Classification(3).fitted(np.array([0, 2, 2])).frequencies == (1, 0, 2)
    assert DensePrediction(2).fitted(np.array([[[0, 1], [1, IGNORED]]])).frequencies == (1, 2)
    assert MultiLabel(2).fitted(torch.tensor([[1, 0], [1, 1]])).frequencies == (2, 1)
    assert NextToken(3).fitted(np.array([[0, 1], [1, 1]], np.uint8)).frequencies == (1, 3, 0)


@pytest.mark.parametrize("task", [Classification(3), MultiLabel(3)], ids=lambda task: task.name)
def test_rare_classes_weigh_more(task: Task) -> None:
    task = replace(task, frequencies=(900, 90, 10))
    weights = task.class_weights(1.0)
    assert weights is not None and weights[2] / weights[0] == pytest.approx(90)
    outputs = torch.randn(8, 3)
    held = torch.tensor([0, 1, 2, 2] * 2)
    targets = held if task.kind == "categorical" else functional.one_hot(held, 3).float()
    assert task.loss(outputs, targets, balance=1.0) != task.loss(outputs, targets)


@pytest.mark.parametrize(
    ("task", "targets", "message"),
    [
        (Classification(3), np.array([0, 1, 3]), "1 targets are out of range, as 3; the 3 classes are numbered 0 to 2"),
        (Classification(3), np.array([0.0, 1.0]), "needs integers"),
        (NextToken(3), np.array([[0, -1]]), "out of range, as -1"),
        (DensePrediction(3), np.array([[[7, IGNORED]]]), "out of range, as 7"),
        (MultiLabel(2), np.array([[0, 1], [2, 0]]), "1 labels are neither 0 nor 1, as 2"),
        (MultiLabel(2), np.array([0, 1]), r"shape \(2,\)"),
        (MultiLabel(2), np.array([[0, np.nan]]), "neither 0 nor 1"),
        (Regression(1), np.array([[1.0], [np.nan]]), "1 targets are missing or not finite"),
        (Regression(1, columns=("age",)), np.array([[2.0], [2.0]]), "target 'age' is 2 everywhere"),
        (Regression(2), np.array([[2.0], [3.0]]), r"needs \(n, 2\)"),
    ],
)
def test_targets_out_of_range_are_one_line(task: Task, targets: Any, message: str) -> None:
    with pytest.raises(WrongUse, match=message) as raised:
        task.check_targets([targets])
    assert "\n" not in str(raised.value)


class Tokens(nn.Module):
    """Logits of tokens by a convolution that sees `before` tokens before a place and `after` behind it."""

    def __init__(self, before: int, after: int, vocabulary: int = 11) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.sides = before, after
        self.takes_ids = True
        self.table = nn.Embedding(vocabulary, 8)
        self.mixer = nn.Conv1d(8, 8, before + after + 1)
        self.scale = nn.Parameter(torch.zeros(8, 1))
        self.head = nn.Conv1d(8, vocabulary, 1)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.table(ids).mT
        # A branch that begins at nothing: only a look behind its scale shows what it sees.
        return self.head(x + self.scale * self.mixer(functional.pad(x, self.sides)))


@pytest.mark.parametrize("length", [2, 3, 16])
def test_networks_that_look_ahead_are_refused(length: int) -> None:
    ids = torch.randint(0, 11, (2, length))
    causal, ahead = Tokens(2, 0), Tokens(1, 1)
    ahead.train()
    NextToken(11).check(causal, ids)
    with pytest.raises(SpaceError, match="looks ahead"):
        NextToken(11).check(ahead, ids)
    assert ahead.training and not ahead.scale.any()


@pytest.mark.parametrize(
    ("task", "model", "examples"),
    [
        (NextToken(12), Tokens(2, 0), torch.zeros(2, 9, dtype=torch.int64)),
        (DensePrediction(3), nn.Conv2d(3, 3, 3), torch.zeros(2, 3, 8, 8)),
        (Regression(2), nn.Linear(5, 1), torch.zeros(2, 5)),
        (MultiLabel(4), nn.Conv2d(3, 4, 1), torch.zeros(2, 3, 8, 8)),
    ],
)
def test_heads_that_do_not_fit_are_refused(task: Task, model: nn.Module, examples: Tensor) -> None:
    with pytest.raises(SpaceError, match=f"but {task.name} needs"):
        task.check(model, examples)


def test_a_mean_over_parts_of_examples_is_as_uncertain_as_the_examples() -> None:
    # 40 texts of 50 tokens that are all alike within a text: the spread is that of 40 values, not of 2,000.
    per_text = GENERATOR.normal(2.0, 0.5, 40)
    found = averaged("loss", per_text * 50, np.full(40, 50), Provenance())
    half = 1.96 * per_text.std(ddof=1) / np.sqrt(40)
    assert found.value == pytest.approx(per_text.mean())
    assert found.high is not None and found.high - found.value == pytest.approx(half)
    assert averaged("loss", [3.0], [1.0], Provenance()).high is None


def test_a_bootstrap_covers_what_it_should() -> None:
    values = GENERATOR.normal(0.0, 1.0, 200)
    value, low, high = bootstrap(lambda counts: counts @ values / counts.sum(1), 200)
    half = 1.96 * values.std() / np.sqrt(200)
    assert value == pytest.approx(values.mean())
    assert (low, high) == pytest.approx((value - half, value + half), abs=0.3 * half)
    assert (value, low, high) == bootstrap(lambda counts: counts @ values / counts.sum(1), 200)
    assert bootstrap(lambda counts: (counts > 0).mean(1), 50)[2] == 1.0
