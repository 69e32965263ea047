"""Counts, against torch's own counter and against formulas."""

from pathlib import Path

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from archfront.contracts import Context, Proposal, Status
from evaluators.base import attempt, create
from evaluators.cost import count
from search_spaces.building import build
from search_spaces.spaces import get_space


def counted_by_torch(model: nn.Module, inputs: tuple[int, ...]) -> float:
    """Multiply-accumulates by torch's counter, on the meta device: on the CPU it misses fused attention."""
    model = model.to("meta").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros((1, *inputs), device="meta"))
    return counter.get_total_flops() / 2


@pytest.mark.parametrize("name", ["cell201", "mobile", "hybrid"])
def test_macs_agree_with_torch(name: str) -> None:
    space = get_space(name)
    for seed in range(2):
        model = build(space.sample(seed), (3, 32, 32), 10, seed=0)
        assert count(model, (3, 32, 32))["macs"] == counted_by_torch(model, (3, 32, 32))


def test_macs_agree_with_fvcore() -> None:
    """On a network without attention, fvcore's own analysis, normalizations and pooling set aside, says the same."""
    model = build(get_space("cell201").sample(5), (3, 32, 32), 10, seed=0).eval()
    counted = FlopCountAnalysis(model, torch.zeros(1, 3, 32, 32)).unsupported_ops_warnings(False)
    by_operator = counted.by_operator()
    assert count(model, (3, 32, 32))["macs"] == by_operator["conv"] + by_operator["linear"]


class Attention(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = x.view(1, 2, -1, 4)
        return functional.scaled_dot_product_attention(heads, heads, heads)


def test_formulas() -> None:
    convolution = nn.Conv2d(4, 8, 3, padding=1, groups=2)
    assert count(convolution, (4, 6, 5)) == {"params": 8 * 2 * 9 + 8, "macs": 8 * 30 * 2 * 9, "activations": 240}
    assert count(nn.Linear(6, 5), (6,)) == {"params": 35, "macs": 30, "activations": 5}
    assert count(nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()), (4, 6, 5)) == {"params": 8, "macs": 0, "activations": 0}
    assert count(Attention(), (2, 3, 4)) == {"params": 0, "macs": 2 * 3 * 3 * 8, "activations": 24}
    transposed = nn.ConvTranspose2d(4, 2, 2, stride=2, bias=False)
    assert count(transposed, (4, 3, 3))["macs"] == 4 * 9 * 2 * 4 == counted_by_torch(transposed, (4, 3, 3))


class Products(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x[0]
        return torch.baddbmm(x @ x, x, torch.einsum("bij,bjk->bik", x, x)) @ x[0, 0]


def test_matrix_products_agree_with_torch() -> None:
    # einsum and three products of 3 matrices of 4 x 4, the last with a vector, which torch's counter leaves out.
    assert count(Products(), (3, 4, 4))["macs"] == 3 * 3 * 64 + 3 * 16


@torch.library.custom_op("archfront_test::twice", mutates_args=())
def twice(x: torch.Tensor) -> torch.Tensor:
    return x * 2


@pytest.mark.parametrize("model", [nn.LSTM(4, 4), nn.Sequential(nn.ReLU())])
def test_what_cannot_be_counted_is_refused(model: nn.Module) -> None:
    if isinstance(model, nn.Sequential):
        model[0].forward = lambda x: torch.ops.archfront_test.twice(x)
    with pytest.raises(NotImplementedError, match="has no count; add it"):
        count(model, (5, 4))


def test_counting_leaves_the_mode_alone() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5))
    before = model[1].running_mean.clone()
    count(model, (3, 4, 4))
    assert model.training and torch.equal(model[1].running_mean, before)


def test_the_evaluator(tmp_path: Path) -> None:
    space = get_space("cell201")
    architecture = space.sample(1)
    evaluator = create("cost")
    context = Context(tmp_path, inputs=(3, 32, 32), outputs=10)
    found = attempt(evaluator, Proposal(architecture, "d"), context)
    model = build(architecture, (3, 32, 32), 10)
    assert found.status is Status.OK and found.values["params"] == sum(p.numel() for p in model.parameters())
    odd = attempt(evaluator, Proposal(architecture, "d"), Context(tmp_path, inputs=(3, 7, 7), outputs=10))
    assert odd.status is Status.UNSUPPORTED and "multiples of 4" in odd.reason
