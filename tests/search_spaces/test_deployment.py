"""Folding: wherever a layer and a batch normalization feed each other alone, whatever module they stand in."""

import copy
from collections.abc import Callable

import search_spaces.torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)
import pytest
import torch
from timm.layers import BatchNormAct2d, ConvNormAct, Mlp, StdConv2d
from timm.layers.padding import pad_same
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrizations import weight_norm

from search_spaces.blocks.token_mixer.inception_conv import ChannelDilatedConv
from search_spaces.deployment import deployed, unfolded


class Own(nn.Module):
    """A module of one's own: children by name, and a forward that is given."""

    def __init__(self, run: Callable[..., torch.Tensor], **children: nn.Module) -> None:
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)
        self.run = run

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.run(self, x)


class Masked(nn.Module):
    """Normalizes a convolution's output, or what a mask leaves of it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        y = self.conv(x)
        return self.norm(y if mask is None else y * mask)


def own(run: Callable[..., torch.Tensor], channels: int = 4, **children: nn.Module) -> Own:
    """One with a 3x3 convolution and a batch normalization that fit each other."""
    return Own(run, conv=nn.Conv2d(channels, channels, 3, padding=1), norm=nn.BatchNorm2d(channels), **children)


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, _BatchNorm) for module in model.modules())


def randomise(model: nn.Module) -> nn.Module:
    """In float64, all weights and statistics drawn: what is zero or one hides mistakes."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in model.double().state_dict(keep_vars=True).items():
        if tensor.is_floating_point():
            low = 0.5 if name.endswith("var") else -0.5
            tensor.data.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + low)
    return model.eval()


def check(model: nn.Module, inputs: tuple[int, ...], left: int) -> nn.Module:
    """The deployed form gives the same outputs, has `left` batch normalizations, and none that should be folded."""
    x = torch.randn(3, *inputs, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    network = deployed(randomise(model))
    with torch.no_grad():
        expected, got = model(x), network(x)
    assert (expected - got).abs().max() <= 1e-10 * max(1.0, expected.abs().max().item())
    assert norms(network) == left
    assert norms(model) > 0 and unfolded(network, inputs) == []
    return network


FOLDED = {
    "own module": (own(lambda m, x: functional.relu(m.norm(m.conv(x)))), (4, 6, 5)),
    "residual": (own(lambda m, x: x + functional.relu(m.norm(m.conv(x)))), (4, 6, 5)),
    "norm, then layer": (
        Own(lambda m, x: m.fc(m.norm(x)) + x, fc=nn.Conv2d(4, 4, 1), norm=nn.BatchNorm2d(4)),
        (4, 6, 5),
    ),
    "groups behind": (
        Own(lambda m, x: m.fc(m.norm(x)), fc=nn.Conv2d(4, 6, 2, stride=2, groups=2), norm=nn.BatchNorm2d(4)),
        (4, 6, 6),
    ),
    "two norms in front": (nn.Sequential(nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.Conv2d(4, 6, 1)), (4, 6, 5)),
    "activation inside": (
        Own(lambda m, x: m.norm(m.conv(x)) * 2, conv=nn.Conv2d(4, 6, 3), norm=BatchNormAct2d(6)),
        (4, 6, 5),
    ),
    "timm's composite": (ConvNormAct(4, 6, 3), (4, 6, 5)),
    "identity between": (own(lambda m, x: m.norm(m.skip(m.conv(x))), skip=nn.Sequential(nn.Dropout(0.5))), (4, 6, 5)),
    "list": (
        Own(
            lambda m, x: m.layers[1](m.layers[0](x)),
            layers=nn.ModuleList([nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6)]),
        ),
        (4, 6, 5),
    ),
    "sequence that is iterated over": (
        Own(
            lambda m, x: [x := layer(x) for layer in m.layers][-1],
            layers=nn.Sequential(nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6), nn.ReLU()),
        ),
        (4, 6, 5),
    ),
    "two levels": (Own(lambda m, x: m.a(x) + x, a=own(lambda m, x: m.norm(m.conv(x)).relu())), (4, 6, 5)),
    "boundaries on both sides": (
        nn.Sequential(
            nn.Conv2d(4, 6, 3),
            nn.Sequential(nn.Sequential(nn.Identity()), Own(lambda m, x: m.norm(x).relu(), norm=nn.BatchNorm2d(6))),
            nn.Sequential(nn.BatchNorm2d(6), Own(lambda m, x: m.inner(x), inner=Mlp(6, 8, use_conv=True))),
            Own(lambda m, x: m.norm(x).tanh(), norm=nn.BatchNorm2d(6)),
        ),
        (4, 6, 5),
    ),
    "rows": (
        nn.Sequential(nn.BatchNorm1d(4), Own(lambda m, x: m.b(m.a(x)), a=nn.Linear(4, 6), b=nn.BatchNorm1d(6))),
        (4,),
    ),
    "sequence": (Own(lambda m, x: m.b(m.a(x)), a=nn.Conv1d(4, 6, 3, bias=False), b=nn.BatchNorm1d(6)), (4, 9)),
    "volume": (Own(lambda m, x: m.b(m.a(x)), a=nn.Conv3d(4, 6, 3, groups=2), b=nn.BatchNorm3d(6)), (4, 5, 4, 3)),
    "transposed": (
        Own(lambda m, x: m.b(m.a(x)), a=nn.ConvTranspose2d(4, 6, 3, 2, groups=2), b=nn.BatchNorm2d(6)),
        (4, 5, 4),
    ),
    "transposed, one side": (nn.Sequential(nn.ConvTranspose1d(4, 6, 3, bias=False), nn.BatchNorm1d(6)), (4, 5)),
    "no weights": (nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6, affine=False)), (4, 5, 4)),
    "own forward that is linear": (
        nn.Sequential(ChannelDilatedConv(4, 3, ((1, 2), (2, 1))), nn.BatchNorm2d(4)),
        (4, 6, 5),
    ),
    "optional argument": (nn.Sequential(nn.ReLU(), Masked()), (4, 6, 5)),
    "called alike in two places": (
        Own(lambda m, x: m.block(m.block(x)), block=own(lambda m, x: m.norm(m.conv(x)).relu())),
        (4, 6, 5),
    ),
}


@pytest.mark.parametrize("name", FOLDED)
def test_what_can_be_folded_is(name: str) -> None:
    model, inputs = FOLDED[name]
    check(copy.deepcopy(model), inputs, left=0)


def shared_layer() -> nn.Module:
    conv = nn.Conv2d(4, 4, 3, padding=1)
    return nn.Sequential(
        conv, nn.BatchNorm2d(4), nn.ReLU(), own(lambda m, x: m.norm(m.conv(x)) + m.again(x), again=conv)
    )


def tied_layer() -> nn.Module:
    conv = nn.Conv2d(4, 4, 1)
    return nn.Sequential(Own(lambda m, x: m.again(x).relu(), again=conv), nn.Sequential(conv, nn.BatchNorm2d(4)))


def hooked() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    model[0].register_forward_hook(lambda module, inputs, output: output * 2)
    return model


class SameConv(nn.Conv2d):
    """Pads by itself, so that what comes before it can't be folded into it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(pad_same(x, [3, 3], [1, 1]))


KEPT = {
    "output used twice": (own(lambda m, x: m.norm(y := m.conv(x)) + y), 1),
    "output returned, too": (own(lambda m, x: torch.cat([y := m.conv(x), m.norm(y)], 1)), 1),
    "changed in place": (own(lambda m, x: m.norm(m.conv(x).relu_())), 1),
    "layer called twice": (own(lambda m, x: m.norm(m.conv(x)) + m.conv(x).relu()), 1),
    "norm called twice": (own(lambda m, x: m.norm(m.norm(m.conv(x)))), 1),
    "module called twice": (
        Own(lambda m, x: m.norm(m.a(m.a(x))), a=nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 1)), norm=nn.BatchNorm2d(4)),
        1,
    ),
    "called past its owner": (
        Own(lambda m, x: m.norm(m.a[0](x)) + m.a(x), a=nn.Sequential(nn.Conv2d(4, 4, 1)), norm=nn.BatchNorm2d(4)),
        1,
    ),
    "in two places": (shared_layer(), 1),
    "in two places, one of them without norms": (tied_layer(), 1),
    "weight used by another": (
        own(lambda m, x: m.norm(m.conv(x)) + functional.conv2d(x, m.conv.weight, padding=1)),
        1,
    ),
    "weight norm": (nn.Sequential(weight_norm(nn.Conv2d(4, 4, 1)), nn.BatchNorm2d(4)), 1),
    "standardized weights": (nn.Sequential(StdConv2d(4, 4, 3), nn.BatchNorm2d(4)), 1),
    "pads by itself": (nn.Sequential(nn.BatchNorm2d(4), SameConv(4, 4, 3)), 1),
    "padded": (nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding="same")), 1),
    "in front of a transposed one": (nn.Sequential(nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 4, 3)), 1),
    "behind an activation": (nn.Sequential(nn.Conv2d(4, 4, 1), BatchNormAct2d(4), nn.BatchNorm2d(4)), 1),
    "hook": (hooked(), 1),
    "other channels": (own(lambda m, x: m.norm(torch.cat([m.conv(x), x], 1)[:, :4])), 1),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_can_not_be_folded_stays_exact(name: str) -> None:
    model, left = KEPT[name]
    check(copy.deepcopy(model), (4, 6, 5), left)


def test_what_can_not_be_traced_is_opaque_and_its_children_are_not() -> None:
    """Which way it goes depends on the values, so that what is around isn't known; what is in its children is."""
    inner = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    model = own(lambda m, x: m.norm(m.conv(x)) if x.sum() > 1e9 else m.norm(m.inner(x)), inner=inner)
    x = torch.randn(3, 4, 6, 5, dtype=torch.float64)
    network = deployed(randomise(model))
    torch.testing.assert_close(network(x), model(x), rtol=1e-10, atol=1e-10)
    assert norms(network) == 1 and not isinstance(network.norm, nn.Identity)


def test_what_is_also_kept_in_a_plain_list_stays() -> None:
    """The list would go on to call the normalization after another module has taken its place."""
    model = own(lambda m, x: m.kept[1](m.kept[0](x)))
    model.kept = (model.conv, model.norm)
    x = torch.randn(3, 4, 6, 5, dtype=torch.float64)
    network = deployed(randomise(model))
    torch.testing.assert_close(network(x), model(x), rtol=1e-10, atol=1e-10)
    assert norms(network) == 1


def test_a_forward_that_keeps_what_it_sees_keeps_no_proxies() -> None:
    def run(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
        module.last = module.norm(module.conv(x))
        return module.last

    network = deployed(randomise(own(run)))
    assert norms(network) == 0 and not hasattr(network, "last")
    assert "forward" not in vars(network.conv) and type(network.conv._parameters) is dict
    copy.deepcopy(network)


def test_a_branch_on_an_argument_is_traced_as_it_is_called() -> None:
    """One module called with a mask and without: what holds in one case only isn't folded."""
    check(Own(lambda m, x: m.a(m.a(x), x), a=Masked()), (4, 6, 5), left=1)
    check(Own(lambda m, x: m.a(x, x.tanh()), a=Masked()), (4, 6, 5), left=1)
    check(Own(lambda m, x: m.a(m.a(x), mask=None), a=Masked()), (4, 6, 5), left=1)
    check(Own(lambda m, x: m.a(x, None), a=Masked()), (4, 6, 5), left=0)


def test_a_linear_layer_on_other_than_rows_is_refused() -> None:
    """There the normalization is over the second axis, the layer over the last: nothing that folds."""
    network = deployed(randomise(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))))
    with pytest.raises(NotImplementedError, match=r"\(batch, features\), not 3 axes") as caught:
        network(torch.ones(2, 4, 4, dtype=torch.float64))
    assert "\n" not in str(caught.value)


def test_what_was_not_folded_is_named() -> None:
    """As of networks that nobody deployed; a norm that can't be folded is none of these."""
    model = nn.Sequential(own(lambda m, x: m.norm(m.conv(x))), nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6), nn.BatchNorm2d(6))
    assert unfolded(model.eval(), (4, 6, 5)) == ["0.norm", "2"]
    assert unfolded(deployed(model), (4, 6, 5)) == []
