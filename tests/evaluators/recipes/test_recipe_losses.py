"""Losses against formulas and the library's own; class weights; what a teacher adds."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archfront.contracts import WrongUse
from evaluators.recipe import check_recipe, loss_of
from evaluators.recipes.training import Recipe
from evaluators.tasks import IGNORED
from evaluators.tasks.classification import Classification
from tests.evaluators.recipes.given import MASKS, NUMBERS, PICTURES, SEVERAL

OUTPUTS = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
CLASSES = torch.tensor([0, 1, 2, 3, 0, 1])
TASK = Classification(4, ("a", "b", "c", "d"), (100, 10, 50, 40))


def found(loss: str | None, outputs: Tensor = OUTPUTS, targets: Tensor = CLASSES, task=TASK, **fields) -> Tensor:
    return loss_of(task, Recipe(loss=loss, label_smoothing=fields.pop("smoothing", 0.0), **fields))(outputs, targets)


def test_the_default_is_the_tasks_own() -> None:
    expected = functional.cross_entropy(OUTPUTS, CLASSES, label_smoothing=0.1)
    assert torch.equal(found(None, smoothing=0.1), expected)
    assert torch.equal(loss_of(TASK, Recipe(), smoothed=False)(OUTPUTS, CLASSES), TASK.loss(OUTPUTS, CLASSES))


def test_cross_entropy_by_the_formula() -> None:
    logs = OUTPUTS.log_softmax(1)
    wanted = functional.one_hot(CLASSES, 4) * 0.8 + 0.05
    assert torch.allclose(found("cross_entropy", smoothing=0.2), -(wanted * logs).sum(1).mean())


def test_binary_by_the_formula() -> None:
    one = functional.one_hot(CLASSES, 4).float()
    p = OUTPUTS.sigmoid()
    expected = -(one * p.log() + (1 - one) * (1 - p).log()).mean()
    assert torch.allclose(found("binary"), expected, atol=1e-6)
    soft = one * 0.8 + 0.1
    smoothed = functional.binary_cross_entropy_with_logits(OUTPUTS, soft)
    assert torch.allclose(found("binary", smoothing=0.2), smoothed, atol=1e-6)
    assert torch.allclose(found("binary", targets=one, task=SEVERAL.task), expected, atol=1e-6)


def test_focal_by_the_formula() -> None:
    one = functional.one_hot(CLASSES, 4).float()
    p = OUTPUTS.sigmoid()
    true = torch.where(one > 0, p, 1 - p)
    alpha = torch.where(one > 0, 0.25, 0.75)
    assert torch.allclose(found("focal"), (alpha * (1 - true) ** 2 * -true.log()).mean(), atol=1e-6)
    assert torch.allclose(found("focal(gamma=0,alpha=0)"), found("binary"), atol=1e-6)
    assert not torch.allclose(found("focal(gamma=1)"), found("focal"))


@pytest.mark.parametrize("loss", [None, "cross_entropy", "binary", "focal"])
def test_balance_weighs_rare_classes_more(loss: str | None) -> None:
    """With a power of 1, a class of a tenth of the examples weighs ten times as much."""
    weights = TASK.class_weights(1.0)
    assert weights is not None and weights[1] / weights[0] == pytest.approx(10)
    rare = functional.one_hot(torch.full((6,), 1), 4) * -3.0
    common = functional.one_hot(torch.full((6,), 0), 4) * -3.0
    wrong = {}
    for balance in (0.0, 1.0):
        outputs = torch.cat([rare, common]).float()
        targets = torch.tensor([1] * 6 + [0] * 6)
        outputs.requires_grad_()
        found(loss, outputs, targets, balance=balance).backward()
        assert outputs.grad is not None
        wrong[balance] = float(outputs.grad[:6, 1].norm() / outputs.grad[6:, 0].norm())
    assert wrong[0.0] == pytest.approx(1, rel=1e-4) and wrong[1.0] == pytest.approx(10, rel=1e-3)


@pytest.mark.parametrize("loss", [None, "cross_entropy", "binary", "focal"])
def test_unlabelled_pixels_count_for_nothing(loss: str | None) -> None:
    outputs = torch.randn(2, 4, 5, 5)
    targets = torch.randint(0, 4, (2, 5, 5))
    part = found(loss, outputs[:, :, :3], targets[:, :3], task=MASKS.task)
    targets[:, 3:] = IGNORED
    assert torch.allclose(found(loss, outputs, targets, task=MASKS.task), part, atol=1e-6)


@pytest.mark.parametrize("loss", [None, "cross_entropy", "binary", "focal"])
def test_mixed_targets_count_for_their_shares(loss: str | None) -> None:
    """Of a loss that is linear in the targets, the loss of a mixture is the mixture of losses."""
    if loss == "focal":
        loss = "focal(gamma=0,alpha=0)"
    one, other = functional.one_hot(CLASSES, 4).float(), functional.one_hot(CLASSES.flip(0), 4).float()
    mixture = 0.3 * found(loss, targets=CLASSES) + 0.7 * found(loss, targets=CLASSES.flip(0))
    assert torch.allclose(found(loss, targets=0.3 * one + 0.7 * other), mixture, atol=1e-6)


def test_a_loss_that_the_task_cant_take_is_one_line() -> None:
    for data, loss in ((SEVERAL, "cross_entropy"), (NUMBERS, "focal")):
        with pytest.raises(WrongUse) as error:
            check_recipe(Recipe(loss=loss), data)
        text = str(error.value)
        assert f"loss={loss} can't be used" in text and "possible:" in text and "\n" not in text
    check_recipe(Recipe(loss="binary"), PICTURES)


class TestDistillation:
    """Against the paper's gradient, and the task's own distances."""

    def criterion(self, recipe: str, wanted: Tensor, task=TASK):
        part = Recipe(teacher=recipe).one("teacher")
        return part.taught(lambda outputs: task.loss(outputs, CLASSES), wanted, task)

    def test_its_gradient_is_the_difference_of_soft_probabilities(self) -> None:
        """T^2 KL has the gradient T (softmax(z/T) - softmax(v/T)) / n, by the paper's equation 2."""
        wanted, outputs = torch.randn(6, 4), OUTPUTS.clone().requires_grad_()
        self.criterion("distillation(network=x,weight=1,temperature=3)", wanted)(outputs).backward()
        expected = 3 * ((OUTPUTS / 3).softmax(1) - (wanted / 3).softmax(1)) / 6
        assert outputs.grad is not None and torch.allclose(outputs.grad, expected, atol=1e-6)

    def test_the_targets_keep_the_rest(self) -> None:
        wanted = torch.randn(6, 4)
        whole = self.criterion("distillation(network=x,weight=1)", wanted)(OUTPUTS)
        part = self.criterion("distillation(network=x,weight=0.25)", wanted)(OUTPUTS)
        assert torch.allclose(part, 0.25 * whole + 0.75 * TASK.loss(OUTPUTS, CLASSES))

    def test_numbers_and_each_class_by_itself_have_the_tasks_distance(self) -> None:
        wanted = torch.randn(6, 4)
        for task, expected in (
            (NUMBERS.task, functional.mse_loss(OUTPUTS, wanted)),
            (SEVERAL.task, functional.binary_cross_entropy_with_logits(OUTPUTS, wanted.sigmoid())),
        ):
            part = Recipe(teacher="distillation(network=x,weight=1)").one("teacher")
            assert torch.allclose(part.taught(lambda _: torch.zeros(()), wanted, task)(OUTPUTS), expected)


def test_the_loss_of_a_recipe_reaches_the_weights() -> None:
    """Switching the loss changes the gradient."""
    gradients = []
    for loss in (None, "focal"):
        layer = nn.Linear(4, 4)
        with torch.no_grad():
            layer.weight.copy_(torch.eye(4))
            layer.bias.zero_()
        loss_of(TASK, replace(Recipe(), loss=loss))(layer(OUTPUTS), CLASSES).backward()
        assert layer.weight.grad is not None
        gradients.append(layer.weight.grad)
    assert not torch.allclose(*gradients)
