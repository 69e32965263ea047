"""A tuned engineer: successive halving among eight networks of timm, a recipe tuned with Optuna, then the long run.

One core, one process. Of what the budget leaves beside imports and measuring:

1. Successive halving. Each network is trained for equal CPU-seconds. The four that together cover most (hypervolume of
   validation accuracy × latency) go on, each in two fits to the size of the pictures (see `engineering.networks`); of
   these eight, three. Weights are kept; every training is one warm-up and one cosine (a warm restart).
2. Optuna's TPE tunes learning rate, weight decay, label smoothing, strength of augmentation, mixup: each trial trains
   the most accurate of the three on from where it stands. The first trial is the recipe that was used so far.
3. The rest is shared among the three, trained on by the best recipe; the tuned one from its best trial's weights.
"""

import copy
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnxruntime
import optuna
import torch

from benchmarks.contenders.interface import Data, Trained
from benchmarks.engineering.networks import NETWORKS, Deployed, Fit, fits, refit
from benchmarks.engineering.training import Arm, Course, Recipe
from benchmarks.fronts import Point, covering
from hardware_profiles import quiet

RUNGS = (0.14, 0.14, 0.12)
"""The shares of the budget of the three rungs."""
KEPT = (4, 3)
"""So many networks are left after the first rung, in two fits each, and after the second."""
VALIDATED = (500, 1000, None)
"""So many examples validate in each rung."""
TUNING = 0.18
TRIALS = 8
RESERVE = 0.02
"""The share that is kept back for what can't be foreseen."""
RUNS = 40
"""A latency is the fastest of so many runs: enough to choose by."""


def run(data: Data, cpu_seconds: float, seed: int, folder: Path) -> list[Trained]:
    """The last three networks."""
    torch.set_num_threads(1)
    return Engineer(data, cpu_seconds, seed, folder).work()


class Engineer:
    """One run; what was done lies in `log.jsonl`, a line for each training."""

    def __init__(self, data: Data, cpu_seconds: float, seed: int, folder: Path) -> None:
        self.data = data.load(seed)
        self.course = Course(self.data, seed)
        self.seed, self.folder = seed, folder
        self.end = cpu_seconds * (1 - RESERVE)
        self.budget = self.left

    @property
    def left(self) -> float:
        """CPU-seconds that are left; this process began to count with its first import."""
        return self.end - time.process_time()

    def work(self) -> list[Trained]:
        arms, recipe = self._halved(), Recipe()
        tuned, recipe = self._tuned(arms[0])
        arms[0] = tuned
        for number, arm in enumerate(arms):
            self.course.train(arm, recipe, self.left / (len(arms) - number))
            self._note("final", arm, recipe)
        return [Trained(str(arm), arm.accuracy, lambda to, arm=arm: self._write(arm, to)) for arm in arms]

    def _halved(self) -> list[Arm]:
        """The networks of the last rung, the most accurate first."""
        usual, other = fits(max(self.data.inputs[1:]))
        each = RUNGS[0] * self.budget / len(NETWORKS)
        arms = self._chosen([self._begun(name, usual, each) for name in NETWORKS], KEPT[0])
        arms += [self._refitted(arm, other) for arm in arms]
        arms = self._chosen(self._rung(arms, 1), KEPT[1])
        return sorted(self._rung(arms, 2), key=lambda arm: -arm.accuracy)

    def _begun(self, name: str, fit: Fit, seconds: float) -> Arm:
        started = time.process_time()
        arm = self.course.arm(name, fit)
        self.course.train(arm, Recipe(), seconds - (time.process_time() - started), VALIDATED[0])
        arm.latency_ms = self._latency(arm)
        self._note("rung 1", arm, Recipe())
        return arm

    def _refitted(self, arm: Arm, fit: Fit) -> Arm:
        found = replace(arm, fit=fit, model=refit(copy.deepcopy(arm.model), fit))
        found.latency_ms = self._latency(found)
        return found

    def _rung(self, arms: list[Arm], number: int) -> list[Arm]:
        for arm in arms:
            self.course.train(arm, Recipe(), RUNGS[number] * self.budget / len(arms), VALIDATED[number])
            self._note(f"rung {number + 1}", arm, Recipe())
        return arms

    def _chosen(self, arms: Sequence[Arm], count: int) -> list[Arm]:
        points = [Point(arm.accuracy, arm.latency_ms) for arm in arms]
        worst = Point(1 / self.data.outputs, 1.05 * max(point.latency_ms for point in points))
        return [arms[number] for number in covering(points, count, worst)]

    def _tuned(self, arm: Arm) -> tuple[Arm, Recipe]:
        """The best of some trials, each from the arm's present weights, and its recipe."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=self.seed, n_startup_trials=4)
        )
        study.enqueue_trial(asdict(Recipe()))
        each, best, found = TUNING * self.budget / TRIALS, (-math.inf, arm), Recipe()
        for _ in range(TRIALS):
            trial = study.ask()
            recipe = _suggested(trial)
            tried = self.course.train(copy.deepcopy(arm), recipe, each)
            self._note("trial", tried, recipe)
            # The loss tells those apart that are equally accurate on few examples.
            value = tried.accuracy - 0.01 * min(tried.loss, 10.0)
            study.tell(trial, value)
            if value > best[0]:
                best, found = (value, tried), recipe
        return best[1], found

    def _latency(self, arm: Arm) -> float:
        """Milliseconds of one picture on one thread of ONNX Runtime."""
        file = self._write(arm, self.folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        picture = {"inputs": np.zeros((1, *self.data.inputs), np.float32)}
        times = []
        with quiet.measurement():
            for _ in range(RUNS):
                started = time.perf_counter()
                session.run(None, picture)
                times.append(time.perf_counter() - started)
        file.unlink()
        return 1000 * min(times)

    def _write(self, arm: Arm, folder: Path) -> Path:
        file = folder / "model.onnx"
        example = torch.zeros(2, *self.data.inputs)
        module = Deployed(copy.deepcopy(arm.model).to(memory_format=torch.contiguous_format), arm.fit).eval()
        names = {"input_names": ["inputs"], "output_names": ["outputs"]}
        axes = {"dynamic_axes": {"inputs": {0: "batch"}, "outputs": {0: "batch"}}}
        torch.onnx.export(module, (example,), str(file), dynamo=False, opset_version=20, **names, **axes)
        return file

    def _note(self, stage: str, arm: Arm, recipe: Recipe) -> None:
        line = {
            "stage": stage,
            "network": str(arm),
            "validation": round(arm.accuracy, 4),
            "loss": round(arm.loss, 4),
            "latency_ms": round(arm.latency_ms, 4),
            "epochs": round(arm.epochs, 2),
            "seconds": round(arm.seconds, 2),
            "bfloat16": arm.half,
            "spent": round(time.process_time(), 1),
            "recipe": asdict(recipe),
        }
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")


def _suggested(trial: optuna.Trial) -> Recipe:
    return Recipe(
        lr=trial.suggest_float("lr", 1e-3, 2e-2, log=True),
        weight_decay=trial.suggest_float("weight_decay", 1e-3, 0.3, log=True),
        smoothing=trial.suggest_float("smoothing", 0.0, 0.2),
        strength=trial.suggest_float("strength", 0.0, 1.0),
        mixup=trial.suggest_float("mixup", 0.0, 0.8),
    )
