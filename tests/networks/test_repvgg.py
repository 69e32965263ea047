"""RepVGGs are timm's, and become plain convolutions."""

import torch
from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg

from search_spaces.deployment import deployed
from search_spaces.networks.repvgg import repvgg
from tests.networks.parity import INPUTS, assert_equal


def test_they_are_timms_and_plain_when_deployed():
    blocks = [(2, 8), (3, 16), (2, 24), (1, 40)]
    cfg = ByoModelCfg(
        blocks=tuple(ByoBlockCfg(type="rep", d=depth, c=width, s=2, gs=0, br=1.0) for depth, width in blocks),
        stem_type="rep",
        stem_chs=8,
    )
    ours = assert_equal(ByobNet(cfg, 10), repvgg(INPUTS, [w for _, w in blocks], [d for d, _ in blocks]))
    plain = deployed(ours)
    kinds = {type(layer) for layer in plain.modules() if next(layer.parameters(recurse=False), None) is not None}
    assert kinds == {torch.nn.Conv2d, torch.nn.Linear}
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in plain.modules())
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(plain(x), ours(x), atol=1e-5, rtol=1e-5)
