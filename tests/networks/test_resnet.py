"""ResNets are timm's."""

import pytest
from timm.models.resnet import BasicBlock, Bottleneck, ResNet

from search_spaces.networks.resnet import resnet
from tests.networks.parity import INPUTS, assert_equal


@pytest.mark.parametrize("shortcut", ["conv", "pool"])
def test_of_basic_blocks(shortcut):
    theirs = ResNet(BasicBlock, (1, 1, 2, 1), 10, channels=(64, 16, 24, 32), avg_down=shortcut == "pool")
    assert_equal(theirs, resnet(INPUTS, (64, 16, 24, 32), (1, 1, 2, 1), shortcut=shortcut))


def test_of_bottlenecks():
    theirs = ResNet(Bottleneck, (2, 1, 2, 1), 10, channels=(64, 16, 24, 32))
    assert_equal(theirs, resnet(INPUTS, (256, 64, 96, 128), (2, 1, 2, 1), "bottleneck"))
