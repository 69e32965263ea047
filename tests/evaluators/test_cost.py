"""The evaluator of costs: counts, against torch's own counter and fvcore's, and how they are recorded."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from archfront.contracts import Context, Evaluation, Proposal, Provenance, Status
from evaluators.base import attempt, create
from evaluators.datasets import load
from search_spaces.building import build
from search_spaces.counting import count
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
        assert count(model, (3, 32, 32)).macs == counted_by_torch(model, (3, 32, 32))


def test_macs_agree_with_fvcore() -> None:
    """On a network without attention, fvcore's own analysis, normalizations and pooling set aside, says the same."""
    model = build(get_space("cell201").sample(5), (3, 32, 32), 10, seed=0).eval()
    counted = FlopCountAnalysis(model, torch.zeros(1, 3, 32, 32)).unsupported_ops_warnings(False)
    by_operator = counted.by_operator()
    assert count(model, (3, 32, 32)).macs == by_operator["conv"] + by_operator["linear"]


def test_the_evaluator(tmp_path: Path) -> None:
    space = get_space("cell201")
    architecture = space.sample(1)
    evaluator = create("cost")
    context = Context(tmp_path, inputs=(3, 32, 32), outputs=10)
    found = attempt(evaluator, Proposal(architecture, "d"), context)
    model = build(architecture, (3, 32, 32), 10)
    assert found.status is Status.OK and found.values["params"] == sum(p.numel() for p in model.parameters())
    assert all(metric.summary is None and metric.provenance == Provenance() for metric in found.metrics)
    odd = attempt(evaluator, Proposal(architecture, "d"), Context(tmp_path, inputs=(3, 7, 7), outputs=10))
    assert odd.status is Status.UNSUPPORTED and "multiples of 4" in odd.reason


class Routed(nn.Module):
    """A linear layer that only bright pictures take."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.flatten(1)) if x.mean() > 0 else x.new_zeros(len(x), 10)


def test_what_depends_on_the_data_is_a_mean_over_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluators.cost.build", lambda *_, **__: Routed())
    data = load("digits")
    context = Context(tmp_path, inputs=data.inputs, outputs=data.outputs, data=data)
    found = attempt(create("cost"), Proposal(None, "d"), context)
    pictures = data.train.inputs[:: data.train.size // 16][:16]
    bright = sum(float(data.prepared(picture[None]).mean()) > 0 for picture in pictures)
    assert 0 < bright < 16
    params, macs, activations = found.metrics
    assert (params.value, macs.value, activations.value) == (640, 640 * bright / 16, 10 * bright / 16)
    assert params.summary is None and macs.summary is not None and activations.summary is not None
    assert (macs.summary.n, macs.summary.p10, macs.summary.p99) == (16, 0, 640)
    assert macs.provenance.protocol == "measured"
    assert Evaluation.from_json(found.proposal, found.to_json()) == found
    without: Any = attempt(create("cost"), Proposal(None, "d"), Context(tmp_path, inputs=data.inputs, outputs=10))
    assert without.metrics[1].provenance.protocol == "measured on random inputs"


def test_what_cannot_be_counted_is_an_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @torch.library.custom_op("archfront_test::twice", mutates_args=())
    def twice(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    model = nn.ReLU()
    model.forward = twice  # type: ignore[method-assign]
    monkeypatch.setattr("evaluators.cost.build", lambda *_, **__: model)
    found = attempt(create("cost"), Proposal(SimpleNamespace(), "d"), Context(tmp_path, inputs=(1, 4, 4), outputs=2))
    assert found.status is Status.UNSUPPORTED
    assert (
        'archfront_test::twice has no count; say it beside the part with @counts("archfront_test::twice")'
        in found.reason
    )
