"""Every format of a network of each ready space agrees with the searched network; what does not is refused."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from archfront.contracts import Metric, Provenance, WrongUse
from archfront.export import FORMATS, ExportRefused, Subject, export_model
from archfront.export.formats.onnx import Onnx
from archfront.export.formats.python import WEIGHTS, Python
from archfront.export.verify import INPUTS, Sample, compare, sample, verify
from tests.export.networks import space_subject

OURS = {"archfront", "search_spaces", "evaluators", "controllers", "hardware_profiles", "dashboard"}

TAMPERED = '''
"""A format that writes another network than it was given."""
import numpy as np
import torch
from archfront.export.formats.pt2 import Pt2

class Tampered(Pt2):
    name = "tampered"

    def write(self, subject, folder):
        with torch.no_grad():
            next(iter(subject.deployed.parameters())).mul_(1.01)
        return super().write(subject, folder)
'''


@pytest.mark.parametrize("space", ["hybrid", "mobile", "cell201"])
def test_all_formats_of_each_ready_space_are_verified(space: str, tmp_path: Path) -> None:
    subject = space_subject(space)
    result = export_model(subject, [e.name for e in FORMATS if not e.value.raw], tmp_path / "out")
    assert [check.format for check in result.checks] == ["onnx", "pt2", "python"]
    for check in result.checks:
        assert check.inputs >= INPUTS
        assert check.output_range > 0.1, "outputs that hardly vary would prove nothing"
        assert check.max_difference <= 1e-4 * check.output_range
    assert {"model.py", "model.safetensors", "model.onnx", "model.pt2"} < set(result.files)
    assert os.listdir(tmp_path) == ["out"]
    text = (tmp_path / "out" / "model.py").read_text()
    imported = {name.partition(".")[0] for name in imports_of(text)}
    assert not imported & OURS
    assert ("timm" in imported) == (space == "hybrid" or "SqueezeExcite" in text)
    assert max(map(len, text.splitlines())) <= 120


def imports_of(text: str) -> list[str]:
    """All modules that a file imports, anywhere in it."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [item.name for item in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return found


def test_outputs_depend_on_the_inputs(small: Subject) -> None:
    given = sample(small)
    assert np.ptp(given.expected, axis=0).min() > 0.01


def test_batch_is_dynamic_and_properties_name_the_origin(small: Subject, tmp_path: Path) -> None:
    subject = Subject(small.architecture, small.state, small.inputs, small.outputs, study="digits")
    Onnx().write(subject, tmp_path)
    model = onnx.load(tmp_path / "model.onnx")
    assert {p.key: p.value for p in model.metadata_props}["digest"] == subject.digest
    assert {p.key: p.value for p in model.metadata_props}["study"] == "digits"
    assert model.opset_import[0].version == 20
    for size in (1, 3, 17):
        inputs = np.random.default_rng(size).normal(size=(size, *subject.inputs)).astype(np.float32)
        expected = subject.model(torch.from_numpy(inputs)).detach().numpy()
        np.testing.assert_allclose(Onnx().run(tmp_path, inputs), expected, atol=1e-4 * np.ptp(expected))


def test_source_runs_isolated_from_another_folder(small: Subject, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    Python().write(small, folder)
    script = f"import sys; sys.path.insert(0, {str(folder)!r}); import model; n = model.load(); print(n.training)"
    script += f"; print(any(name.partition('.')[0] in {OURS!r} for name in sys.modules))"
    done = subprocess.run([sys.executable, "-I", "-c", script], cwd=elsewhere, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"], done.stderr


def test_another_network_is_refused_and_nothing_is_left(small: Subject, tmp_path: Path) -> None:
    user = tmp_path / "formats" / "user.py"
    user.parent.mkdir()
    user.write_text(TAMPERED)
    subject = Subject(small.architecture, small.state, small.inputs, small.outputs)
    target = tmp_path / "new" / "export"
    with pytest.raises(ExportRefused, match=r"tampered: outputs differ .* allowed is"):
        export_model(subject, [f"{user}:Tampered"], target)
    assert os.listdir(tmp_path) == ["formats"]


def test_changed_weights_of_the_source_are_refused(small: Subject, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    given = sample(small)
    Python().write(small, tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    name = next(key for key in tensors if key.endswith("weight") and tensors[key].ndim == 2)
    save_file({**tensors, name: tensors[name] * 1.05}, tmp_path / WEIGHTS)
    with pytest.raises(ExportRefused, match="python: outputs differ"):
        verify(Python(), tmp_path, given)
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(ExportRefused, match="doesn't run on its own"):
        verify(Python(), tmp_path, given)


def test_top1_rule() -> None:
    expected = np.zeros((128, 3), dtype=np.float32)
    expected[:, 0] = 1.0
    expected[0] = [1.0, 1.0 - 5e-5, 0.0]
    given = Sample(expected, expected, "random normal values")
    assert compare("x", given, expected).ties == 0
    near = expected.copy()
    near[0, :2] += [-4e-5, 4e-5]
    assert compare("x", given, near).ties == 1, "two outputs nearer than the tolerance may change places"
    expected[0, 1] = 1.0 - 1.5e-4
    near = expected.copy()
    near[0, :2] += [-9e-5, 9e-5]
    with pytest.raises(ExportRefused, match="top-1 class differs 1 times on 128"):
        compare("x", given, near)
    with pytest.raises(ExportRefused, match="aren't finite"):
        compare("x", given, np.full_like(expected, np.nan))


def test_card_and_manifest(small: Subject, tmp_path: Path) -> None:
    metrics = (
        Metric("accuracy", 0.97, "fraction", low=0.95, high=0.98, provenance=Provenance(runtime="torch")),
        Metric("latency_ms@host", 0.5, "ms", provenance=Provenance(device="host", threads=1, batch=1)),
    )
    subject = Subject(
        small.architecture,
        small.state,
        small.inputs,
        small.outputs,
        study="digits",
        number=7,
        metrics=metrics,
        training={"recipe": {"epochs": 3}},
        data={"data": "digits", "sha256": "ab" * 32},
        classes=tuple("0123456789"),
    )
    export_model(subject, ["pt2"], tmp_path / "out")
    done = subprocess.run(["sha256sum", "-c", "manifest.sha256"], cwd=tmp_path / "out", capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("OK") == 3, done.stdout + done.stderr
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["digest"] == subject.digest and card["candidate"] == 7
    assert card["metrics"][1]["provenance"] == {"device": "host", "threads": 1, "batch": 1}
    assert card["data"]["sha256"] == "ab" * 32 and card["training"]["recipe"] == {"epochs": 3}
    assert card["versions"]["torch"] == torch.__version__
    page = (tmp_path / "out" / "card.md").read_text()
    assert "| latency_ms@host | 0.5 ms |" in page and "torch.export.load" in page
    # A second export replaces the first; a file that isn't ours is never touched.
    export_model(subject, ["pt2"], tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(WrongUse, match="holds other files"):
        export_model(subject, ["pt2"], tmp_path / "out")
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_unknown_format_names_the_near_ones(small: Subject, tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="did you mean 'onnx'"):
        export_model(small, ["onxx"], tmp_path / "out")
    assert not list(tmp_path.iterdir())
