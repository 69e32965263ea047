"""LCNets are timm's."""

import pytest
import timm

from search_spaces.networks.lcnet import lcnet
from tests.networks.parity import INPUTS, assert_equal


@pytest.mark.parametrize("width", [0.35, 0.5])
def test_they_are_timms(width):
    theirs = timm.create_model(f"lcnet_{round(100 * width):03d}", num_classes=10)
    assert_equal(theirs, lcnet(INPUTS, width))
