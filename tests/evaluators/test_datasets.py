"""Data sets: every source, the checks before a search, the splits."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from archfront.contracts import WrongUse
from evaluators.datasets import DataSet, Split, describe, load


def rows(split: Split) -> set[bytes]:
    return {image.numpy().tobytes() for image in split.inputs}


def shares(split: Split, outputs: int) -> torch.Tensor:
    return torch.bincount(split.targets, minlength=outputs) / split.size


def write_npz(path: Path, n: int = 60, classes: int = 3, **changes: Any) -> str:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        "x_train": rng.integers(0, 256, (n, 6, 6, 3), dtype=np.uint8),
        "y_train": np.arange(n) % classes,
        "x_test": rng.integers(0, 256, (12, 6, 6, 3), dtype=np.uint8),
        "y_test": np.arange(12) % classes,
    }
    arrays |= changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return f"npz:{path}"


def write_folder(root: Path, classes: tuple[str, ...] = ("cat", "dog"), n: int = 8, side: int = 10) -> Path:
    rng = np.random.default_rng(1)
    for name in classes:
        (root / name).mkdir(parents=True)
        for i in range(n):
            Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(root / name / f"{i}.png")
    return root


def test_digits_are_split_by_class_without_overlap() -> None:
    digits = load("digits")
    assert digits.inputs == (1, 8, 8) and digits.outputs == 10 and digits.augmentation == "shift"
    assert (digits.train.size, digits.validation.size, digits.test.size) == (1151, 287, 359)
    every = [rows(split) for split in (digits.train, digits.validation, digits.test)]
    assert sum(map(len, every)) == len(set.union(*every)) == 1797
    for split in (digits.validation, digits.test):
        assert torch.allclose(shares(split, 10), shares(digits.train, 10), atol=0.01)
    assert digits.train.inputs.dtype == torch.uint8 and digits.train.targets.dtype == torch.int64
    normal = digits.prepared(digits.train.inputs)
    assert abs(float(normal.mean())) < 1e-4 and abs(float(normal.std()) - 1) < 1e-3


def test_the_seed_draws_validation_and_never_test() -> None:
    first, again, other = load("digits", seed=1), load("digits", seed=1), load("digits", seed=2)
    assert torch.equal(first.validation.inputs, again.validation.inputs)
    assert not torch.equal(first.validation.inputs, other.validation.inputs)
    assert torch.equal(first.test.inputs, other.test.inputs)
    assert first.sha256 == other.sha256


@pytest.mark.parametrize(
    ("name", "inputs", "outputs", "sizes"),
    [
        ("cifar10_subset", (3, 32, 32), 10, (8000, 2000, 2000)),
        ("flowers17_16px", (3, 16, 16), 17, (680, 340, 340)),
        ("fsdd_logmel32", (1, 32, 32), 10, (2160, 540, 300)),
        ("sign_digits_64px", (3, 64, 64), 10, (1319, 330, 413)),
        ("usps_16px", (1, 16, 16), 10, (5833, 1458, 2007)),
    ],
)
def test_real_archives(shared_data: Path, name: str, inputs: Any, outputs: int, sizes: Any) -> None:
    found = load(f"npz:{shared_data / 'images' / name}_uint8.npz")
    assert found.inputs == inputs and found.outputs == outputs
    assert (found.train.size, found.validation.size, found.test.size) == sizes
    assert f"{outputs} classes" in describe(found)


def test_pictures_of_the_test_split_in_train_are_told(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 6, 6, 3), dtype=np.uint8)
    found = load(write_npz(tmp_path / "x.npz", x_train=images, x_test=images[:12]))
    assert "12 of 12 test pictures also occur in train" in describe(found)


def test_other_spellings_of_an_archive(tmp_path: Path) -> None:
    images, labels = np.zeros((30, 5, 5), np.uint8), np.arange(30) % 3 + 7
    images[:, 0, 0] = np.arange(30)
    np.savez(tmp_path / "a.npz", images=images, labels=labels.astype(np.uint8))
    np.savez(tmp_path / "b.npz", train_images=images.astype(np.float64) / 255, train_labels=labels[:, None])
    plain, floats = load(f"npz:{tmp_path / 'a.npz'}"), load(f"npz:{tmp_path / 'b.npz'}")
    assert plain.classes == ("7", "8", "9") and set(plain.train.targets.tolist()) == {0, 1, 2}
    assert floats.train.inputs.dtype == torch.float32 and torch.equal(floats.train.targets, plain.train.targets)
    assert torch.allclose(plain.preparation.mean, floats.preparation.mean, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": np.zeros(60, np.int64), "y_test": np.zeros(12, np.int64)}, "one class only"),
        ({"y_train": np.arange(59) % 3}, "60 images but 59 labels"),
        ({"y_train": np.linspace(0, 1, 60)}, "expected n integers"),
        ({"y_test": np.arange(12) % 4}, "test split has classes that train has not: '3'"),
        ({"x_test": np.zeros((12, 7, 7, 3), np.uint8)}, "make them the same"),
        ({"x_train": np.full((60, 6, 6, 3), np.nan)}, "6480 values that aren't finite"),
        ({"x_train": np.zeros((60, 3, 6, 6), np.uint8)}, "looks channels-first"),
        ({"x_train": np.zeros((0, 6, 6, 3), np.uint8), "y_train": np.zeros(0, np.int64)}, "is empty"),
        ({"x_train": None}, "has no x_train and y_train; it holds x_test, y_test, y_train"),
        ({"y_train": np.array([0] * 58 + [1, 2])}, "fewer than 3 pictures of '1', '2'"),
        ({"x_train": np.array([{}] * 60)}, "can't be read as .npz"),
    ],
)
def test_broken_archives_are_one_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(WrongUse, match=message) as raised:
        load(write_npz(tmp_path / "x.npz", **changes))
    assert "\n" not in str(raised.value)


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    found = load(f"folder:{write_folder(tmp_path / 'pets')}")
    assert found.classes == ("cat", "dog") and found.inputs == (3, 10, 10) and found.augmentation == "flip"
    assert (found.train.size, found.validation.size, found.test.size) == (10, 2, 4)


def test_a_folder_with_splits_keeps_them(tmp_path: Path) -> None:
    for split, n in (("train", 6), ("val", 3), ("test", 4)):
        write_folder(tmp_path / split, n=n)
    found = load(f"folder:{tmp_path}")
    assert (found.train.size, found.validation.size, found.test.size) == (12, 6, 8)


def test_pictures_of_several_sizes_become_squares(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets")
    Image.new("RGB", (30, 20)).save(root / "cat" / "wide.jpg")
    assert load(f"folder:{root}").inputs == (3, 64, 64)
    assert load(f"folder:{root}", size=16).inputs == (3, 16, 16)


def test_unreadable_files_are_counted_and_named(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets")
    (root / "cat" / "broken.png").write_bytes(b"no picture")
    whole = (root / "dog" / "0.png").read_bytes()
    (root / "dog" / "half.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WrongUse, match=r"2 of 18 files .*cat/broken.png, dog/half.png.*data.skip_unreadable=true"):
        load(f"folder:{root}")
    found = load(f"folder:{root}", skip_unreadable=True)
    assert found.train.size + found.validation.size + found.test.size == 16
    assert "2 of 18 files can't be read" in describe(found)


def test_empty_folders_and_single_classes(tmp_path: Path) -> None:
    (tmp_path / "void").mkdir()
    (tmp_path / "hollow" / "a").mkdir(parents=True)
    (tmp_path / "hollow" / "b").mkdir()
    one = write_folder(tmp_path / "one", classes=("cat",))
    (tmp_path / "junk" / "a").mkdir(parents=True)
    (tmp_path / "junk" / "b").mkdir()
    (tmp_path / "junk" / "a" / "x.png").write_bytes(b"?")
    for spec, message in (
        ("missing", "no folder"),
        ("void", "has no sub-folders"),
        ("hollow", "is empty"),
        (one.name, r"one class only \(cat\)"),
        ("junk", "none of the 1 files"),
    ):
        with pytest.raises(WrongUse, match=message):
            load(f"folder:{tmp_path / spec}")


def test_torchvision_reads_its_own_formats(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, n in (("train", 40), ("t10k", 20)):
        images, labels = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), (np.arange(n) % 10).astype(np.uint8)
        sizes = np.array([n, 28, 28], ">i4").tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3]) + sizes + images.tobytes())
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1]) + sizes[:4] + labels.tobytes())
    found = load("torchvision:MNIST", root=str(tmp_path))
    assert found.inputs == (1, 28, 28) and found.test.size == 20 and found.augmentation == "shift"
    assert found.train.size + found.validation.size == 40
    assert torch.equal(found.test.inputs[-1, 0], torch.from_numpy(images[-1]))


def test_torchvision_by_name(tmp_path: Path) -> None:
    found = load("torchvision:FakeData", image_size=(3, 16, 16))
    assert found.inputs == (3, 16, 16) and found.outputs == 10
    with pytest.raises(WrongUse, match="no data set 'CIFAR1'; did you mean 'CIFAR10'"):
        load("torchvision:CIFAR1")
    with pytest.raises(WrongUse, match="download=true"):
        load("torchvision:CIFAR10", root=str(tmp_path / "none"))


def test_own_data_sets(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "import numpy as np\n"
        "from evaluators.datasets import Arrays\n"
        "def arrays(n=30):\n"
        "    images = np.arange(n * 16, dtype=np.uint8).reshape(n, 4, 4)\n"
        "    return Arrays((images, np.arange(n) % 3))\n"
        "class Items:\n"
        "    classes = ['odd', 'even']\n"
        "    def __init__(self, train): self.n = 20 if train else 6\n"
        "    def __len__(self): return self.n\n"
        "    def __getitem__(self, i): return np.full((4, 4), i, np.uint8), i % 2\n"
        "def broken():\n"
        "    raise KeyError('x')\n"
    )
    plain, items = load(f"{file}:arrays", n=60), load(f"{file}:Items")
    assert plain.outputs == 3 and plain.train.size + plain.validation.size + plain.test.size == 60
    assert items.classes == ("odd", "even") and items.test.size == 6
    with pytest.raises(WrongUse, match="can't be made: KeyError"):
        load(f"{file}:broken")


@pytest.mark.parametrize(
    ("spec", "settings", "message"),
    [
        ("digit", {}, "did you mean 'digits'"),
        ("digits:8", {}, "takes nothing after a colon"),
        ("npz", {}, "say what to load after a colon"),
        ("npz:none.npz", {}, "no file none.npz"),
        ("digits", {"validation": 1.5}, "share between 0 and 1"),
        ("digits", {"augmentation": "spin"}, "none, shift or flip"),
        ("digits", {"sise": 3}, "no setting 'sise'"),
    ],
)
def test_wrong_names_are_one_line(spec: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(WrongUse, match=message):
        load(spec, **settings)


def test_augmentation_can_be_chosen() -> None:
    found: DataSet = load("digits", augmentation="none")
    assert found.augmentation == "none"
