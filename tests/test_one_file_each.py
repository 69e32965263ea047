"""Parts of trainings and finishings that are one file each: they are found by name, and do what they say."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional

from archfront.contracts import WrongUse
from archfront.finishing.magnitude_prune import MagnitudePrune
from evaluators.datasets import load
from evaluators.probes.fgsm import Fgsm
from evaluators.recipes.augmentation.gaussian_noise import GaussianNoise
from evaluators.recipes.loss.poly import Poly
from evaluators.recipes.optimizer.adan import Adan
from evaluators.recipes.training import Recipe
from evaluators.tasks import IGNORED, Classification
from search_spaces.building import build
from search_spaces.errors import SpaceError
from search_spaces.spaces import get_space


def test_adan_takes_the_step_of_its_paper() -> None:
    """Algorithm 1 with timm's betas: m, v, n of gradients g, their differences and (g + b2 difference)^2."""
    weight = torch.nn.Parameter(torch.tensor([[0.5, -1.0], [2.0, 0.1]]))
    optimizer = Adan().made([{"params": [weight], "weight_decay": 0.0}], Recipe(lr=0.1))
    given = [torch.tensor([[1.0, 2.0], [-1.0, 0.5]]), torch.tensor([[0.5, 2.5], [1.0, 0.5]])]
    m = v = n = torch.zeros(2, 2)
    wanted, before = weight.detach().clone(), given[0]
    for step, gradient in enumerate(given, 1):
        change = gradient - before
        m, v = 0.98 * m + 0.02 * gradient, 0.92 * v + 0.08 * change
        n = 0.99 * n + 0.01 * (gradient + 0.92 * change) ** 2
        size = (n / (1 - 0.99**step)).sqrt() + 1e-8
        wanted = wanted - 0.1 * (m / (1 - 0.98**step) + 0.92 * v / (1 - 0.92**step)) / size
        before = gradient
        weight.grad = gradient.clone()
        optimizer.step()
    torch.testing.assert_close(weight.detach(), wanted)


def test_noise_has_the_deviation_that_was_asked_for() -> None:
    inputs = torch.zeros(64, 1, 16, 16)
    noisy, targets = GaussianNoise(0.3).applied(inputs, torch.arange(64), None, torch.Generator().manual_seed(0))
    assert abs(float(noisy.std()) - 0.3) < 0.01 and abs(float(noisy.mean())) < 0.01 and targets.tolist() == [*range(64)]
    with pytest.raises(SpaceError, match=r"gaussian_noise\.std"):
        GaussianNoise(0)


def test_poly_adds_what_the_right_class_lacks() -> None:
    outputs, targets = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, IGNORED])
    task = Classification(4)
    found = Poly(2.0).made(task, Recipe(label_smoothing=0.0))(outputs, targets)
    right = outputs[:5].softmax(1)[torch.arange(5), targets[:5]]
    wanted = functional.cross_entropy(outputs[:5], targets[:5]) + 2 * (1 - right).mean()
    torch.testing.assert_close(found, wanted)
    mixed = task.mixed(targets[:5])
    torch.testing.assert_close(Poly(2.0).made(task, Recipe(label_smoothing=0.0))(outputs[:5], mixed), wanted)


def test_the_smallest_weights_are_zero_after_healing() -> None:
    state = {"a.weight": torch.arange(-4.0, 4.0).view(2, 4), "a.bias": torch.tensor([0.1, 0.0])}
    seen: list[Any] = []

    def heal(architecture: Any, begun: Any, epochs: int) -> Any:
        seen.append((begun, epochs))
        return {name: tensor + 10 for name, tensor in begun.items()}

    given: Any = SimpleNamespace(architecture=None, state=state, heal=heal, epochs=lambda wanted: wanted or 3)
    product = MagnitudePrune(0.5).finish(given)
    # -4 -3 -2 -1 | 0 1 2 3: of sizes 4 3 2 1 0 1 2 3 the smallest four are 0, two 1s and one of the 2s.
    [(begun, epochs)] = seen
    assert int((begun["a.weight"] == 0).sum()) == 4 and epochs == 3
    assert torch.equal(product.state["a.weight"] == 0, begun["a.weight"] == 0)
    assert torch.equal(product.state["a.bias"], state["a.bias"] + 10) and product.note == "50% of the weights are zero"
    with pytest.raises(SpaceError, match="two dimensions"):
        MagnitudePrune().finish(SimpleNamespace(**{**vars(given), "state": {"b": torch.ones(3)}}))  # type: ignore[arg-type]


def test_inputs_are_moved_against_the_network() -> None:
    data = load("digits")
    space = get_space("hybrid", data.inputs, data.train.size)
    network = build(space.sample(1), data.inputs, data.outputs, seed=0).eval()
    inputs, targets = data.prepared(data.test.inputs[:32]), data.test.targets[:32]
    moved = Fgsm(0.05).moved(network, data, inputs, targets)
    assert float((moved - inputs).abs().max()) == pytest.approx(0.05, rel=1e-4)
    with torch.no_grad():
        assert data.task.loss(network(moved), targets) > data.task.loss(network(inputs), targets)
    found = Fgsm(0.2).probed(network, data, "cpu", 0)
    assert set(found) == {"fgsm_accuracy", "test_fgsm_accuracy"} and all(p.grad is None for p in network.parameters())
    with pytest.raises(WrongUse, match="epsilon above 0"):
        Fgsm(0)


def test_they_are_found_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from archfront.commands import run

    monkeypatch.chdir(tmp_path)
    words = ["--set", "evaluator.epochs=1", "--set", "evaluator.batch_size=128", "--set", "evaluator.optimizer=adan"]
    words += ["--set", "evaluator.loss=poly", "--set", "evaluator.augmentations=gaussian_noise(std=0.2)"]
    goals = ["--objective", "fgsm_accuracy", "--objective", "macs", "--evaluations", "1"]
    assert run(["search", "--data", "digits", *words, *goals]) == 0
    assert run(["finish", "digits", "--with", "magnitude_prune(share=0.3)", "--epochs", "1"]) == 0
    assert "30% of the weights are zero" in capsys.readouterr().err
