"""The conformance suite fails for parts with faults that were put in on purpose, and passes them without."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces import FAMILIES, Part, Site, part
from search_spaces.declarations import OPERATORS, counts
from search_spaces.testing import PartConformance

SHAPE = (16, 6, 6)
QKV = {"qkv.weight": 3, "qkv.bias": 3}


@pytest.fixture(autouse=True)
def _gone_afterwards() -> Iterator[None]:
    before = {name: set(FAMILIES[name]._entries) for name in ("token_mixer", "channel_mixer")}
    yield
    for name, known in before.items():
        for added in set(FAMILIES[name]._entries) - known:
            del FAMILIES[name]._entries[added]
    OPERATORS.pop("faults::double", None)


class FusedAttention(nn.Module):
    """One head over all positions, queries, keys and values by one layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).flatten(2).transpose(1, 2).chunk(3, 2)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).reshape(x.shape))


def attention(chunks: dict[str, int]) -> Part:
    @part("token_mixer", f"fused_{len(chunks)}", source="A test", sliced=True, chunks=chunks)
    class Fused(Part):
        """Attention of one head."""

        def build(self, site: Site) -> nn.Module:
            return FusedAttention(site.channels)

    return Fused()  # type: ignore[return-value]


def test_unsliced_queries_keys_and_values_fail() -> None:
    suite = PartConformance()
    suite.test_slices_keep_their_roles((attention(QKV), SHAPE))
    with pytest.raises(AssertionError, match=r"rows of fused_0's '.*qkv\.weight' have no influence in a wider network"):
        suite.test_slices_keep_their_roles((attention({}), SHAPE))


class Normed(nn.Module):
    """A convolution and its normalization in a forward pass that no tracer can follow."""

    def __init__(self, channels: int, merges: bool) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)
        if merges:
            self.reparameterize = self._merge

    def _merge(self) -> None:
        self.conv, self.norm = torch.nn.utils.fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) if float(x.sum()) > -1e9 else x


def normed(merges: bool) -> Part:
    @part("channel_mixer", f"normed_{merges}", source="A test", sliced=True)
    class Mixer(Part):
        """1x1 and batch normalization."""

        def build(self, site: Site) -> nn.Module:
            return Normed(site.channels, merges)

    return Mixer()  # type: ignore[return-value]


def test_a_norm_that_does_not_fold_fails() -> None:
    suite = PartConformance()
    suite.test_norms_fold((normed(True), SHAPE))
    suite.test_deployed_form_gives_the_same_outputs((normed(True), SHAPE))
    with pytest.raises(AssertionError, match="norm of normed_False could be folded and isn't"):
        suite.test_norms_fold((normed(False), SHAPE))


@torch.library.custom_op("faults::double", mutates_args=())
def double(x: Tensor) -> Tensor:
    """An operator of one's own, which no counter knows."""
    return x * 2


@double.register_fake
def _like(x: Tensor) -> Tensor:
    return torch.empty_like(x)


class Doubled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return double(x)


def test_an_operator_that_is_not_counted_fails() -> None:
    @part("channel_mixer", "doubled", source="A test", sliced=True)
    class Mixer(Part):
        """Twice the input."""

        def build(self, site: Site) -> nn.Module:
            return Doubled()

    mixer: Any = Mixer()
    with pytest.raises(AssertionError, match=r"the cost of doubled can't be counted: .*faults::double.*@counts"):
        PartConformance().test_cost_is_counted((mixer, SHAPE))

    @counts("faults::double")
    def _(inputs: list[Any], outputs: list[Any]) -> float:
        return float(torch.Size(outputs[0]).numel())

    PartConformance().test_cost_is_counted((mixer, SHAPE))


class TopOne(nn.Module):
    """Each example goes through the one of its experts that a router prefers."""

    def __init__(self, channels: int, experts: int) -> None:
        super().__init__()
        self.router = nn.Linear(channels, experts)
        self.experts = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(experts))

    def forward(self, x: Tensor) -> Tensor:
        scores = self.router(x[:, :, 0, 0]).softmax(1)
        best = scores.argmax(1)
        rows = [self.experts[int(e)](x[i : i + 1]) * scores[i, e] for i, e in enumerate(best)]
        return torch.cat(rows)


def routed(says: bool) -> Part:
    @part("channel_mixer", f"routed_{says}", source="A test", sliced=True, routed=says)
    class Experts(Part):
        """Four experts."""

        def build(self, site: Site) -> nn.Module:
            torch.manual_seed(0)
            return TopOne(site.channels, 4)

    return Experts()  # type: ignore[return-value]


def test_routed_weights_may_be_left_without_gradient_by_a_batch() -> None:
    suite = PartConformance()
    suite.test_trains_with_the_promised_shape((routed(True), SHAPE))
    suite.test_cost_is_counted((routed(True), SHAPE))
    with pytest.raises(AssertionError, match="no finite gradient for experts"):
        suite.test_trains_with_the_promised_shape((routed(False), SHAPE))


def test_a_part_without_a_fidelity_test_fails() -> None:
    with pytest.raises(AssertionError, match=r"fused_3|has no fidelity test; override reference\(\)"):
        PartConformance().test_is_faithful((attention(QKV), SHAPE))
