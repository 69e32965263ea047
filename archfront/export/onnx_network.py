"""An ONNX file in the place of a torch module, so that whatever tests networks tests files, too."""

from pathlib import Path

import torch
from torch import Tensor, nn


class OnnxNetwork(nn.Module):
    """The network in an ONNX file, run by ONNX Runtime on the CPU with as many threads as torch has."""

    def __init__(self, file: Path) -> None:
        import onnxruntime

        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def forward(self, x: Tensor) -> Tensor:
        outputs = self._session.run(None, {self._input: x.detach().cpu().contiguous().numpy()})[0]
        return torch.from_numpy(outputs)


def with_batch(file: Path, size: int, to: Path) -> Path:
    """Write the network to the file `to` for a batch of `size` alone, as a search times networks; gives `to`."""
    import onnx

    model = onnx.load(file)
    first = model.graph.input[0].type.tensor_type.shape.dim[0]
    name = first.dim_param
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for side in value.type.tensor_type.shape.dim:
            if name and side.dim_param == name:
                side.dim_value = size
    onnx.save(model, to)
    return to
