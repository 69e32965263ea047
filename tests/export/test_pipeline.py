"""The export that runs on raw inputs."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from archfront.export import ExportRefused, Subject, export_model
from evaluators.datasets import load
from tests.export.networks import space_subject, subject_of


@pytest.fixture(scope="module")
def subject() -> Subject:
    data = load("digits")
    architecture = space_subject("cell201").architecture
    return subject_of(architecture, data.inputs, data.outputs, classes=data.classes, data_set=data)


def test_raw_pixels_become_probabilities(subject: Subject, tmp_path: Path) -> None:
    result = export_model(subject, ["pipeline"], tmp_path / "out")
    [check] = result.checks
    assert check.kind == "raw validation examples" and check.inputs == 128
    data = subject.data_set
    raw = data.test.inputs[:7]
    assert raw.dtype == torch.uint8
    session = onnxruntime.InferenceSession(str(tmp_path / "out" / "pipeline.onnx"))
    assert session.get_inputs()[0].type == "tensor(uint8)"
    [found] = session.run(None, {"inputs": np.repeat(raw.numpy(), 3, axis=1).transpose(0, 2, 3, 1)})
    with torch.no_grad():
        wanted = subject.model((raw.float() / 255 - data.preparation.mean) / data.preparation.std).softmax(1)
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
    usage = result.card["usage"]["pipeline"]
    assert "uint8 RGB (batch, height, width, 3), pictures of any size" in usage and "probabilities" in usage


def test_without_the_data_there_is_no_pipeline(subject: Subject, tmp_path: Path) -> None:
    alone = Subject(subject.architecture, subject.state, subject.inputs, subject.outputs)
    with pytest.raises(ExportRefused, match="can't be loaded; put the data back, or export other formats"):
        export_model(alone, ["pipeline"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_preparation_is_refused(subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from archfront.export.formats.pipeline import Pipeline

    class Forgetful(Pipeline):
        def run(self, folder: Path, inputs: np.ndarray) -> np.ndarray:
            return super().run(folder, 255 - inputs)

    monkeypatch.setattr("archfront.export.export._writers", lambda formats: [Forgetful()])
    with pytest.raises(ExportRefused, match="differ from the searched network's"):
        export_model(subject, ["pipeline"], tmp_path / "out")
