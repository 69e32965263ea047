"""From files of pictures of any size and mode to names of classes, by what was exported."""

import dataclasses
import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from archfront.commands import run
from archfront.contracts import WrongUse
from archfront.export import ExportRefused, Subject, export_model
from archfront.export.export import aside
from archfront.export.formats.pt2 import Pt2
from archfront.export.formats.python import Python
from archfront.export.scaling import check_scaling, scaling
from evaluators.datasets import load
from evaluators.picture_files import fitted, opened
from tests.export.networks import space_subject, subject_of
from tests.export.photos import class_folders, odd_ones, photo


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return odd_ones(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A network with random weights for a folder of two classes, 20×20 pixels."""
    data = load(f"folder:{class_folders(tmp_path_factory.mktemp('data') / 'lights')}", size=20)
    architecture = dataclasses.replace(space_subject("cell201").architecture, cells=1, width=4)
    return subject_of(architecture, data.inputs, 2, classes=data.classes, data_set=data)


@pytest.fixture(scope="module")
def folder(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its export."""
    to = tmp_path_factory.mktemp("exports") / "lights"
    said: list[str] = []
    result = export_model(subject, ["pipeline"], to, say=said.append)
    assert said[0] == "pipeline: converting …" and "verified on 128 raw validation examples, largest" in said[1]
    assert "pictures of 6 sizes scaled as by Pillow" in result.notes[0]
    return to


def wanted(subject: Subject, file: Path) -> np.ndarray:
    """What the searched network says of a file that is read as those of the training were."""
    assert subject.data_set is not None
    pixels = np.asarray(fitted(opened(file, "RGB"), 20, 20)).transpose(2, 0, 1)
    with torch.no_grad():
        return subject.model(subject.data_set.prepared(torch.from_numpy(pixels.copy())[None])).softmax(1)[0].numpy()


def test_pictures_of_any_size_become_probabilities(subject: Subject, folder: Path, tmp_path: Path) -> None:
    session = onnxruntime.InferenceSession(str(folder / "pipeline.onnx"))
    for seed, size in enumerate([(20, 20), (301, 77), (33, 190), (12, 9), (20, 64)]):
        picture = photo(seed, *size)
        picture.save(tmp_path / "p.png")
        [found] = session.run(None, {"inputs": np.asarray(picture)[None]})
        np.testing.assert_allclose(found[0], wanted(subject, tmp_path / "p.png"), atol=1e-2)
    several = np.stack([np.asarray(photo(seed)) for seed in range(3)])
    [found] = session.run(None, {"inputs": several})
    for one, values in zip(several, found, strict=True):
        np.testing.assert_allclose(session.run(None, {"inputs": one[None]})[0][0], values, atol=1e-6)


def test_files_say_their_classes_and_what_was_done_to_pictures(subject: Subject, folder: Path, tmp_path: Path) -> None:
    said = {item.key: item.value for item in onnx.load(folder / "pipeline.onnx").metadata_props}
    card = json.loads((folder / "card.json").read_text())
    assert json.loads(said["classes"]) == card["classes"] == ["dark", "light"]
    assert json.loads(said["preprocessing"]) == card["preprocessing"]
    known = card["preprocessing"]
    assert known["size"] == [20, 20] and known["channel_order"] == "RGB" and known["layout"] == "NCHW"
    assert subject.data_set is not None
    np.testing.assert_allclose(known["mean"], subject.data_set.preparation.mean)
    assert "to 20×20 (height × width)" in (folder / "card.md").read_text()
    Pt2().write(subject, tmp_path)
    extra = {"classes": "", "preprocessing": ""}
    torch.export.load(tmp_path / "model.pt2", extra_files=extra)
    assert json.loads(extra["classes"]) == ["dark", "light"] and json.loads(extra["preprocessing"]) == known


def test_the_source_prepares_pictures_itself(subject: Subject, photos: dict[str, Path], tmp_path: Path) -> None:
    Python().write(subject, tmp_path)
    names = runpy.run_path(str(tmp_path / "model.py"))
    assert names["CLASSES"] == ("dark", "light") and names["PREPROCESSING"]["size"] == [20, 20]
    with torch.no_grad():
        found = names["load"]()(names["prepare"](Image.open(photos["plain"]))).softmax(1)[0]
    np.testing.assert_allclose(found.numpy(), wanted(subject, photos["plain"]), atol=1e-6)


def test_predict_names_what_it_sees_in_every_mode(
    subject: Subject, folder: Path, photos: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    capsys.readouterr()
    assert run(["predict", str(folder), *map(str, photos.values()), str(broken), "--json"]) == 1
    *good, bad = json.loads(capsys.readouterr().out)
    assert bad["file"] == str(broken) and "cannot identify image file" in bad["error"]
    values = {}
    for (name, file), one in zip(photos.items(), good, strict=True):
        named = {output["name"]: output["value"] for output in one["outputs"]}
        values[name] = np.array([named["dark"], named["light"]])
        np.testing.assert_allclose(values[name], wanted(subject, file), atol=1e-2)
    for same in (("plain", "rgba", "turned"), ("grey", "grey16", "grey32")):
        for name in same[1:]:
            np.testing.assert_allclose(values[name], values[same[0]], atol=1e-6)
    assert abs(values["plain"] - values["grey"]).max() > 1e-3
    assert run(["predict", str(folder), str(broken), str(photos["plain"]), "--top", "1"]) == 1
    out, error = capsys.readouterr()
    assert out.startswith(f"{photos['plain']}: ") and out.count("light") + out.count("dark") == 1
    assert error.startswith(f"error: {broken}: can't be read") and error.count("\n") == 1


def test_the_script_says_the_same(folder: Path, photos: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    files = [*map(str, photos.values()), "missing.jpg"]
    command = [sys.executable, "-I", str(folder / "predict.py"), *files]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("missing.jpg: can't be read as a picture")
    capsys.readouterr()
    assert run(["predict", str(folder), *files]) == 1
    assert done.stdout == capsys.readouterr().out and done.stdout.count("dark") == len(photos)


def test_bundles_that_are_none(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder.parent.parent)
    (tmp_path / "empty").mkdir()
    other = onnx.load(folder / "pipeline.onnx")
    del other.metadata_props[:]
    onnx.save(other, tmp_path / "other.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    for place, said in (
        ("nowhere", "no folder nowhere, nor exports/nowhere"),
        (str(tmp_path / "empty"), "has no pipeline.onnx, which takes raw inputs; add it: archfront export"),
        (str(tmp_path / "other.onnx"), "doesn't take raw inputs"),
        (str(tmp_path / "broken.onnx"), "can't be read as ONNX"),
    ):
        capsys.readouterr()
        assert run(["predict", place, "x.jpg"]) == 2
        assert said in capsys.readouterr().err


def test_another_way_of_scaling_is_refused() -> None:
    for shape in ((3, 24, 24), (1, 20, 32)):
        model = scaling(shape, 20, 10)
        pictures = [photo(1, 200, 90), photo(2, 31, 77), photo(3, 28, 300)]
        assert "scaled as by Pillow" in check_scaling(model, pictures, shape)
        [resize] = [node for node in model.graph.node if node.op_type == "Resize"]
        next(attribute for attribute in resize.attribute if attribute.name == "antialias").i = 0
        with pytest.raises(ExportRefused, match="scales pictures otherwise than Pillow"):
            check_scaling(model, pictures, shape)


def test_other_formats_of_the_same_network_stay(subject: Subject, folder: Path, tmp_path: Path) -> None:
    to = tmp_path / "out"
    before = json.loads((folder / "card.json").read_text())
    to.mkdir()
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    result = export_model(subject, ["pt2"], to)
    assert {"pipeline.onnx", "predict.py", "model.pt2"} < set(result.files)
    card = json.loads((to / "card.json").read_text())
    assert list(card["usage"]) == ["pipeline", "pt2"] and card["formats"]["pipeline"] == ["pipeline.onnx", "predict.py"]
    assert [check["format"] for check in card["checks"]] == ["pipeline", "pt2"]
    assert set(before["notes"]) <= set(card["notes"])
    assert subprocess.run(["sha256sum", "--quiet", "-c", "manifest.sha256"], cwd=to).returncode == 0
    other = dataclasses.replace(subject, state={name: value + 1 for name, value in subject.state.items()})
    with pytest.raises(WrongUse, match=r"holds a network \w+ as pipeline, which this export would remove"):
        export_model(other, ["pt2"], to)
    assert (to / "pipeline.onnx").is_file()


def test_files_have_the_rights_of_new_files(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with aside(tmp_path / "out") as draft:
        (draft / "inner").mkdir()
        for file in (draft / "weights", draft / "inner" / "weights"):
            file.touch(mode=0o600)
    for name in ("out/weights", "out/inner/weights"):
        assert (tmp_path / name).stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["inner", "weights"]
