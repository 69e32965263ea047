"""Pictures with masks: folders and archives, unlabelled pixels, which classes occur; and pictures of several labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from archfront.contracts import WrongUse
from evaluators.datasets import describe, load
from evaluators.tasks import IGNORED, DensePrediction, MultiLabel


def scenes(n: int, side: tuple[int, int] = (12, 16), classes: int = 3, seed: int = 0) -> tuple[Any, Any]:
    """Random pictures, and masks that are their red channel in `classes` steps."""
    images = np.random.default_rng(seed).integers(0, 256, (n, *side, 3), dtype=np.uint8)
    return images, (images[..., 0].astype(int) * classes // 256).astype(np.uint8)


def folder(root: Path, n: int = 6, palette: bool = False, seed: int = 0) -> Path:
    images, masks = scenes(n, seed=seed)
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for i in range(n):
        Image.fromarray(images[i]).save(root / "images" / f"scene{i}.png")
        mask = Image.fromarray(masks[i])
        if palette:
            mask = mask.convert("P")
            mask.putpalette([value for i in range(256) for value in (i, 255 - i, 0)])
        mask.save(root / "masks" / f"scene{i}.png")
    return root


def archive(path: Path, **changes: Any) -> str:
    images, masks = scenes(12)
    arrays = {"x_train": images, "y_train": masks, "x_test": images[:4] // 2, "y_test": masks[:4]} | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return f"masks:{path}"


def test_street_scenes(shared_data: Path) -> None:
    file = shared_data / "images" / "camvid_90x120_uint8.npz"
    data = load(f"masks:{file}", ignore=11)
    assert isinstance(data.task, DensePrediction) and data.outputs == 11 and data.classes[-1] == "bicyclist"
    assert data.inputs == (3, 90, 120) and data.space == "dense" and data.augmentation == "flip"
    assert (data.train.size, data.validation.size, data.test.size) == (367, 101, 233)
    with np.load(file) as held:
        labels = held["y_train"]
    assert data.task.frequencies == tuple(np.bincount(labels[labels < 11], minlength=11).tolist())
    kept = data.train.targets[:].numpy()
    assert (kept[labels == 11] == IGNORED).all() and (kept[labels < 11] == labels[labels < 11]).all()
    assert "segmentation into 11 classes" in describe(data) and "training pixels" in describe(data)


def test_what_occurs_in_street_scenes(shared_data: Path) -> None:
    file = shared_data / "images" / "camvid_90x120_uint8.npz"
    data = load(f"masks:{file}", ignore=11, labels="occurrence")
    assert isinstance(data.task, MultiLabel) and data.train.targets.shape == (367, 11) and data.space == "hybrid"
    with np.load(file) as held:
        labels = held["y_test"]
    for i in (0, 50, 200):
        assert set(data.test.targets[i].nonzero().flatten().tolist()) == set(np.unique(labels[i])) - {11}
    assert "every training example has 'road'" in describe(data)
    much = load(f"masks:{file}", ignore=11, labels="occurrence", least=0.01)
    for i in (0, 50, 200):
        counts = np.bincount(labels[i].reshape(-1), minlength=12)[:11]
        assert np.array_equal(much.test.targets[i], counts > 0.01 * 90 * 120)


@pytest.mark.parametrize("palette", [False, True])
def test_a_folder_of_pictures_and_masks(tmp_path: Path, palette: bool) -> None:
    root = folder(tmp_path, palette=palette)
    (root / "classes.txt").write_text("sky\nroad\ncar\n")
    data = load(f"masks:{root}")
    assert data.classes == ("sky", "road", "car") and data.inputs == (3, 12, 16)
    assert data.train.size + data.validation.size + data.test.size == 6
    red = data.train.inputs[:][:, 0].int()
    assert torch.equal(data.train.targets[:].int(), red * 3 // 256)


def test_the_splits_of_a_folder_are_kept(tmp_path: Path) -> None:
    for seed, (split, n) in enumerate((("train", 5), ("val", 3), ("test", 4))):
        folder(tmp_path / split, n, seed=seed)
    data = load(f"masks:{tmp_path}")
    assert (data.train.size, data.validation.size, data.test.size) == (5, 3, 4)


def test_the_ignored_number_may_be_any(tmp_path: Path) -> None:
    _, masks = scenes(12)
    data = load(archive(tmp_path / "x.npz", class_names=np.array(["void", "road", "car"])), ignore=0)
    assert data.classes == ("road", "car")
    wanted = torch.from_numpy(masks.astype(int) - 1)
    wanted[wanted < 0] = IGNORED
    kept = {one.numpy().tobytes() for one in data.train.targets[:].long()}
    assert kept < {one.numpy().tobytes() for one in wanted}


def test_sizes_are_made_the_same_where_one_is_said(tmp_path: Path) -> None:
    root = folder(tmp_path)
    images, masks = scenes(1, (20, 20))
    Image.fromarray(images[0]).save(root / "images" / "large.png")
    Image.fromarray(masks[0]).save(root / "masks" / "large.png")
    with pytest.raises(WrongUse, match=r"pictures of 2 sizes.*--set data.size="):
        load(f"masks:{root}")
    data = load(f"masks:{root}", size=8)
    assert data.inputs == (3, 8, 8) and set(data.train.targets[:].unique().tolist()) <= {0, 1, 2}


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({"y_test": scenes(4, (6, 8))[1]}, {}, r"test masks are \(4, 6, 8\), their pictures \(4, 12, 16\)"),
        ({"y_train": np.arange(12) % 3}, {}, r"train masks are \(12,\)"),
        ({"class_names": np.array(["a", "b"])}, {}, "masks hold 2, but the 2 classes are numbered 0 to 1"),
        ({"y_train": np.full((12, 12, 16), 255, np.uint8)}, {}, "masks hold 255, .*--set data.ignore=255"),
        ({"y_train": np.zeros((12, 12, 16), np.uint8), "x_test": None}, {}, "masks of one class only"),
        ({"y_train": np.zeros((12, 12, 16))}, {}, "masks hold float64"),
        ({"y_train": np.full((12, 12, 16), -3)}, {}, "from 0 on"),
        ({"x_train": None}, {}, "has no x_train and y_train"),
        ({}, {"labels": "boxes"}, "labels can't be 'boxes'"),
        ({}, {"least": 3}, "least=3 must be a share"),
    ],
)
def test_wrong_archives_are_one_line(
    tmp_path: Path, changes: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(WrongUse, match=message) as raised:
        load(archive(tmp_path / "x.npz", **changes), **settings)
    assert "\n" not in str(raised.value)


def test_wrong_folders_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="has no folder 'images'"):
        load(f"masks:{tmp_path}")
    root = folder(tmp_path / "a")
    Image.fromarray(scenes(1, (5, 5))[1][0]).save(root / "masks" / "scene0.png")
    with pytest.raises(WrongUse, match=r"scene0.png is \(5, 5\), its picture \(16, 12\)"):
        load(f"masks:{root}")
    Image.fromarray(scenes(1)[0][0]).save(root / "masks" / "scene0.png")
    with pytest.raises(WrongUse, match=r"scene0.png is of mode RGB"):
        load(f"masks:{root}")
    (root / "masks" / "scene0.png").write_bytes(b"?")
    with pytest.raises(WrongUse, match=r"scene0.png or its mask can't be read"):
        load(f"masks:{root}")
    (root / "masks" / "scene0.png").unlink()
    with pytest.raises(WrongUse, match="1 pictures or masks are without the other, as scene0"):
        load(f"masks:{root}")


def labelled(path: Path, **changes: Any) -> str:
    images, masks = scenes(40)
    labels = np.stack([(masks[:, 0, :3] == i).any(1) for i in range(3)], 1).astype(np.uint8)
    arrays = {"x_train": images, "y_train": labels, "class_names": np.array(["a", "b", "c"])} | changes
    np.savez(path, **arrays)
    return f"npz:{path}"


def test_pictures_of_several_labels(tmp_path: Path) -> None:
    data = load(labelled(tmp_path / "x.npz"))
    assert isinstance(data.task, MultiLabel) and data.classes == ("a", "b", "c") and data.augmentation == "flip"
    assert data.task.frequencies == tuple(data.train.targets[:].sum(0).tolist())
    assert data.train.size + data.validation.size + data.test.size == 40
    assert "3 labels, any number of them at once" in describe(data)


def test_a_rare_label_is_in_every_split(tmp_path: Path) -> None:
    labels = np.zeros((40, 3), np.uint8)
    labels[:, 0], labels[10:13, 2] = 1, 1
    data = load(labelled(tmp_path / "x.npz", y_train=labels))
    assert [int(split.targets[:][:, 2].sum()) for split in (data.train, data.validation, data.test)] == [1, 1, 1]
    assert "every training example has 'a'" in describe(data) and "no training example has 'b'" in describe(data)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.arange(120).reshape(40, 3) % 4, "the train split has .* labels are neither 0 nor 1"),
        (np.full((40, 3), 0.5), "neither 0 nor 1, as 0.5"),
        (np.zeros((39, 3)), "40 images but 39 labels"),
    ],
)
def test_wrong_labels_are_one_line(tmp_path: Path, labels: Any, message: str) -> None:
    with pytest.raises(WrongUse, match=message):
        load(labelled(tmp_path / "x.npz", y_train=labels))
