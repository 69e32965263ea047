"""Optimizers take the step of the paper's formula; the rates of schedules are those of the formula or of torch."""

from math import cos, pi, sqrt
from typing import Any

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)

import pytest
import timm.optim
import torch
from torch import Tensor, nn

from evaluators import checkpoints
from evaluators.optimization import Pace, optimizer_for
from evaluators.recipes.optimizer.muon import Muon
from evaluators.recipes.training import Recipe
from search_spaces.errors import SpaceError

LR, DECAY = 0.1, 0.05


def stepped(optimizer: Any, steps: int = 1, shape: tuple[int, ...] = (3, 4), **fields: Any) -> tuple[Tensor, list]:
    """A matrix after some steps, and what it was and its gradients were."""
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(shape))
    module = nn.Module()
    module.weight = weight
    recipe = Recipe(optimizer=optimizer, lr=LR, weight_decay=DECAY, **fields)
    made, known = optimizer_for(module, recipe), [weight.detach().clone()]
    for _ in range(steps):
        for group in made.param_groups:
            group["lr"] = LR * group.get("share", 1.0)
        weight.grad = torch.randn(shape)
        known.append(weight.grad.clone())
        made.step()
    return weight.detach(), known


def test_adamw_by_the_formula() -> None:
    found, (w, g) = stepped("adamw(beta1=0.8,beta2=0.9)")
    w = w * (1 - LR * DECAY) - LR * g / (g.abs() + 1e-8)
    assert torch.allclose(found, w, atol=1e-6)


def test_sgd_by_the_formula() -> None:
    found, (w, first, second) = stepped("sgd", 2, momentum=0.7)
    speed = first + DECAY * w
    w = w - LR * (first + DECAY * w + 0.7 * speed)
    gradient = second + DECAY * w
    speed = 0.7 * speed + gradient
    assert torch.allclose(found, w - LR * (gradient + 0.7 * speed), atol=1e-6)


@pytest.mark.parametrize("rate", [0.2, 1.0])
def test_lion_by_the_formula(rate: float) -> None:
    """Its own rate is the recipe's times `rate`, with as much more decay: their product is the recipe's."""
    found, (w, first, second) = stepped(f"lion(rate={rate})", 2)
    average = torch.zeros_like(w)
    for gradient in (first, second):
        step = (0.9 * average + 0.1 * gradient).sign()
        w = w * (1 - LR * DECAY) - LR * rate * step
        average = 0.99 * average + 0.01 * gradient
    assert torch.allclose(found, w, atol=1e-6)


def test_lamb_by_the_formula() -> None:
    found, (w, g) = stepped("lamb")
    step = g / (g.abs() + 1e-6) + DECAY * w
    assert torch.allclose(found, w - LR * w.norm() / step.norm() * step, atol=1e-5)


def test_muon_is_torchs() -> None:
    found, (w, g) = stepped("muon", shape=(16, 24))
    other = nn.Parameter(w.clone())
    torchs = torch.optim.Muon([other], lr=LR, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw")
    other.grad = g
    torchs.step()
    assert (found - other).abs().max() < 0.03 * (other - w).abs().max()
    # Orthogonal up to the iterations' accuracy: all singular values of the step are about one.
    values = torch.linalg.svdvals((w * (1 - LR * DECAY) - found) / LR)
    assert values.max() / values.min() < 2.5 and torch.linalg.svdvals(g).max() / torch.linalg.svdvals(g).min() > 4


def test_muon_flattens_convolutions_and_leaves_vectors_to_adamw() -> None:
    found, (w, g) = stepped("muon", shape=(16, 4, 3, 3))
    flat = nn.Parameter(w.flatten(1).clone())
    torchs = torch.optim.Muon([flat], lr=LR, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw")
    flat.grad = g.flatten(1)
    torchs.step()
    assert (found.flatten(1) - flat).abs().max() < 0.03 * (flat - w.flatten(1)).abs().max()
    found, (w, g) = stepped("muon", shape=(5,))
    other = nn.Parameter(w.clone())
    adamw = timm.optim.NAdamW([other], lr=LR, betas=(0.9, 0.999), eps=1e-7, weight_decay=0.0)
    other.grad = g
    adamw.step()
    assert torch.allclose(found, other, atol=1e-5) and not torch.allclose(found, w, atol=1e-2)


def test_muon_leaves_matrices_that_are_too_wide_to_adamw() -> None:
    for shape, wide in (((16, 24), True), ((24, 2, 3, 3), True), ((15, 24), False)):
        found, (w, g) = stepped("muon(widest=15)", shape=shape)
        plain, _ = stepped("muon", shape=shape)
        other = nn.Parameter(w.clone())
        adamw = timm.optim.NAdamW([other], lr=LR, betas=(0.9, 0.999), eps=1e-7, weight_decay=DECAY)
        other.grad = g
        adamw.step()
        assert torch.allclose(found, other, atol=1e-5) is wide and torch.equal(found, plain) is not wide
    with pytest.raises(SpaceError, match=r"muon\.widest"):
        Muon(widest=0)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lion", "lamb", "muon", "muon(widest=4)"])
def test_what_a_checkpoint_holds_is_all_that_an_optimizer_goes_on_from(optimizer: str) -> None:
    def net() -> nn.Module:
        torch.manual_seed(1)
        return nn.Sequential(nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(24, 3))

    def steps(model: nn.Module, made: torch.optim.Optimizer, numbers: range) -> None:
        for number in numbers:
            torch.manual_seed(number)
            made.zero_grad()
            model(torch.randn(8, 2, 4, 4)).square().mean().backward()
            made.step()

    recipe = Recipe(optimizer=optimizer)
    straight = net()
    made = optimizer_for(straight, recipe)
    steps(straight, made, range(4))
    stopped = net()
    first = optimizer_for(stopped, recipe)
    steps(stopped, first, range(2))
    kept = {name: value.clone() for name, value in checkpoints.optimizer_tensors(first).items()}
    second = optimizer_for(stopped, recipe)
    checkpoints.load_optimizer(second, kept)
    steps(stopped, second, range(2, 4))
    assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), stopped.parameters(), strict=True))
    # Without the state it would have ended elsewhere.
    fresh = net()
    steps(fresh, optimizer_for(fresh, recipe), range(2))
    steps(fresh, optimizer_for(fresh, recipe), range(2, 4))
    assert not all(torch.equal(a, b) for a, b in zip(straight.parameters(), fresh.parameters(), strict=True))


def test_cosine_by_the_formula() -> None:
    recipe = Recipe(lr=2.0, warmup=0.1, schedule="cosine(floor=0.25)")
    rates = [recipe.lr_at(step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * i for i in range(1, 11)])
    assert rates[10:] == pytest.approx([2 * (0.25 + 0.375 * (1 + cos(pi * i / 90))) for i in range(90)])


def test_one_cycle_is_torchs() -> None:
    weight = nn.Parameter(torch.zeros(2, 2))
    torchs = torch.optim.AdamW([weight], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(torchs, max_lr=0.3, total_steps=50, pct_start=0.4)
    own = torch.optim.AdamW([weight], lr=1.0)
    pace = Pace(Recipe(lr=0.3, schedule="one_cycle(rise=0.4)"))
    for step in range(50):
        pace.set(own, step, 50)
        assert own.param_groups[0]["lr"] == pytest.approx(torchs.param_groups[0]["lr"], rel=1e-6)
        assert own.param_groups[0]["betas"] == pytest.approx(torchs.param_groups[0]["betas"])
        torchs.step()
        if step < 49:
            schedule.step()


def test_one_cycle_moves_sgds_momentum_unless_there_is_none() -> None:
    for momentum, expected in ((0.9, 0.95), (0.0, 0.0)):
        recipe = Recipe(optimizer="sgd", momentum=momentum, schedule="one_cycle")
        made = optimizer_for(nn.Linear(2, 2), recipe)
        Pace(recipe).set(made, 0, 10)
        assert made.param_groups[0]["momentum"] == expected


def test_warmup_stable_decay_by_the_formula() -> None:
    recipe = Recipe(lr=2.0, warmup=0.1, schedule="warmup_stable_decay(decay=0.3)")
    rates = [recipe.lr_at(step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * i for i in range(1, 11)])
    assert rates[10:70] == [2.0] * 60
    assert rates[70:] == pytest.approx([2 * (1 - sqrt(i / 31)) for i in range(1, 31)]) and rates[-1] > 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lion(rate=0)", "lion.rate: must be above 0"),
        ("lion(speed=1)", "lion has no setting 'speed'"),
        ("lions", "no optimizer is named 'lions'; did you mean 'lion'"),
        ("lion(rate=0.1", "is no part"),
    ],
)
def test_wrong_optimizers_are_one_line(text: str, says: str) -> None:
    with pytest.raises(SpaceError) as error:
        Recipe(optimizer=text)
    assert says in str(error.value) and "\n" not in str(error.value)
