"""Static quantization: the integers are the rounded weights, and the file is what is tested, timed and run."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from archfront.export.onnx_network import OnnxNetwork, with_batch
from archfront.finishing import Product
from archfront.finishing.static_int8 import StaticInt8
from hardware_profiles.runtimes.onnxruntime import OnnxRuntime
from search_spaces.blocks import Block
from search_spaces.deployment import deployed
from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part
from search_spaces.site import Site
from tests.finishing.trained import DIGITS, chain, given, outputs


class Undecided(nn.Module):
    """Computes what its values decide, which no graph of operators says."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if float(x.sum()) > 0 else -x


@part("token_mixer", "undecided_for_tests", source="Attention Is All You Need")
class UndecidedMixer(Part):
    """Has no ONNX form."""

    def build(self, site: Site) -> nn.Module:
        return Undecided()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Product]:
    """A network, and what quantization makes of it."""
    architecture = chain((16, 1), (24, 1))
    source = given(architecture, tmp_path_factory.mktemp("int8"))
    return source.network(), StaticInt8(examples=128).finish(source)


def dequantized(file: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The weights of the file that are held in 8 bits, as numbers, each with its scales."""
    graph = onnx.load(file).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = {}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            values, scale = constants[node.input[0]], constants[node.input[1]]
            axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
            sides = [-1 if place == axis else 1 for place in range(values.ndim)]
            wide = scale.reshape(sides) if scale.ndim else scale
            found[node.input[0]] = values.astype(np.float64) * wide, np.broadcast_to(wide, values.shape)
    return found


def test_the_weights_are_the_deployed_network_s_rounded_channel_by_channel(made: tuple[nn.Module, Product]) -> None:
    network, product = made
    assert product.file is not None
    weights = dequantized(product.file)
    originals = [t.numpy().astype(np.float64) for t in deployed(network).state_dict().values() if t.ndim > 1]
    assert len(originals) > 4
    for original in originals:
        # A linear layer may have become a product with the transposed weights.
        near = [
            (found, scale)
            for found, scale in weights.values()
            for found, scale in ((found, scale), (found.T, scale.T))
            if found.shape == original.shape and np.abs(found - original).max() <= scale.max()
        ]
        assert near, f"no weights of shape {original.shape}"
        found, scale = near[0]
        assert (np.abs(found - original) <= scale / 2 + 1e-7).all()
        # Per channel, the largest weight takes the largest integer.
        assert len(np.unique(scale)) > 1 or original.shape[0] == 1
        assert np.abs(found / scale).max() == pytest.approx(127, abs=1.01)


def test_one_scale_for_all_channels_where_that_is_asked_for(tmp_path: Path) -> None:
    product = StaticInt8(examples=64, per_channel=False).finish(given(chain((16, 1)), tmp_path))
    assert product.file is not None
    matrices = [scale for found, scale in dequantized(product.file).values() if found.ndim > 1]
    assert matrices and all(len(np.unique(scale)) == 1 for scale in matrices)


def test_the_file_is_near_the_network_and_takes_any_batch(made: tuple[nn.Module, Product]) -> None:
    network, product = made
    assert product.file is not None and product.precision == "int8" and "weights in 8 bits" in product.note
    expected, quantized = outputs(network), OnnxNetwork(product.file)
    found = outputs(quantized)
    off = (found - expected).abs().max() / (expected.max() - expected.min())
    assert 0 < off < 0.1
    assert torch.equal(outputs(quantized, count=1), found[:1])
    assert product.state.keys() == network.state_dict().keys()


def test_the_runtime_knows_the_precision_and_a_batch_can_be_fixed(
    made: tuple[nn.Module, Product], tmp_path: Path
) -> None:
    _, product = made
    assert product.file is not None
    fixed = with_batch(product.file, 3, tmp_path / "fixed.onnx")
    loaded = OnnxRuntime().load(fixed, 1, {})
    assert (loaded.precision, loaded.shape) == ("int8", (3, *DIGITS.inputs))
    x = DIGITS.prepared(DIGITS.validation.inputs[:3]).numpy()
    assert np.array_equal(loaded.run(x), outputs(OnnxNetwork(product.file), count=3).numpy())


def test_networks_without_an_onnx_form(tmp_path: Path) -> None:
    architecture = chain((16, 1), block=Block(UndecidedMixer(), norm="batch"))
    with pytest.raises(SpaceError, match="static_int8: onnx: torch can't convert this network") as caught:
        StaticInt8().finish(given(architecture, tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("field", "value"), [("examples", 0), ("calibration", "max"), ("per_channel", 1)])
def test_wrong_fields(field: str, value: object) -> None:
    with pytest.raises(SpaceError, match=f"static_int8.{field}"):
        StaticInt8(**{field: value})
