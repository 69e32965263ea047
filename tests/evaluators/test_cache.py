"""The cache of data: the same examples as in memory, made once, and never taken when stale or damaged."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from archfront.contracts import Context, Proposal, WrongUse
from evaluators import cost
from evaluators.base import attempt, create
from evaluators.datasets import DataSet, Feed, cache, describe, folder, load
from evaluators.datasets.rows import Mapped
from evaluators.inherited_weights import recalibration_batches
from evaluators.recipes.training import Recipe
from evaluators.supernet_training import SupernetTraining
from evaluators.zero_cost.evaluator import batch
from search_spaces import one_of
from search_spaces.blocks import MLP, Block, Conv3x3Stem, DepthwiseConv
from search_spaces.space import Space
from search_spaces.topologies import Network, Stage
from search_spaces.topologies.network.cell201 import Cell201
from search_spaces.weight_sharing import METHODS, Supernet

SMALL = Cell201("nor_conv_3x3", "skip_connect", "nor_conv_1x1", "none", "avg_pool_3x3", "skip_connect", 1, 6)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("ARCHFRONT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


def entries(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir())


def pictures(root: Path, n: int = 40, side: int = 12, mode: str = "RGB") -> Path:
    rng = np.random.default_rng(1)
    for label, name in enumerate(("ant", "bee", "cat")):
        (root / name).mkdir(parents=True)
        for i in range(n):
            shape = (side, side, 3) if mode == "RGB" else (side, side)
            array = rng.integers(0, 128, shape, dtype=np.uint8) + np.uint8(60 * label)
            Image.fromarray(array).save(root / name / f"{i}.png")
    return root


def archive(path: Path, write: Callable[..., None] = np.savez, **changes: Any) -> str:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        "x_train": rng.integers(0, 256, (120, 6, 7, 3), dtype=np.uint8),
        "y_train": np.arange(120) % 3 + 5,
        "x_test": rng.integers(0, 256, (30, 6, 7, 3), dtype=np.uint8),
        "y_test": np.arange(30) % 3 + 5,
    }
    arrays |= changes
    write(path, **{key: value for key, value in arrays.items() if value is not None})
    return f"npz:{path}"


def assert_same(mapped: DataSet, held: DataSet) -> None:
    assert not mapped.in_memory and held.in_memory
    for name in ("train", "validation", "test"):
        ours, theirs = getattr(mapped, name), getattr(held, name)
        assert isinstance(ours.inputs, Mapped) and ours.inputs.dtype == theirs.inputs.dtype
        assert torch.equal(ours.inputs[:], theirs.inputs) and torch.equal(ours.targets[:], theirs.targets)
    assert mapped.sha256 == held.sha256 and mapped.task == held.task and mapped.problems == held.problems
    assert torch.equal(mapped.preparation.mean, held.preparation.mean)
    assert torch.equal(mapped.preparation.std, held.preparation.std)
    assert describe(mapped) == describe(held)


FLOATS = np.random.default_rng(2).normal(300, 1, (120, 6, 7, 3))
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "compressed": {"write": np.savez_compressed},
    "no test split": {"x_test": None, "y_test": None},
    "floats": {"x_train": FLOATS, "x_test": FLOATS[:30]},
    "one channel": {"x_train": FLOATS[..., 0].astype(np.float32), "x_test": FLOATS[:30, ..., 0].astype(np.float32)},
    "columns of labels": {"y_train": np.arange(120)[:, None] % 3, "y_test": np.arange(30)[:, None] % 3},
    "several labels": {
        "y_train": np.random.default_rng(3).integers(0, 2, (120, 4)),
        "y_test": np.random.default_rng(4).integers(0, 2, (30, 4)),
    },
    "test pictures in train": {"x_test": np.random.default_rng(0).integers(0, 256, (120, 6, 7, 3), np.uint8)[:30]},
}


@pytest.mark.parametrize("case", CASES)
def test_archives_are_the_same_as_in_memory(tmp_path: Path, case: str) -> None:
    spec = archive(tmp_path / "x.npz", **CASES[case])
    for _ in range(2):
        assert_same(load(spec, seed=3, memory_mb=0), load(spec, seed=3))


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_folders_are_the_same_as_in_memory(tmp_path: Path, mode: str) -> None:
    spec = f"folder:{pictures(tmp_path / 'all', mode=mode)}"
    assert_same(load(spec, memory_mb=0), load(spec))
    assert_same(load(spec, seed=5, size=9, memory_mb=0), load(spec, seed=5, size=9))
    (tmp_path / "all" / "ant" / "broken.png").write_bytes(b"no picture")
    for _ in range(2):
        with pytest.raises(WrongUse, match=r"1 of 121 files can't be read as pictures: ant/broken\.png"):
            load(spec, memory_mb=0)
        assert_same(load(spec, memory_mb=0, skip_unreadable=True), load(spec, skip_unreadable=True))


def test_own_items_are_the_same_as_in_memory(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    text = (
        "import numpy as np\n"
        "from PIL import Image\n"
        "class Items:\n"
        "    classes = ['odd', 'even']\n"
        "    def __init__(self, train, varied=False): self.n, self.varied = 20 if train else 6, varied\n"
        "    def __len__(self): return self.n\n"
        "    def __getitem__(self, i):\n"
        "        side = 70 + i % 3 if self.varied else 4\n"
        "        return Image.fromarray(np.full((side, 70 if self.varied else 4, 3), i + SHIFT, np.uint8)), i % 2\n"
        "SHIFT = 0\n"
    )
    file.write_text(text)
    assert_same(load(f"{file}:Items", memory_mb=0), load(f"{file}:Items"))
    assert_same(load(f"{file}:Items", memory_mb=0, varied=True), load(f"{file}:Items", varied=True))
    file.write_text(text.replace("SHIFT = 0", "SHIFT = 7"))
    assert_same(load(f"{file}:Items", memory_mb=0), load(f"{file}:Items"))
    assert_same(load("torchvision:FakeData", memory_mb=0, size=8), load("torchvision:FakeData", size=8))


def test_what_fits_leaves_no_cache_and_what_is_there_is_held_where_it_fits(tmp_path: Path, place: Path) -> None:
    spec = archive(tmp_path / "x.npz")
    assert load(spec).in_memory and load(f"folder:{pictures(tmp_path / 'all')}").in_memory and not place.exists()
    assert not load(f"folder:{tmp_path / 'all'}", memory_mb=0.04).in_memory
    assert load(f"folder:{tmp_path / 'all'}", memory_mb=0.06).in_memory
    with pytest.raises(WrongUse, match="memory_mb must be a number of 0 or more"):
        load(spec, memory_mb=-1)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A third of the digits as a folder of pictures."""
    held, root = load("digits"), tmp_path_factory.mktemp("digits")
    for number, (image, label) in enumerate(zip(held.train.inputs[:400], held.train.targets, strict=False)):
        (root / str(int(label))).mkdir(exist_ok=True)
        Image.fromarray(image[0].numpy()).save(root / str(int(label)) / f"{number}.png")
    return f"folder:{root}"


def test_a_training_is_the_same_to_the_last_bit(tmp_path: Path, digits: str) -> None:
    found = []
    for name, memory in (("held", 64), ("mapped", 0)):
        data = load(digits, memory_mb=memory)
        assert data.in_memory == (memory > 0)
        context = Context(tmp_path / name, inputs=data.inputs, outputs=data.outputs, data=data)
        result = attempt(create("training", {"epochs": 3, "batch_size": 50}), Proposal(SMALL, "d1"), context)
        weights = load_file(tmp_path / name / next(a.path for a in result.artifacts if a.kind == "weights"))
        found.append((weights, [(metric.name, metric.value) for metric in result.metrics]))
    assert found[0][1] == found[1][1]
    assert all(torch.equal(tensor, found[1][0][key]) for key, tensor in found[0][0].items())


@pytest.mark.parametrize("method", ["sandwich", "darts"])
def test_a_supernet_is_the_same_to_the_last_bit(tmp_path: Path, digits: str, method: str) -> None:
    block = Block(one_of(DepthwiseConv(one_of(3, 5)), "pool"), MLP(1))
    space = Space(Network(Conv3x3Stem(stride=1), (Stage(8, (block,), None),)), "small")
    found = []
    for memory in (64, 0):
        data = load(digits, memory_mb=memory)
        supernet = Supernet(space, data.inputs, data.outputs, seed=1)
        training = SupernetTraining(supernet, data, Recipe(batch_size=32), METHODS.get(method)(), steps=12)
        told: list[Any] = []
        training.run(tmp_path / str(memory), listener=told.append, every_s=0)
        losses = [(one.smallest, one.largest, one.random) for one in told]
        found.append((training.history, losses, supernet.state_dict(), recalibration_batches(data, 64, 32, "cpu")))
    (history, losses, state, batches), (others, told, weights, same) = found
    assert history == others and losses == told
    assert all(torch.equal(tensor, weights[key]) for key, tensor in state.items())
    assert all(torch.equal(one, other) for one, other in zip(batches, same, strict=True))


def test_whatever_else_takes_examples_takes_the_same(tmp_path: Path, digits: str) -> None:
    mapped, held = load(digits, memory_mb=0), load(digits)
    for ours, theirs in zip(batch(mapped, 16, 2), batch(held, 16, 2), strict=True):
        assert torch.equal(ours, theirs)
    few = [cost.examples(Context(tmp_path, data=data)) for data in (mapped, held)]
    assert few[0] is not None and few[1] is not None and torch.equal(few[0], few[1])
    for name in ("validation", "test"):
        tests = [list(Feed(data, getattr(data, name)).batches(16)) for data in (mapped, held)]
        for (inputs, targets), (wanted, labels) in zip(*tests, strict=True):
            assert torch.equal(inputs, wanted) and torch.equal(targets, labels)


def test_a_second_time_nothing_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = f"folder:{pictures(tmp_path / 'all')}"
    first = load(spec, memory_mb=0)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(folder, "_decoded", never)
    monkeypatch.setattr(folder, "_shape", never)
    assert load(spec, memory_mb=0).sha256 == first.sha256
    assert load(spec, memory_mb=0, seed=9).sha256 == first.sha256


@pytest.mark.parametrize("change", ["picture", "time", "name", "more"])
def test_a_stale_entry_is_made_again(tmp_path: Path, place: Path, change: str) -> None:
    root = pictures(tmp_path / "all")
    before = load(f"folder:{root}", memory_mb=0)
    made = (entries(place)[0] / cache.ABOUT).stat().st_mtime_ns
    file = root / "ant" / "3.png"
    if change == "picture":
        shutil.copy(root / "bee" / "5.png", file)
    elif change == "time":
        os.utime(file, (1, 1))
    elif change == "name":
        file.rename(root / "ant" / "99.png")
    else:
        shutil.copy(file, root / "cat" / "new.png")
    assert_same(load(f"folder:{root}", memory_mb=0), load(f"folder:{root}"))
    assert len(entries(place)) == 1 and (entries(place)[0] / cache.ABOUT).stat().st_mtime_ns > made
    assert len(before.train.inputs[:]) == 78  # What was open stays whole.


def overwrite(path: Path, start: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(bytes(5000))


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "cut off": lambda place: os.truncate(place / "train.npy", 4000),
    "overwritten": lambda place: overwrite(place / "train.npy", 4000),
    "other labels": lambda place: overwrite(place / "train.labels.npy", 128),
    "no labels": lambda place: (place / "train.labels.npy").unlink(),
    "no description": lambda place: (place / cache.ABOUT).unlink(),
    "half a description": lambda place: os.truncate(place / cache.ABOUT, 40),
    "another description": lambda place: (place / cache.ABOUT).write_text("[]"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_made_again(tmp_path: Path, place: Path, damage: str) -> None:
    spec = f"folder:{pictures(tmp_path / 'all')}"
    load(spec, memory_mb=0)
    DAMAGES[damage](entries(place)[0])
    (entries(place)[0].with_suffix(".partial")).mkdir()
    assert_same(load(spec, memory_mb=0), load(spec))
    assert len(entries(place)) == 1


def full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = f"folder:{pictures(tmp_path / 'all')}"
    with monkeypatch.context() as patch:
        patch.setattr(cache.os, "fsync", full)
        with pytest.raises(WrongUse, match=r"no room for the cache of data .* it is full; make room there") as raised:
            load(spec, memory_mb=0)
        assert "\n" not in str(raised.value) and not entries(place)
    with monkeypatch.context() as patch:
        patch.setattr(cache.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
        patch.setattr(folder, "_decoded", full)
        with pytest.raises(WrongUse, match=r"0\.0 GB are needed, 0\.0 GB are free"):
            load(spec, memory_mb=0)
    assert not entries(place)
    assert not load(spec, memory_mb=0).in_memory


def test_a_cache_that_cant_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("ARCHFRONT_CACHE", str(tmp_path / "file"))
    with pytest.raises(WrongUse, match=r"can't be written .*; set ARCHFRONT_CACHE to a folder that can"):
        load(archive(tmp_path / "x.npz"), memory_mb=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": np.arange(119) % 3}, "120 images but 119 labels"),
        ({"x_test": np.zeros((30, 7, 7, 3), np.uint8)}, "make them the same"),
        ({"x_test": np.zeros((30, 6, 7, 3))}, "of float64, train images .* of uint8; make them the same"),
        ({"x_train": np.full((120, 6, 7, 3), np.nan), "x_test": None}, "15120 values that aren't finite"),
        ({"x_train": np.zeros((120, 3, 6, 6), np.uint8)}, "looks channels-first"),
        ({"y_test": np.arange(30) % 4}, "classes that train has not: '0'"),
        ({"y_train": np.linspace(0, 1, 120)}, "expected n integers"),
    ],
)
def test_broken_archives_are_one_line(tmp_path: Path, place: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(WrongUse, match=message) as raised:
        load(archive(tmp_path / "x.npz", **changes), memory_mb=0)
    assert "\n" not in str(raised.value)


def test_an_archive_that_is_damaged_inside_is_one_line(tmp_path: Path, place: Path) -> None:
    spec = archive(tmp_path / "x.npz", write=np.savez_compressed)
    overwrite(tmp_path / "x.npz", 3000)
    with pytest.raises(WrongUse, match=r"can't be read as \.npz") as raised:
        load(spec, memory_mb=0)
    assert "\n" not in str(raised.value) and not entries(place)


LOADING = """
import sys
from evaluators.datasets import folder, load
decoded, real = [], folder._decoded
def noted(*given):
    decoded.append(1)
    return real(*given)
folder._decoded = noted
print("ready", flush=True)
sys.stdin.readline()
print(load(sys.argv[1], memory_mb=0).sha256, bool(decoded))
"""


def test_processes_that_start_at_once_decode_once(tmp_path: Path) -> None:
    spec = f"folder:{pictures(tmp_path / 'all', n=150, side=32)}"
    command = [sys.executable, "-c", LOADING, spec]
    streams: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, **streams, env=os.environ | {"PYTHONPATH": os.getcwd()}) for _ in range(3)]
    for process in started:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=100)[0].split() for process in started]
    assert {digest for digest, _ in said} == {load(spec).sha256}
    assert sorted(decoded for _, decoded in said) == ["False", "False", "True"]


MEMORY = """
import sys, psutil, threading, time
import numpy as np, torch
from evaluators.datasets import Feed, load
torch.set_num_threads(1)
load("digits")
me, peak, over = psutil.Process(), [0], threading.Event()
def watch():
    while not over.wait(0.01):
        peak[0] = max(peak[0], me.memory_info().rss)
start = me.memory_info().rss
threading.Thread(target=watch).start()
data = load(sys.argv[1])
feed, order = Feed(data, data.train), torch.randperm(data.train.size)
total = sum(float(inputs.mean()) for inputs, _ in feed.in_order(order, 128))
list(Feed(data, data.test).batches(256))
over.set()
print(data.in_memory, (peak[0] - start) >> 20, len(feed.split.inputs))
"""


@pytest.mark.slow
def test_memory_stays_bounded_while_a_large_set_is_unpacked_and_taken(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (1500, 100, 100, 3), dtype=np.uint8)
    file = tmp_path / "large.npz"
    np.savez(file, x_train=np.concatenate([images] * 30), y_train=np.arange(45000) % 10, x_test=images, y_test=LABELS)
    assert file.stat().st_size > 1300 * 2**20
    for _ in range(2):
        command = [sys.executable, "-c", MEMORY, f"npz:{file}"]
        run = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": os.getcwd()})
        in_memory, grown, _ = run.stdout.split()
        assert in_memory == "False" and int(grown) < 300, run.stderr


LABELS = np.arange(1500) % 10
