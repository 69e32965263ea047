"""MobileNetV3s and EfficientNet-Lites are timm's."""

import pytest
import timm
from timm.models.efficientnet import _gen_efficientnet_lite
from timm.models.mobilenetv3 import _gen_mobilenet_v3

from search_spaces.networks.mobilenet import efficientnet_lite, mobilenetv3_large, mobilenetv3_small
from tests.networks.parity import INPUTS, assert_equal


@pytest.mark.parametrize("width", [0.5, 0.75])
def test_the_small_one(width):
    theirs = timm.create_model(f"mobilenetv3_small_{round(100 * width):03d}", num_classes=10)
    assert_equal(theirs, mobilenetv3_small(INPUTS, width))


@pytest.mark.parametrize("width", [0.5, 0.75])
def test_the_large_one(width):
    theirs = _gen_mobilenet_v3("mobilenetv3_large_100", width, num_classes=10)
    assert_equal(theirs, mobilenetv3_large(INPUTS, width))


def test_efficientnet_lite():
    theirs = _gen_efficientnet_lite("efficientnet_lite0", 0.5, num_classes=10)
    assert_equal(theirs, efficientnet_lite(INPUTS, 0.5))
