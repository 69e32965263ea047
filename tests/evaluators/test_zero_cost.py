"""Zero-cost proxies against straightforward formulas, and on networks of every ready space."""

import copy
from dataclasses import replace
from math import isfinite, log
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archfront.contracts import Context, Evaluation, Proposal, Status, WrongUse
from evaluators.base import attempt, create
from evaluators.datasets import DataSet, load
from evaluators.zero_cost import PROXIES, az_nas, scores
from evaluators.zero_cost.az_nas import blocks
from search_spaces.building import build
from search_spaces.counting import count
from search_spaces.spaces import get_space
from search_spaces.topologies.network.cell201 import Cell201

torch.set_num_threads(1)


def network(seed: int = 0) -> nn.Module:
    """Two convolutions and a linear layer with smooth activations, in double precision."""
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.SiLU(), nn.Conv2d(4, 5, 3, 2, bias=False)]
    return nn.Sequential(*layers, nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3)).double()


def batch(n: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(n, 3, 7, 7, generator=generator).double(),
        torch.randint(0, 3, (n,), generator=generator),
    )


def score(name: str, model: nn.Module, images: Tensor, labels: Tensor, seed: int = 0) -> float:
    return scores(model, images, labels, [name], seed)[name]


def by_backward(model: nn.Module, images: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Each convolution's and linear layer's weight with its gradient of the loss."""
    model = copy.deepcopy(model)
    functional.cross_entropy(model(images), labels).backward()
    return [(m.weight.detach(), m.weight.grad) for m in model if isinstance(m, nn.Conv2d | nn.Linear)]


def test_snip_and_grad_norm() -> None:
    model, (images, labels) = network(), batch()
    pairs = by_backward(model, images, labels)
    assert score("snip", model, images, labels) == pytest.approx(sum(float((w * g).abs().sum()) for w, g in pairs))
    norms = sum(float((g**2).sum() ** 0.5) for _, g in pairs)
    assert score("grad_norm", model, images, labels) == pytest.approx(norms)


def test_grasp_by_finite_differences() -> None:
    model, (images, labels) = network(), batch()
    pairs = by_backward(model, images, labels)

    def shifted(step: float) -> list[Tensor]:
        other = copy.deepcopy(model)
        found = [m for m in other if isinstance(m, nn.Conv2d | nn.Linear)]
        for layer, (_, gradient) in zip(found, pairs, strict=True):
            layer.weight.data += step * gradient
        return [gradient for _, gradient in by_backward(other, images, labels)]

    up, down = shifted(1e-4), shifted(-1e-4)
    expected = -sum(float((w * (u - d)).sum() / 2e-4) for (w, _), u, d in zip(pairs, up, down, strict=True))
    assert score("grasp", model, images, labels) == pytest.approx(expected, rel=1e-5)


def test_fisher_by_added_zeros() -> None:
    """The gradient by an activation is that by zeros added to it."""
    model, (images, labels) = network().train(), batch()
    conv, norm, first, strided, second, _, _, linear = copy.deepcopy(model)
    acts, zeros = [], []

    def noted(x: Tensor) -> Tensor:
        acts.append(x.detach())
        zeros.append(torch.zeros_like(x, requires_grad=True))
        return x + zeros[-1]

    hidden = second(noted(strided(first(norm(noted(conv(images)))))))
    loss = functional.cross_entropy(noted(linear(hidden.mean((2, 3)))), labels)
    expected = 0.0
    for act, gradient in zip(acts, torch.autograd.grad(loss, zeros), strict=True):
        product = (act * gradient).numpy().reshape(*act.shape[:2], -1)
        expected += float((product.sum(2) ** 2).mean(0).sum() / 2)
    assert score("fisher", model, images, labels) == pytest.approx(expected)


class Tokens(nn.Module):
    """A linear layer on four tokens per example, the second half of its work changed in place."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.head = nn.Linear(3, 5).double(), nn.Linear(5, 3).double()

    def forward(self, x: Tensor) -> Tensor:
        tokens = functional.relu(self.linear(x.flatten(2)[:, :, :4].transpose(1, 2).reshape(-1, 3)), inplace=True)
        return self.head(tokens.view(len(x), 4, 5).mean(1))


def test_fisher_sums_an_example_s_tokens_before_the_activation() -> None:
    torch.manual_seed(3)
    model, (images, labels) = Tokens(), batch()
    before = model.linear(images.flatten(2)[:, :, :4].transpose(1, 2)).detach().requires_grad_()
    logits = model.head(before.relu().mean(1))
    logits.retain_grad()
    functional.cross_entropy(logits, labels).backward()
    expected = ((before * before.grad).sum(1) ** 2).mean(0).sum() / 2 + ((logits * logits.grad) ** 2).mean(0).sum() / 2
    assert score("fisher", model, images, labels) == pytest.approx(float(expected.detach()))


def test_zico() -> None:
    model, (images, labels) = network(), batch()
    halves = [by_backward(model.train(), images[at], labels[at]) for at in (slice(0, 3), slice(3, 6))]
    expected = 0.0
    for (_, one), (_, other) in zip(*halves, strict=True):
        sizes = np.abs(np.stack([one.numpy().ravel(), other.numpy().ravel()]))
        expected += log(np.sum(sizes.mean(0) / sizes.std(0)))
    assert score("zico", model, images, labels) == pytest.approx(expected)


def test_synflow_conserves_the_flow() -> None:
    """Without biases, each layer's score is the whole flow: the sum of the product of the absolute matrices."""
    torch.manual_seed(0)
    first, second, third = (nn.Conv2d(a, b, 1, bias=False) for a, b in ((3, 6), (6, 4), (4, 5)))
    normed = [first, nn.BatchNorm2d(6), nn.ReLU(), second, nn.BatchNorm2d(4), nn.ReLU(), third]
    model = nn.Sequential(*normed, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    absolute = [layer.weight.detach().double().abs().flatten(1) for layer in (third, second, first)]
    flow = (absolute[0] @ absolute[1] @ absolute[2]).sum()
    images, labels = torch.randn(4, 3, 5, 5), torch.zeros(4, dtype=torch.long)
    assert score("synflow", model, images, labels) == pytest.approx(3 * float(flow), rel=1e-9)
    # Rescaled by a normalization of each example, the flow is still conserved: the layers' scores are equal.
    rescaled = nn.Sequential(first, nn.GroupNorm(1, 6), nn.ReLU(), second, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    power = (absolute[2].sum(1) ** 2).mean() ** 0.5
    expected = 2 * float((absolute[1] @ absolute[2]).sum() / power)
    assert score("synflow", rescaled, images, labels) == pytest.approx(expected, rel=1e-9)


def test_jacobian_covariance() -> None:
    model, (images, labels) = nn.Sequential(*[m for m in network() if not isinstance(m, nn.BatchNorm2d)]), batch()
    jacobians = [
        torch.autograd.functional.jacobian(lambda x: model(x[None]).sum(), one).numpy().ravel() for one in images
    ]
    values = np.linalg.eigvals(np.corrcoef(jacobians)).real + 1e-5
    expected = -np.sum(np.log(values) + 1 / values)
    assert score("jacobian_covariance", model, images, labels) == pytest.approx(expected, rel=1e-6)


class Rectified(nn.Module):
    """Rectifiers as a module, as a function, and in place; and a gate, which is none."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.act = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1), nn.Hardswish()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.one(x))
        x = functional.gelu(self.two(x)) * torch.sigmoid(self.two(x))
        return functional.relu_(x - x.mean()).flatten(1)

    def inputs(self, x: Tensor) -> list[Tensor]:
        first = self.one(x)
        second = self.two(first * (first + 3).clamp(0, 6) / 6)
        gelu = 0.5 * second * (1 + torch.erf(second / 2**0.5))
        gated = gelu * torch.sigmoid(second)
        return [first.flatten(1), second.flatten(1), (gated - gated.mean()).flatten(1)]


@pytest.mark.parametrize("n", [6, 40])
def test_activation_patterns(n: int) -> None:
    torch.manual_seed(0)
    model, (images, labels) = Rectified().double(), batch(n)
    codes = (torch.cat(model.inputs(images), 1) > 0).numpy()
    kernel = [[(one == other).sum() for other in codes] for one in codes]
    assert score("naswot", model, images, labels) == pytest.approx(np.linalg.slogdet(np.array(kernel, float))[1])
    different = len({tuple(column) for column in codes.T.tolist()})
    assert score("swap", model, images, labels) == different > n


def az_network() -> nn.Module:
    """A stem and two blocks of 1x1 convolutions, the second one with stride 2."""
    torch.manual_seed(0)
    convs = [nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(4, 4, 1, bias=False), nn.Conv2d(4, 6, 1, 2, bias=False)]
    trunk = nn.Sequential(*(nn.Sequential(conv, nn.Identity()) for conv in convs))
    return nn.Sequential(trunk, nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()


def test_az_nas_components() -> None:
    model, (images, labels) = az_network(), batch()
    maps = [images]
    for block in model[0]:
        maps.append(block(maps[-1]).detach())
    entropies = []
    for one in maps[1:]:
        columns = one.permute(0, 2, 3, 1).reshape(-1, one.shape[1]).numpy()
        shares = np.linalg.svd(columns - columns.mean(0), compute_uv=False) ** 2
        shares /= shares.sum()
        entropies.append(-(shares * np.log(shares + 1e-8)).sum())
    found = scores(model, images, labels, [name for name in PROXIES.names() if name.startswith("az_")], seed=7)
    assert found["az_expressivity"] == pytest.approx(sum(entropies))
    assert found["az_progressivity"] == pytest.approx(min(np.diff(entropies)))
    assert found["az_complexity"] == count(model.float(), (3, 7, 7)).macs


def test_az_nas_trainability() -> None:
    """The gradient through a 1x1 convolution is its transposed matrix; that of stride 2 fills every fourth pixel."""
    model, (images, labels) = az_network(), batch()
    torch.manual_seed(7)
    gains = []
    for matrix, (channels, side, stride) in ((model[0][1][0].weight, (4, 7, 1)), (model[0][2][0].weight, (6, 4, 2))):
        signs = torch.randint(0, 2, (6, channels, side, side)).double().numpy() * 2 - 1
        # Of each square's pixels, as channels, only the first one, channel by channel, got a gradient.
        given = np.zeros((6, 4, stride**2, side, side))
        given[:, :, 0] = np.einsum("oi,bohw->bihw", matrix.detach().numpy()[:, :, 0, 0], signs)
        given = given.reshape(6, -1, side, side)
        product = np.einsum("bihw,bohw->io", given, signs) / (6 * side * side)
        largest = np.linalg.svd(product, compute_uv=False).max()
        gains.append(2 - largest - 1 / (largest + 1e-6))
    assert score("az_trainability", model, images, labels, seed=7) == pytest.approx(np.mean(gains))


def test_az_nas_ranks_networks_by_all_components() -> None:
    names = ("az_expressivity", "az_progressivity", "az_trainability", "az_complexity")
    best, middle, last = dict.fromkeys(names, 3.0), dict.fromkeys(names, 2.0), dict.fromkeys(names, 1.0)
    found = az_nas([middle, best, last])
    assert found == pytest.approx([4 * log(2 / 3), 0, 4 * log(1 / 3)])
    incomplete = {name: 5.0 for name in names if name != "az_trainability"}
    assert az_nas([middle, incomplete])[1] == pytest.approx(log(1 / 2))
    assert az_nas([middle, middle]) == pytest.approx([4 * log(3 / 4)] * 2)


def test_blocks_of_the_ready_spaces() -> None:
    cell = build(Cell201(*["nor_conv_1x1"] * 6, cells=2, width=4), (3, 8, 8), 10, seed=0)
    stage = ["Cell", "Cell"]
    kinds = ["Sequential", *stage, "Reduction", *stage, "Reduction", *stage]
    assert [type(block).__name__ for block in blocks(cell)] == kinds
    staged = get_space("hybrid", (3, 16, 16), 1000).sample(0)
    stages = staged.stages
    expected = 2 + 2 * sum(len(stage.blocks) for stage in stages) + len(stages) - 1
    assert len(blocks(build(staged, (3, 16, 16), 10, seed=0))) == expected


@pytest.mark.parametrize("name", ["cell201", "mobile", "hybrid"])
def test_every_proxy_on_every_ready_space(name: str) -> None:
    space = get_space(name, (3, 16, 16), 1000)
    torch.manual_seed(0)
    images, labels = torch.randn(4, 3, 16, 16), torch.tensor([0, 1, 2, 3])
    seen = []
    for seed in range(2):
        model = build(space.sample(seed), (3, 16, 16), 10, seed=0)
        before = copy.deepcopy(model.state_dict())
        state = torch.get_rng_state()
        found = scores(model, images, labels)
        assert list(found) == PROXIES.names() and all(map(isfinite, found.values())), found
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
        assert torch.equal(state, torch.get_rng_state()) and model.training
        assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
        assert not any(module._forward_hooks for module in model.modules())
        seen.append(found)
    # Four pictures have but sixteen patterns.
    assert not [proxy for proxy in PROXIES.names() if proxy != "swap" and seen[0][proxy] == seen[1][proxy]]


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return load("digits")


def evaluated(architecture: Cell201, data: DataSet, seed: int = 0, **settings: object) -> Evaluation:
    context = Context(Path("."), seed, 1, data.inputs, data.outputs, data)
    return attempt(create("zero_cost", settings), Proposal(architecture, "a" * 32), context)


SMALL = Cell201("nor_conv_3x3", "skip_connect", "none", "nor_conv_1x1", "avg_pool_3x3", "skip_connect", 1, 4)


def test_the_evaluator_gives_a_metric_per_proxy(digits: DataSet) -> None:
    found = evaluated(SMALL, digits, batch_size=8)
    assert found.status is Status.OK and found.reason == ""
    assert list(found.values) == list(create("zero_cost").metrics()) == PROXIES.names()
    assert found.values == evaluated(SMALL, digits, batch_size=8).values
    one = found.metrics[0]
    assert (one.kind, one.unit, one.provenance.batch, one.provenance.threads) == ("measured", "score", 8, 1)
    assert digits.sha256[:8] in one.provenance.protocol and "seed=0" in one.provenance.protocol
    other = evaluated(SMALL, digits, seed=1, batch_size=8).values
    assert all(other[name] != found.values[name] for name in other if name not in ("swap", "az_complexity"))


def test_a_proxy_alone_scores_the_same(digits: DataSet) -> None:
    whole = evaluated(SMALL, digits, batch_size=8).values
    assert evaluated(SMALL, digits, batch_size=8, proxies="az_trainability, synflow").values == {
        name: whole[name] for name in ("az_trainability", "synflow")
    }


def test_scores_come_from_training_pictures_alone(digits: DataSet) -> None:
    spoiled = replace(
        digits,
        validation=digits.validation._replace(inputs=torch.zeros_like(digits.validation.inputs)),
        test=digits.test._replace(inputs=torch.zeros_like(digits.test.inputs)),
    )
    settings = {"batch_size": 8, "proxies": ["snip", "naswot"]}
    assert evaluated(SMALL, spoiled, **settings).values == evaluated(SMALL, digits, **settings).values
    assert len(evaluated(SMALL, digits, proxies=["az_complexity"], batch_size=10**6).metrics) == 1


def test_what_is_not_finite_is_left_out_with_a_reason(digits: DataSet) -> None:
    identity = Cell201(*["skip_connect"] * 3, *["none"] * 2, "skip_connect", cells=2, width=4)
    assert evaluated(identity, digits, batch_size=8, proxies=["az_trainability"]).status is Status.OK
    unchanged = replace(identity, op_0_1="none", op_0_2="skip_connect", op_1_2="none")
    found = evaluated(unchanged, digits, batch_size=8, proxies=["az_trainability", "synflow"])
    assert found.status is Status.OK and list(found.values) == ["synflow"]
    assert found.reason == "zero_cost: not finite: az_trainability"
    alone = evaluated(unchanged, digits, batch_size=8, proxies=["az_trainability"])
    assert alone.status is Status.DIVERGED and alone.reason.endswith("az_trainability") and not alone.metrics


def test_wrong_use(digits: DataSet) -> None:
    with pytest.raises(WrongUse, match=r"no proxy is named 'synfow'.*synflow"):
        create("zero_cost:synfow")
    with pytest.raises(WrongUse, match="batch_size must be an integer of 2 or more"):
        create("zero_cost", {"batch_size": 1})
    with pytest.raises(WrongUse, match="need a batch of a data set"):
        create("zero_cost").prepare(Context(Path(".")))
    late = Context(Path("."), 0, 1, digits.inputs, digits.outputs, digits, timeout_s=0.0)
    assert attempt(create("zero_cost:synflow"), Proposal(SMALL, "a"), late).status is Status.TIMED_OUT


def test_a_proxy_of_one_s_own(digits: DataSet, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def brightness(model, images, labels):\n    return images.mean()\n")
    found = evaluated(SMALL, digits, batch_size=8, proxies=[f"{file}:brightness"])
    assert list(found.values) == ["brightness"]
