"""The examples of a split as a network takes them, on its device, batch by batch."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeAlias

import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

from evaluators.datasets.dataset import DataSet, Split

Chosen: TypeAlias = "Tensor | slice"
"""Numbers of examples."""
AHEAD = 2
"""Batches that are read before they are needed."""
PREPARED = 2**17
"""About how many values are prepared at a time, of what is read."""


def laid_out(inputs: Tensor) -> Tensor:
    """Pictures in channels last, the layout that convolutions are fastest in; all else contiguous."""
    return inputs.contiguous(memory_format=torch.channels_last if inputs.ndim == 4 else torch.contiguous_format)


class Feed:
    """A split's prepared inputs and targets.

    What is held in memory is prepared once; what is read from a file, whenever it is taken, by a thread that reads
    and prepares the next batches meanwhile.
    """

    def __init__(self, dataset: DataSet, split: Split, device: str = "cpu") -> None:
        self.dataset, self.split, self.device = dataset, split, device
        self._inputs: Tensor | None = None
        self._reader: _Reader | None = None
        if isinstance(split.inputs, Tensor):
            self._inputs = laid_out(dataset.prepared(split.inputs)).to(device)
            self._targets = dataset.task.targets(split.targets[:]).to(device)

    @property
    def size(self) -> int:
        """The number of examples."""
        return self.split.size

    @property
    def in_memory(self) -> bool:
        """Whether nothing has to be read to take examples."""
        return self._inputs is not None

    def take(self, chosen: Chosen, then: Sequence[Chosen] = ()) -> tuple[Tensor, Tensor]:
        """Inputs and targets of some examples, by their numbers; `then` are likely to be taken next."""
        if self._inputs is not None:
            chosen = chosen if isinstance(chosen, slice) else chosen.to(self.device)
            return self._inputs[chosen], self._targets[chosen]
        if self._reader is None:
            self._reader = _Reader(partial(_read, self.dataset, self.split))
        return self._there(self._reader.take(chosen, then))

    def in_order(self, order: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Examples by their numbers, `size` at a time."""
        # One transfer to the device of all numbers, where the examples are there.
        return self._each((order.to(self.device) if self.in_memory else order).split(size))

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All examples in their order."""
        return self._each([slice(start, start + size) for start in range(0, self.size, size)])

    def close(self) -> None:
        """End the thread that reads ahead for `take`; without that it ends with the feed."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _each(self, parts: Sequence[Chosen]) -> Iterator[tuple[Tensor, Tensor]]:
        if self.in_memory:
            yield from map(self.take, parts)
            return
        reader = _Reader(partial(_read, self.dataset, self.split))
        try:
            for number, part in enumerate(parts):
                yield self._there(reader.take(part, parts[number + 1 : number + 1 + AHEAD]))
        finally:
            reader.close()

    def _there(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return batch[0].to(self.device), batch[1].to(self.device)


def _read(dataset: DataSet, split: Split, chosen: Chosen) -> tuple[Tensor, Tensor]:
    raw = split.inputs[chosen]
    # A few at a time: what comes up in between stays small, and in the processor's cache.
    parts = raw.split(max(1, PREPARED // max(1, raw[:1].numel())))
    first = laid_out(dataset.prepared(parts[0]))
    if len(parts) == 1:
        inputs = first
    else:
        layout = torch.channels_last if first.ndim == 4 else torch.contiguous_format
        inputs = torch.empty((len(raw), *first.shape[1:]), dtype=first.dtype, memory_format=layout)
        for part, place in zip(parts, inputs.split(len(parts[0])), strict=True):
            place.copy_(first if part is parts[0] else dataset.prepared(part))
    return inputs, dataset.task.targets(split.targets[chosen])


class _Reader:
    """A thread that reads batches before they are taken, at most as many as were named last.

    A thread is enough, since reading, preparing and decoding let others run meanwhile; it has one core, and leaves
    the others to the training. It only begins to read when something is taken, so while a training waits for a
    latency to be measured it reads no more than the few batches that it was told of.
    """

    def __init__(self, read: Callable[[Chosen], tuple[Tensor, Tensor]]) -> None:
        self._read = read
        self._thread = ThreadPoolExecutor(1, "archfront-reads", _on_one_core)
        self._pending: list[tuple[Chosen, Future[tuple[Tensor, Tensor]]]] = []

    def take(self, chosen: Chosen, then: Sequence[Chosen]) -> tuple[Tensor, Tensor]:
        """What is read for `chosen`, as it was announced or else now; raises what reading raised."""
        found = self._begun(chosen)
        kept = [(part, self._begun(part) or self._thread.submit(self._read, part)) for part in then]
        for future in {future for _, future in self._pending} - {future for _, future in kept} - {found}:
            future.cancel()
        self._pending = kept
        return self._read(chosen) if found is None else found.result()

    def close(self) -> None:
        """Wait for what is being read, leave the rest, and end the thread."""
        self._pending = []
        self._thread.shutdown(cancel_futures=True)

    def _begun(self, chosen: Chosen) -> Future[tuple[Tensor, Tensor]] | None:
        return next((future for part, future in self._pending if _same(part, chosen)), None)


def _same(first: Chosen, second: Chosen) -> bool:
    if isinstance(first, slice) or isinstance(second, slice):
        return first is second or (type(first) is type(second) and bool(first == second))
    return torch.equal(first, second)


def _on_one_core() -> None:
    torch.get_num_threads()  # torch gives a thread its default number at its first call, which the limit must follow.
    # `torch.set_num_threads` would hold for threads that begin later, too; this holds for this one.
    ThreadpoolController().select(user_api="openmp").limit(limits=1)
