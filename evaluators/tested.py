"""What a network gets right on the examples of a split."""

import time
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from evaluators.tasks import Tally, Task
from hardware_profiles import quiet

EVALUATION_BATCH = 256


def tested(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], task: Task, until: float | None = None
) -> Tally:
    """The task's tally of a network, put in evaluation mode, on batches of inputs and targets.

    Raises `TimeoutError` when the clock (`time.monotonic()`) passes `until`.
    """
    network.eval()
    tally = task.tally()
    with torch.inference_mode():
        for inputs, targets in batches:
            with quiet.training_step():
                outputs = network(inputs).float()
            tally.add(outputs, targets)
            if until is not None and time.monotonic() > until:
                raise TimeoutError("testing took longer than it may")
    return tally
