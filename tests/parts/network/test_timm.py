"""Whole networks of timm."""

from random import Random

import pytest
import torch
from torch.nn import functional

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)

import timm
from timm.layers import DropPath
from timm.models.mobilenetv3 import _gen_lcnet

from evaluators.recipes.regulariser.stochastic_depth import StochasticDepth
from search_spaces import digest
from search_spaces.blocks import Block
from search_spaces.building import build
from search_spaces.deployment import deployed
from search_spaces.errors import SpaceError
from search_spaces.holes import one_of
from search_spaces.space import Space
from search_spaces.testing import PartConformance, randomise
from search_spaces.topologies import Network, Stage, Timm
from search_spaces.weight_sharing import Supernet

LCNET = Timm("lcnet_035", width=0.5, stem_stride=1)
MERGED = Timm("test_byobnet", resolution=2.0)


class TestTimm(PartConformance):
    cases = [(LCNET, (1, 20, 16)), (MERGED, (3, 16, 16))]
    refused = [
        (Timm("convnext_atto"), (3, 8, 8)),
        (Timm("test_vit"), (3, 33, 33)),
        (Timm("convnext_atto", stem_stride=1), (3, 32, 32)),
        (Timm("lcnet_050"), (3, 32)),
    ]
    wrong = [
        (lambda: Timm("lcnet_05"), "timm.backbone"),
        (lambda: Timm("lcnet_050.ra2_in1k"), "timm.backbone"),
        (lambda: Timm("resnet18", width=0.5), "timm.width"),
        (lambda: Timm("lcnet_050", depth=2.0), "timm.depth"),
        (lambda: Timm("lcnet_050", resolution=0), "timm.resolution"),
        (lambda: Timm("lcnet_050", stem_stride=4), "timm.stem_stride"),
    ]

    def reference(self, part, site, module, x):
        """timm's own network with these weights; that of half the channels is what timm's builder makes of 0.175."""
        if part is MERGED:
            own = timm.create_model("test_byobnet", num_classes=10)
            x = functional.interpolate(x, (2 * x.shape[2], 2 * x.shape[3]), mode="bilinear", align_corners=False)
        else:
            own = _gen_lcnet("lcnet_035", 0.175, num_classes=10, in_chans=1)
            own.conv_stem.stride = (1, 1)
        own = own.double().eval()
        own.load_state_dict(module.body.state_dict())
        return own(x)

    def test_multiplies_the_layers(self):
        few, many = (build(Timm("tf_efficientnet_lite0", depth=depth), (3, 32, 32), 2) for depth in (0.5, 1.0))
        found = [sum(len(stage) for stage in network.body.blocks) for network in (few, many)]
        assert found == [10, 16]

    def test_one_network_has_one_digest(self):
        assert digest(Timm("lcnet_050", 1, stem_stride=2)) == digest(Timm("lcnet_050"))
        assert digest(Timm("lcnet_050", stem_stride=1)) != digest(Timm("lcnet_050"))

    def test_says_which_names_are_near(self):
        with pytest.raises(SpaceError, match="lcnet_050"):
            Timm("lcnet_05")

    def test_takes_the_size_of_the_pictures(self):
        """A network of patches has places of its own for pictures of each size."""
        network = build(Timm("test_vit", resolution=2.0), (3, 32, 32), 5)
        assert network.body.patch_embed.img_size == (64, 64) and network(torch.zeros(2, 3, 32, 32)).shape == (2, 5)

    def test_branches_that_only_fuse_are_merged(self):
        network = build(Timm("repvit_m0_9"), (3, 32, 32), 5, seed=0).eval()
        x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        single = deployed(network)
        assert len([*single.modules()]) < 0.7 * len([*network.modules()])
        with torch.no_grad():
            torch.testing.assert_close(single(x), network(x), rtol=1e-4, atol=1e-5)

    def test_its_branches_may_be_dropped(self):
        plain = build(LCNET, (1, 16, 16), 5)
        StochasticDepth(0.5).apply(plain)  # LCNet has no residual branches.
        network = build(Timm("test_convnext"), (3, 32, 32), 5, seed=0)
        StochasticDepth(0.9).apply(network)
        drops = [sum(isinstance(module, DropPath) for module in one.modules()) for one in (plain, network)]
        blocks = sum(type(module).__name__ == "ConvNeXtBlock" for module in network.modules())
        assert drops == [0, blocks] and blocks > 2
        x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        randomise(network, 0)  # Layer scales are tiny at first.
        assert not torch.equal(network(x), network(x)) and torch.equal(network.eval()(x), network(x))

    def test_a_choice_of_networks_is_a_space_and_has_a_supernet(self):
        own = Network("conv3x3", (Stage(one_of(8, 16), (Block("pool"),)),))
        tree = one_of(Timm(one_of("lcnet_035", "test_resnet"), stem_stride=one_of(None, 1)), own)
        space, rng = Space(tree), Random(0)
        assert space.size() == len({space.digest(one) for one in space.enumerate()}) == 6
        architecture = space.sample(rng)
        for _ in range(20):
            child = space.mutate(architecture, rng)
            assert child in space and child != architecture
            architecture = space.architecture(space.genes(space.crossover(child, architecture, rng)))
        supernet = Supernet(Space(one_of(LCNET, own)), (1, 16, 16), 3, seed=0).eval()
        x = torch.randn(2, 1, 16, 16)
        for one in supernet.space.enumerate():
            supernet.activate(one)
            torch.testing.assert_close(supernet(x), supernet.extract(one).eval()(x))
