"""What a supernet's training will take, found by a few steps of a copy."""

import copy
import time
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from evaluators import checkpoints
from evaluators.optimization import optimizer_for
from evaluators.supernet_training import SupernetTraining

TRIALS = 6
"""Steps that an estimate is made from, spread over the training."""


@dataclass(frozen=True)
class Estimate:
    """Seconds on this host as it is now (of the clock, and of processors), and the memory of weights, gradients,
    optimizer and activations.

    The data set and the Python process itself come on top of `memory_mb`.
    """

    seconds: float
    cpu_seconds: float
    memory_mb: float


def estimate(training: SupernetTraining) -> Estimate:
    """What the rest of the training will take; nothing of it changes by asking."""
    supernet, method = copy.deepcopy(training.supernet), copy.deepcopy(training.method)
    optimizer = optimizer_for(supernet, training.recipe)
    frozen = copy.deepcopy(supernet).requires_grad_(False) if method.frozen_from is not None else None
    times: list[tuple[float, float]] = []
    activations = 0
    with torch.random.fork_rng():
        # The first step makes what later ones find made, so it isn't timed.
        for trial in (TRIALS - 1, *range(TRIALS)):
            kept = _Kept()
            start = time.perf_counter(), time.process_time()
            with torch.autograd.graph.saved_tensors_hooks(kept.packed, _unchanged):
                number = round(trial / (TRIALS - 1) * (training.steps - 1))
                training.stepped(number, supernet, method, optimizer, frozen)
            times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
            activations = max(activations, kept.most)
    weights = _bytes(supernet.parameters()) * (2 if frozen is None else 3)
    state = _bytes(checkpoints.optimizer_tensors(optimizer).values())
    left = (training.steps - training.done) / TRIALS
    seconds, cpu_seconds = (left * sum(column) for column in zip(*times[1:], strict=True))
    return Estimate(seconds, cpu_seconds, (weights + state + activations) / 2**20)


class _Kept:
    """The bytes that graphs keep for their backward passes at one time; tensors that share memory count once."""

    def __init__(self) -> None:
        self._alive: dict[int, int] = {}
        self._now = 0
        self.most = 0

    def packed(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        key = storage.data_ptr()
        # What is at the address of an earlier one has taken its place.
        self._now += storage.nbytes() - self._alive.get(key, 0)
        self._alive[key] = storage.nbytes()
        self.most = max(self.most, self._now)
        return tensor


def _unchanged(tensor: Tensor) -> Tensor:
    return tensor


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
