"""How far a network's probabilities are from what they promise, before and after temperature scaling."""

from collections.abc import Mapping
from math import exp, log

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before torchmetrics imports torchvision)
import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.functional.classification import multiclass_calibration_error

from archfront.contracts import WrongUse
from evaluators.datasets import DataSet, Feed, Split
from evaluators.probes.probe import PROBES, Probe
from evaluators.tasks.task import IGNORED
from evaluators.tested import EVALUATION_BATCH
from hardware_profiles import quiet

MOST = 20_000_000
"""At most so many outputs of a split are kept: of larger ones, evenly chosen positions."""
HOTTEST = 50.0
"""Temperatures are looked for between this and its inverse."""


@PROBES.register("calibration", source="On Calibration of Modern Neural Networks")
class Calibration(Probe):
    """Expected calibration error: |accuracy - confidence| of predictions alike in confidence, averaged over `bins`.

    Temperature scaling divides all outputs by one number, the one with the least cross-entropy on validation data. It
    changes no prediction. Of the scaled error on validation data, the temperature was fitted to the same data; the
    one on test data is free of that.
    """

    name = "calibration"
    measures = {
        "calibration_error": ("min", "fraction", "expected calibration error of the probabilities as they are"),
        "scaled_calibration_error": ("min", "fraction", "expected calibration error after temperature scaling"),
    }

    def __init__(self, bins: int = 15) -> None:
        if not isinstance(bins, int) or isinstance(bins, bool) or not 2 <= bins <= 1000:
            raise WrongUse(f"the probe 'calibration' takes bins from 2 to 1000, not {bins!r}")
        self._bins = bins

    def refuses(self, data: DataSet) -> str:
        right = data.task.kind == "categorical"
        return "" if right else f"{data.task.name} has no probabilities of classes that exclude each other"

    def probed(self, network: nn.Module, data: DataSet, device: str, seed: int) -> Mapping[str, float]:
        validation = outputs_on(network, data, data.validation, device)
        test = outputs_on(network, data, data.test, device)
        heat = temperature(*validation)
        found = {}
        for prefix, (outputs, targets) in (("", validation), ("test_", test)):
            for scaled, divisor in (("", 1.0), ("scaled_", heat)):
                probabilities = (outputs / divisor).softmax(1)
                error = multiclass_calibration_error(probabilities, targets, outputs.shape[1], self._bins, "l1")
                found[f"{prefix}{scaled}calibration_error"] = float(error)
        return found


def temperature(outputs: Tensor, targets: Tensor) -> float:
    """The number to divide outputs (n, classes) by that gives the least cross-entropy with the targets (n,)."""
    outputs = outputs.double()

    def loss(heat: float) -> float:
        return float(functional.cross_entropy(outputs / exp(heat), targets))

    # Cross-entropy is convex in the inverse of the temperature, so it has one minimum.
    found = minimize_scalar(loss, bounds=(-log(HOTTEST), log(HOTTEST)), method="bounded", options={"xatol": 1e-5})
    return float(np.exp(found.x))


def outputs_on(network: nn.Module, data: DataSet, split: Split, device: str) -> tuple[Tensor, Tensor]:
    """What a network gives on a split, as (n, classes) on the CPU, and targets (n,); positions of maps one by one."""
    was = network.training
    kept: list[tuple[Tensor, Tensor]] = []
    positions = 0
    network.eval()
    with torch.inference_mode():
        for inputs, targets in Feed(data, split, device).batches(EVALUATION_BATCH):
            with quiet.training_step():
                outputs = network(inputs).float().cpu()
            rows, wanted = outputs.movedim(1, -1).flatten(0, -2), targets.cpu().flatten()
            rows, wanted = rows[wanted != IGNORED], wanted[wanted != IGNORED]
            # As many of each batch as there is room for, had all batches as many positions as this one.
            room = max(1, MOST // rows.shape[1] * len(inputs) // split.size)
            step = max(1, -(-len(wanted) // room))
            kept.append((rows[positions % step :: step].clone(), wanted[positions % step :: step].clone()))
            positions += len(wanted)
    network.train(was)
    return torch.cat([rows for rows, _ in kept]), torch.cat([wanted for _, wanted in kept])
