"""Rows of files: taken like tensors, in any order, by any thread, and read ahead without changing anything."""

import copy
import gc
import pickle
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluators.datasets import DataSet, Feed, Split, load
from evaluators.datasets.rows import Mapped, header


@pytest.fixture(params=["uint8", "float32"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Mapped, torch.Tensor]:
    held = np.random.default_rng(0).integers(0, 256, (50, 3, 4, 5)).astype(request.param)
    np.save(tmp_path / "rows.npy", held)
    return Mapped(tmp_path / "rows.npy"), torch.from_numpy(held)


def test_whatever_is_taken_is_what_a_tensor_gives(pair: tuple[Mapped, torch.Tensor]) -> None:
    rows, held = pair
    some = np.random.default_rng(1).permutation(50)[:30]
    for mapped, tensor in ((rows, held), (rows.at(some), held[some]), (rows.at(held[:, 0, 0, 0].numpy() > 99), None)):
        tensor = held[held[:, 0, 0, 0] > 99] if tensor is None else tensor
        assert (len(mapped), mapped.shape, mapped.dtype, mapped.ndim) == (len(tensor), tensor.shape, tensor.dtype, 4)
        assert mapped.nbytes == tensor.nbytes
        for chosen in (slice(None), slice(3, 9), slice(None, None, 7), slice(40, 90), slice(5, 5), slice(None, -3, 2)):
            assert torch.equal(mapped[chosen], tensor[chosen])
        for chosen in (torch.randperm(len(tensor)), torch.tensor([4, 4, 5, 0, -1]), torch.tensor([], dtype=torch.long)):
            assert torch.equal(mapped[chosen], tensor[chosen])
        assert torch.equal(mapped[2], tensor[2]) and torch.equal(mapped[-1], tensor[-1])
        assert all(torch.equal(one, other) for one, other in zip(mapped, tensor, strict=True))
        with pytest.raises(IndexError):
            mapped[torch.tensor([len(tensor)])]


def test_copies_read_the_same(pair: tuple[Mapped, torch.Tensor]) -> None:
    rows, held = pair
    some = rows.at(np.array([7, 3]))
    for other in (copy.deepcopy(some), pickle.loads(pickle.dumps(some))):  # noqa: S301
        assert torch.equal(other[:], held[[7, 3]])


def test_a_file_that_is_cut_off_while_it_is_read_is_told(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((50, 8)))
    rows = Mapped(tmp_path / "rows.npy")
    with (tmp_path / "rows.npy").open("r+b") as file:
        file.truncate(1000)
    assert len(rows[:5]) == 5
    with pytest.raises(OSError, match="cut off"):
        rows[:]


def test_what_has_no_rows_is_refused(tmp_path: Path) -> None:
    for name, array in (("fortran", np.zeros((4, 5), order="F")), ("objects", np.array([{}, {}]))):
        np.save(tmp_path / f"{name}.npy", array, allow_pickle=True)
        with (tmp_path / f"{name}.npy").open("rb") as file, pytest.raises(ValueError, match=name):
            header(file, name)


def digits(folder: Path) -> tuple[DataSet, DataSet]:
    """The digits in memory, and the same with the training pictures in a file."""
    held = load("digits")
    np.save(folder / "train.npy", held.train.inputs.numpy())
    return held, replace(held, train=Split(Mapped(folder / "train.npy"), held.train.targets))


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("archfront-reads")]


def test_a_feed_gives_the_same_in_the_same_order(tmp_path: Path) -> None:
    held, mapped = (Feed(data, data.train) for data in digits(tmp_path))
    assert held.in_memory and not mapped.in_memory
    order = torch.randperm(held.size)
    for ours, theirs in (
        (mapped.in_order(order, 100), held.in_order(order, 100)),
        (mapped.batches(256), held.batches(256)),
    ):
        for (inputs, targets), (wanted, labels) in zip(ours, theirs, strict=True):
            assert torch.equal(inputs, wanted) and torch.equal(targets, labels)
            assert inputs.is_contiguous(memory_format=torch.channels_last)
    assert not readers()


def test_what_is_announced_wrongly_is_never_given(tmp_path: Path) -> None:
    held, mapped = (Feed(data, data.train) for data in digits(tmp_path))
    for number in range(20):
        chosen, then = torch.randperm(500)[:10], [torch.randperm(500)[:10] for _ in range(number % 4)]
        assert torch.equal(mapped.take(chosen, then)[0], held.take(chosen)[0])
        for each in then[::-2]:
            assert torch.equal(mapped.take(each)[0], held.take(each)[0])
    assert len(readers()) == 1
    mapped.close()
    assert not readers()
    assert torch.equal(mapped.take(slice(0, 3))[0], held.take(slice(0, 3))[0])
    del mapped
    gc.collect()
    until = time.monotonic() + 10
    while readers() and time.monotonic() < until:
        time.sleep(0.01)
    assert not readers()


def test_reading_goes_on_while_a_batch_is_used_and_no_further(tmp_path: Path) -> None:
    _, data = digits(tmp_path)
    read: list[str] = []

    class Noted(Mapped):
        def __getitem__(self, chosen: object) -> torch.Tensor:
            read.append(threading.current_thread().name)
            return super().__getitem__(chosen)

    noted = replace(data, train=Split(Noted(tmp_path / "train.npy"), data.train.targets))
    batches = Feed(noted, noted.train).in_order(torch.arange(1000), 100)
    next(batches)
    until = time.monotonic() + 10
    while len(read) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(read) == 3 and sum(name.startswith("archfront-reads") for name in read) == 2
    batches.close()  # type: ignore[attr-defined]
    assert not readers()


def test_an_error_of_the_reader_is_raised_where_its_batch_is_taken(tmp_path: Path) -> None:
    _, data = digits(tmp_path)
    feed = Feed(data, data.train)
    with (tmp_path / "train.npy").open("r+b") as file:
        file.truncate(128 + 64 * 450)
    batches = feed.batches(100)
    for _ in range(4):
        next(batches)
    with pytest.raises(OSError, match="cut off"):
        next(batches)
    assert not readers()


def test_the_reader_leaves_the_cores_to_the_training(tmp_path: Path) -> None:
    _, data = digits(tmp_path)
    seen: list[int] = []

    class Noted(Mapped):
        def __getitem__(self, chosen: object) -> torch.Tensor:
            if threading.current_thread() is not threading.main_thread():
                seen.append(torch.get_num_threads())
            return super().__getitem__(chosen)

    noted = replace(data, train=Split(Noted(tmp_path / "train.npy"), data.train.targets))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        list(Feed(noted, noted.train).batches(300))
        later: list[int] = []
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert set(seen) == {1} and torch.get_num_threads() == 2 and later == [2]
    finally:
        torch.set_num_threads(before)
