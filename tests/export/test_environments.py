"""The exported files in environments of their own: one with only ONNX Runtime and numpy, one with only torch.

The virtual environments are made fresh and filled from the package index, which takes minutes.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from archfront.export import export_model
from archfront.export.verify import compare, sample
from tests.export.networks import space_subject

RUN_ONNX = """
import numpy, onnxruntime, sys
session = onnxruntime.InferenceSession(sys.argv[1] + "/model.onnx")
with open(sys.argv[3], "wb") as file:
    numpy.save(file, session.run(None, {"inputs": numpy.load(sys.argv[2])})[0])
"""

RUN_SOURCE = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
from safetensors.torch import load_file
from model import load
network = load()
with torch.no_grad():
    torch.save(network(load_file(sys.argv[2])["inputs"]), sys.argv[3])  # safetensors would need numpy to write
"""


def environment(folder: Path, *packages: str) -> Path:
    """The interpreter of a fresh virtual environment that holds `packages` and what they need, nothing else."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    done = subprocess.run(install, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"pip can't fill a fresh environment here: {done.stderr.strip().splitlines()[-1]}")
    return python


def installed(python: Path) -> set[str]:
    """The names of the installed distributions."""
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    )
    return {line.partition("==")[0].lower() for line in listed.stdout.splitlines()}


def run(python: Path, script: str, folder: Path, *arguments: Path) -> None:
    """Run `script` in `folder`, isolated from this repository."""
    done = subprocess.run([python, "-I", "-c", script, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_onnx_needs_only_onnxruntime_and_numpy(tmp_path: Path) -> None:
    python = environment(tmp_path / "venv", "onnxruntime", "numpy")
    assert not installed(python) & {"torch", "onnx", "archfront", "timm"}
    for space in ("hybrid", "mobile", "cell201"):
        subject = space_subject(space)
        export_model(subject, ["onnx"], tmp_path / space)
        given = sample(subject)
        np.save(tmp_path / "inputs.npy", given.inputs)
        run(python, RUN_ONNX, tmp_path, tmp_path / space, tmp_path / "inputs.npy", tmp_path / "outputs.npy")
        compare(space, given, np.load(tmp_path / "outputs.npy"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("space", "packages"),
    [("cell201", ()), ("hybrid", ("timm>=1.0.20",))],
)
def test_source_needs_only_what_it_says(space: str, packages: tuple[str, ...], tmp_path: Path) -> None:
    subject = space_subject(space)
    export_model(subject, ["python"], tmp_path / "export")
    assert ("timm" in (tmp_path / "export" / "model.py").read_text()) == bool(packages)
    python = environment(tmp_path / "venv", "torch>=2.9,<2.14", "safetensors>=0.6", *packages)
    found = installed(python)
    assert "archfront" not in found and ("timm" in found) == bool(packages)
    given = sample(subject)
    before, after = tmp_path / "inputs.safetensors", tmp_path / "outputs.pt"
    save_file({"inputs": torch.from_numpy(given.inputs)}, before)
    run(python, RUN_SOURCE, tmp_path, tmp_path / "export", before, after)
    compare(space, given, torch.load(after, weights_only=True).numpy())
