"""Counting by tracing, and by running where a trace would not be faithful: against formulas, and each other."""

from collections.abc import Callable, Iterator
from math import log2
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from search_spaces import SpaceError, counting
from search_spaces.building import build
from search_spaces.counting import Counted, count
from search_spaces.declarations import OPERATORS, counts
from search_spaces.example_inputs import no_inputs
from search_spaces.spaces import SPACES, get_space


class Run(nn.Module):
    """A module of a function and the layers that it uses."""

    def __init__(self, run: Callable[..., torch.Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.run = run

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.run(self.layers, x)


def measured(model: nn.Module, inputs: tuple[int, ...]) -> tuple[float, float]:
    """Multiply-accumulates and activations by running, whether or not a trace would do."""
    with torch.no_grad():
        (found,) = counting._measured(model.eval(), no_inputs(model, inputs))
    return found


OTHERS: dict[str, tuple[int, ...]] = {
    "sequence": (50, 20),
    "language": (50, 20),
    "tabular": (7,),
    "tabular_tokens": (7,),
}
"""The inputs of the spaces that aren't for pictures."""
HOW = dict.fromkeys(("families", "timm"), ("traced", "measured on random inputs"))
"""Networks with layers of timm's may not be traceable; those are run to be counted."""


@pytest.mark.parametrize("name", SPACES.names())
def test_both_ways_count_the_same(name: str) -> None:
    inputs = OTHERS.get(name, (3, 32, 32))
    space = get_space(name, inputs, 50_000)
    for seed in range(20):
        model = build(space.sample(seed), inputs, 10, seed=0)
        found = count(model, inputs)
        assert found.how in HOW.get(name, ("traced",)) and found.macs_spread is None
        assert (found.macs, found.activations) == measured(model, inputs)


EQUAL: dict[str, tuple[nn.Module, tuple[int, ...], float]] = {
    "transposed": (nn.ConvTranspose2d(4, 2, 2, stride=2), (4, 3, 3), 4 * 9 * 2 * 4),
    "tokens": (nn.Linear(6, 5), (7, 6), 7 * 6 * 5),
    "sequence": (nn.Conv1d(4, 6, 3, groups=2), (4, 9), 6 * 7 * 2 * 3),
    "attention": (
        Run(lambda _, x: functional.scaled_dot_product_attention(x, x[..., :2, :], x[..., :2, :])),
        (2, 3, 4),
        2 * 3 * 2 * 8,
    ),
    "masked attention": (
        Run(lambda _, x: functional.scaled_dot_product_attention(x, x, value=x[..., :2], is_causal=True)),
        (2, 3, 4),
        2 * 3 * 3 * 6,
    ),
    "einsum": (Run(lambda _, x: torch.einsum("nij,njk->nik", x, x)), (3, 3), 27),
    "bilinear": (Run(lambda layers, x: layers[0](x, x), nn.Bilinear(3, 3, 5)), (3,), 45),
    "products": (Run(lambda _, x: torch.baddbmm(x, x, x) @ x[:, 0, :, None] + torch.mv(x[0], x[0, 0])), (3, 3), 45),
    "vectors": (Run(lambda _, x: torch.dot(x[0], x[0])), (7,), 7),
}


@pytest.mark.parametrize("name", EQUAL)
def test_formulas(name: str) -> None:
    """Fused kernels, too, are counted alike: attention gives out (queries, width of values)."""
    model, inputs, macs = EQUAL[name]
    found = count(model, inputs)
    assert found.how == "traced" and found.macs == macs
    assert (found.macs, found.activations) == measured(model, inputs)


def test_kernels_of_attention_by_themselves() -> None:
    """As they run inside of functions that are seen as a whole, such as torch's multi-head attention."""
    attention = nn.MultiheadAttention(4, 2, bias=False, batch_first=True)
    model = Run(lambda layers, x: layers[0](x, x, x, need_weights=False)[0], attention)
    expected = 5 * 4 * 12 + 2 * 5 * 5 * 4 + 5 * 4 * 4
    assert count(model, (5, 4)).macs == measured(model, (5, 4))[0] == expected


class Experts(nn.Module):
    """The best `top` of four experts for each picture, each with work of its own: a linear layer of 2 to 5 outputs."""

    def __init__(self, top: int = 2) -> None:
        super().__init__()
        self.top = top
        self.gate = nn.Linear(3, 4, bias=False)
        self.experts = nn.ModuleList(nn.Linear(3, 2 + i, bias=False) for i in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        chosen = self.gate(x).topk(self.top).indices
        total = x.new_zeros(len(x))
        for number, expert in enumerate(self.experts):
            rows = (chosen == number).any(1).nonzero()[:, 0]
            if len(rows):
                total = total.index_add(0, rows, expert(x[rows]).sum(1))
        return total


def test_experts_are_measured_on_examples() -> None:
    torch.manual_seed(0)
    model, examples = Experts(), torch.randn(20, 3)
    found = count(model, (3,), examples)
    chosen = (examples[:16] @ model.gate.weight.T).topk(2).indices
    expected = [12 + sum(3 * (2 + int(number)) for number in row) for row in chosen]
    assert len(set(expected)) > 2
    assert found.how == "measured" and found.macs == pytest.approx(sum(expected) / 16)
    assert found.activations == pytest.approx(4 + (sum(expected) / 16 - 12) / 3)
    spread = found.macs_spread
    quantiles = torch.tensor(expected, dtype=torch.float64).quantile(torch.tensor([0.1, 0.5, 0.9, 0.99]).double())
    assert spread is not None and spread.n == 16
    assert (spread.p10, spread.p50, spread.p90, spread.p99) == pytest.approx(quantiles.tolist())
    assert found == count(model, (3,), examples)


def test_without_examples_inputs_are_drawn_which_is_said() -> None:
    torch.manual_seed(0)
    model = Experts()
    state = torch.random.get_rng_state()
    found = count(model, (3,))
    assert found.how == "measured on random inputs" and found.macs_spread is not None
    assert torch.equal(state, torch.random.get_rng_state())


def test_examples_that_cost_the_same_have_no_spread() -> None:
    model = Experts(top=4)
    found = count(model, (3,), torch.randn(5, 3))
    assert found == Counted(found.params, 12 + 3 * 14, 4 + 14, None, None, "measured")


READERS: dict[str, Callable[[nn.ModuleList, torch.Tensor], torch.Tensor]] = {
    "mask": lambda layers, x: layers[0](x[x[:, 0] > 0]),
    "masked_select": lambda layers, x: layers[0](torch.masked_select(x, x[:, :1] > 0).view(-1, 3)),
    "where": lambda layers, x: layers[0](x[torch.where(x[:, 0] > 0)[0]]),
    "item": lambda layers, x: layers[0](x[: int(x[0, 0].item() > 0)]),
    "bool": lambda layers, x: layers[0](x) if x[0, 0] > 0 else x,
    "tolist": lambda layers, x: layers[0](x) if x.tolist()[0][0] > 0 else x,
    "numpy": lambda layers, x: layers[0](x) if x.numpy()[0, 0] > 0 else x,
    "unique": lambda layers, x: layers[0](x[: len(torch.cat([x[0, :1].relu(), x.new_zeros(1)]).unique()) - 1]),
    "repeat": lambda layers, x: layers[0](x.repeat_interleave((x[:, 0] > 0).long(), 0)),
    "equal": lambda layers, x: x if torch.equal(x, -x.abs()) else layers[0](x),
}


@pytest.mark.parametrize("name", READERS)
def test_whatever_looks_at_values_is_measured(name: str) -> None:
    """A linear layer that only some examples reach: all of one sign, so that each way to look sees the same."""
    signs = torch.tensor([1, -1, 1, 1]).view(-1, 1)
    found = count(Run(READERS[name], nn.Linear(3, 5)), (3,), signs * (torch.rand(4, 3) + 0.1))
    assert found.how == "measured" and found.macs_spread is not None
    assert found.macs == 15 * 3 / 4


def test_a_path_that_is_always_the_same_is_run_once() -> None:
    """A function of Python, which no trace goes through, on the first example alone."""
    seen = []

    class Own(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
            seen.append(len(x))
            return x @ weight

        @staticmethod
        def backward(ctx: Any, *gradients: torch.Tensor) -> None:
            raise NotImplementedError

    model = Run(lambda layers, x: Own.apply(x, layers[0].weight), nn.Linear(4, 3))
    found = count(model, (3,), torch.randn(9, 3))
    assert (found.macs, found.activations, found.how, found.macs_spread) == (12, 4, "measured", None)
    assert seen == [1, 1], "once by the tracer, once on an example"


def test_compiled_code_is_run() -> None:
    """A trace holds it as one call, or as branches of which one is taken."""

    @torch.jit.script
    def branch(x: torch.Tensor) -> torch.Tensor:
        if bool(x.sum() > 0):
            x = x @ x
        return x

    examples = torch.tensor([1.0, -1.0]).view(2, 1, 1).expand(2, 3, 3)
    found = count(Run(lambda _, x: branch(x)), (3, 3), examples)
    assert (found.how, found.macs) == ("measured", 27 / 2)


def test_a_scan_in_a_loop() -> None:
    """One step after the other, each a product: with a fixed number of steps a trace holds them all."""

    def scan(layers: nn.ModuleList, x: torch.Tensor) -> torch.Tensor:
        state = x[:, 0]
        for step in range(1, 6):
            state = torch.tanh(layers[0](state)) + x[:, step]
        return state

    model = Run(scan, nn.Linear(4, 4))
    assert count(model, (6, 4)).macs == measured(model, (6, 4))[0] == 5 * 16


FOURIER: dict[str, tuple[Callable[[Any, torch.Tensor], torch.Tensor], float]] = {
    "complex": (lambda _, x: torch.fft.fft(torch.complex(x, x)).real, 2 * (4 * 8 * 16) * log2(16)),
    "real": (lambda _, x: torch.fft.rfft(x).real, (4 * 8 * 16) * log2(16)),
    "there and back": (lambda _, x: torch.fft.irfft2(torch.fft.rfft2(x)), 2 * (4 * 8 * 16) * log2(8 * 16)),
    "filter": (
        lambda _, x: torch.einsum("nchw,cd->ndhw", torch.complex(x, x), torch.ones(4, 3, dtype=torch.cfloat)).abs(),
        4 * (4 * 3 * 8 * 16),
    ),
}


@pytest.mark.parametrize("name", FOURIER)
def test_fourier_transforms(name: str) -> None:
    """2·N·log2 N for N points, half of it for real ones; a product of complex numbers is four of real ones."""
    run, macs = FOURIER[name]
    assert count(Run(run), (4, 8, 16)).macs == macs


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_recurrent_layers(kind: type[nn.RNNBase], gates: int) -> None:
    """A product with the input and one with the state, per step, gate, direction and layer."""
    layer = kind(3, 5, num_layers=2, bidirectional=True, batch_first=True)
    model = Run(lambda layers, x: layers[0](x)[0], layer)
    found = count(model, (7, 3))
    assert found.how.startswith("measured")
    assert found.macs == 7 * 2 * gates * 5 * ((3 + 5) + (10 + 5))


def test_a_layer_of_torch_that_runs_as_one_kernel() -> None:
    """Its fast path is not taken meanwhile."""
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    expected = 6 * 8 * 24 + 2 * 6 * 6 * 8 + 6 * 8 * 8 + 2 * 6 * 8 * 16
    assert count(model, (6, 8)).macs == expected
    assert torch.backends.mkldnn.enabled == torch.backends.mkldnn.is_available()


def test_same_padding_is_counted() -> None:
    found = count(nn.Conv2d(4, 8, 3, padding="same"), (4, 6, 5))
    assert (found.macs, found.activations) == (8 * 30 * 4 * 9, 240)


def test_distances() -> None:
    assert count(Run(lambda _, x: torch.cdist(x, x)), (6, 4)).macs == 6 * 6 * 4


@torch.library.custom_op("archfront_counting::scan", mutates_args=())
def scan(x: torch.Tensor, times: int = 3) -> torch.Tensor:
    return x * times


@pytest.fixture
def clean() -> Iterator[None]:
    """Declared counts are taken back."""
    before = dict(OPERATORS)
    yield
    OPERATORS.clear()
    OPERATORS.update(before)


@pytest.mark.usefixtures("clean")
def test_an_operator_of_ones_own_is_refused_until_it_is_counted() -> None:
    model = Run(lambda _, x: torch.ops.archfront_counting.scan(x, times=5))
    reason = (
        'the operator archfront_counting::scan has no count; say it beside the part with @counts("archfront_counting::'
    )
    with pytest.raises(NotImplementedError) as caught:
        count(model, (5, 4))
    assert str(caught.value).startswith(reason) and "\n" not in str(caught.value)

    @counts("archfront_counting::scan")
    def _(inputs: list[Any], outputs: list[Any]) -> float:
        assert outputs == [(1, 5, 4)]
        (batch, steps, channels), times = inputs
        return batch * steps * channels * times

    found = count(model, (5, 4))
    assert (found.macs, found.activations, found.how) == (100, 20, "traced")
    assert measured(model, (5, 4)) == (100, 20)
    usual = Run(lambda _, x: torch.ops.archfront_counting.scan(x) if x.sum() < 9 else x)
    assert count(usual, (5, 4), torch.tensor([0.0, 1.0]).view(2, 1, 1).expand(2, 5, 4)).macs == 60 / 2


@pytest.mark.usefixtures("clean")
def test_operators_that_multiply_are_not_free() -> None:
    """An operator of torch that costs and that nobody counted is refused, and can be counted by the user."""
    model = Run(lambda _, x: torch.linalg.solve(x @ x.mT + torch.eye(4), x))
    with pytest.raises(NotImplementedError, match=r"aten::_linalg_solve_ex has no count"):
        count(model, (4, 4))
    counts("aten::_linalg_solve_ex")(lambda inputs, outputs: 4**3)
    assert count(model, (4, 4)).macs == 2 * 4**3


@pytest.mark.usefixtures("clean")
def test_wrong_declarations_say_why() -> None:
    with pytest.raises(SpaceError, match="takes an operator's name, as mylib::scan, not 'scan'"):
        counts("scan")

    def elsewhere(inputs: list[Any], outputs: list[Any]) -> float:
        return 0

    elsewhere.__module__ = "elsewhere"
    counts("archfront_counting::other")(elsewhere)
    with pytest.raises(SpaceError, match="is counted in elsewhere and in"):
        counts("archfront_counting::other")(lambda inputs, outputs: 0)


def test_counting_leaves_the_mode_alone() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5))
    before = model[1].running_mean.clone()
    count(model, (3, 4, 4))
    assert model.training and torch.equal(model[1].running_mean, before)


def test_a_network_that_fails_says_so_itself() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        count(nn.Linear(3, 4), (5,))


def test_measuring_agrees_with_torch() -> None:
    model = Run(lambda layers, x: layers[0](x[x.mean((1, 2, 3)) < 99]), nn.Conv2d(3, 8, 3))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, 9, 9))
    assert count(model, (3, 9, 9)).macs == counter.get_total_flops() / 2
