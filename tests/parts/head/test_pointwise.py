"""A head of 1x1 convolutions before and behind the pooling."""

from search_spaces.blocks import PointwiseHead
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import behind, behind_conv


class TestPointwiseHead(PartConformance):
    cases = [
        (PointwiseHead(24, 40), (16, 4, 4)),
        (PointwiseHead(0, 40, activation="relu"), (16, 5, 7)),
        (PointwiseHead(24, 0, "layer", "relu6"), (16, 9)),
        (PointwiseHead(0, 0), (16, 4, 4)),
    ]
    wrong = [
        (lambda: PointwiseHead(before=-1), "pointwise.before"),
        (lambda: PointwiseHead(behind=-1), "pointwise.behind"),
    ]

    def reference(self, part, site, module, x):
        """The layers by their widths: the one before sees every position, the one behind their mean."""
        layers = [layer for layer in module if any(True for _ in layer.parameters())]
        if part.before:
            x = behind_conv(x, layers.pop(0), 1, part.norm, part.activation)
            assert x.shape[1] == part.before
        y = x.flatten(2).mean(2)
        if part.behind:
            conv = layers.pop(0)
            y = y @ conv.weight.flatten(1).T + conv.bias
            assert y.shape[1] == part.behind
            y = behind(part.activation, y)
        [linear] = layers
        return y @ linear.weight.T + linear.bias
