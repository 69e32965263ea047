"""One supernet training on several workers of Ray Train, each with its share of every batch."""

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn

from archfront.contracts import WrongUse
from evaluators import checkpoints
from evaluators.base import Diverged
from evaluators.datasets import load
from evaluators.supernet_training import STEM, TRAINING, Listener, SupernetTraining
from search_spaces import canonical
from search_spaces.registry import load_file
from search_spaces.spaces import get_space
from search_spaces.weight_sharing import METHODS, Supernet
from search_spaces.weight_sharing.methods import Batch, Method

RESTARTS = 3
"""How often workers are started anew, from the last checkpoint, after one of them died."""
STORE_BYTES = 80 * 2**20
"""Shared memory of a Ray that is started here: only JSON goes through it."""


class WorkerTraining(SupernetTraining):
    """One worker's part of a training, within a process group: every `workers`-th example of a batch.

    All workers draw the same networks in a step, and their gradients are averaged before they are clipped, so that
    weights and the optimizer's state stay equal everywhere. DistributedDataParallel isn't used for it: a step passes
    through several networks, each with other parameters, where it prepares its reducer for one forward and backward
    pass over a fixed set (`find_unused_parameters` would search every graph, and set gradients of zero where weights
    weren't used, which moves them by momentum and decay). As there, batch normalization sees the worker's share only,
    and the first worker's statistics are those that are kept.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.rank, self.workers = distributed.get_rank(), distributed.get_world_size()
        # The method would clip each worker's own gradients; here they are clipped when they are averaged.
        self._clip = self.recipe.clip
        self.recipe = replace(self.recipe, clip=0.0)
        self.optimizer.register_step_pre_hook(lambda *_: self._average())

    def _renew(self) -> None:
        super()._renew()
        self.optimizer.register_step_pre_hook(lambda *_: self._average())

    def _average(self) -> None:
        gradients = [p.grad for p in self.supernet.parameters() if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.workers
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))
        if self._clip:
            nn.utils.clip_grad_norm_(self.supernet.parameters(), self._clip)

    def batch_of(self, number: int) -> Batch:
        return _share(super().batch_of(number), self.rank, self.workers)

    def stepped(
        self,
        number: int,
        supernet: Supernet,
        method: Method,
        optimizer: torch.optim.Optimizer,
        frozen: Supernet | None,
    ) -> list[float]:
        losses = torch.tensor(super().stepped(number, supernet, method, optimizer, frozen), dtype=torch.float64)
        losses = losses.to(self.device)
        # All see the same losses, so that all stop where they are no longer finite.
        distributed.all_reduce(losses)
        return (losses / self.workers).tolist()

    def save(self, folder: Path) -> None:
        if self.rank == 0:
            super().save(folder)

    def restore(self, folder: Path) -> None:
        super().restore(folder)
        done = torch.tensor([self.done, -self.done], device=self.device)
        distributed.all_reduce(done, distributed.ReduceOp.MAX)
        if done.sum() != 0:
            raise WrongUse(f"the workers don't all see the same files in {folder}; use a folder that all hosts share")

    def _freeze(self, folder: Path) -> None:
        if self.rank == 0:
            super()._freeze(folder)
        else:
            self.frozen = self._copied(self.supernet.state_dict())


def _share(batch: Batch, rank: int, workers: int) -> Batch:
    held = None if batch.held_out is None else _share(batch.held_out, rank, workers)
    return batch._replace(inputs=batch.inputs[rank::workers], targets=batch.targets[rank::workers], held_out=held)


def run_distributed(
    training: SupernetTraining,
    folder: Path,
    workers: int,
    until: int | None = None,
    every_s: float = 60.0,
    listener: Listener | None = None,
    threads: int = 1,
    address: str | None = None,
) -> None:
    """As `training.run(folder, until, every_s, listener)`, on `workers` workers of a Ray cluster (`threads` CPUs each).

    Without an `address`, Ray is started on this host and stopped in the end. Workers make the training again from
    what its `about` says: the space and the data by name. They take equal shares of every batch; all must see the
    folder. After a worker's death they go on from the last checkpoint, as does a later call. Raises what `run`
    raises, and `WrongUse` where workers can't share the training.
    """
    _check(training, workers)
    training.restore(folder)
    try:
        import ray  # Takes seconds, and isn't always installed.
    except ImportError:
        raise WrongUse("several workers need Ray; install it with: pip install 'archfront[ray]'") from None
    started, over = not ray.is_initialized(), threading.Event()
    if started:
        local: dict[str, Any] = {"num_cpus": workers * threads, "include_dashboard": False}
        # Ray would run its workers behind everything else on the host.
        local |= {"object_store_memory": STORE_BYTES, "_system_config": {"worker_niceness": 0}}
        ray.init(address=address, log_to_driver=False, logging_level="error", **({} if address else local))
    teller = threading.Thread(target=_tell, args=(training, folder, listener, over))
    teller.start()
    try:
        failed = _on_workers(training, folder, workers, threads, {"until": until, "every_s": every_s})
    finally:
        over.set()
        teller.join()
        if started:
            ray.shutdown()
    for kind, reason in failed.items():
        raise (Diverged if kind == "Diverged" else WrongUse)(reason)
    training.restore(folder)


def _on_workers(
    training: SupernetTraining, folder: Path, workers: int, threads: int, settings: Mapping[str, Any]
) -> dict[str, str]:
    from ray import train
    from ray.train.torch import TorchTrainer

    config = {"about": training.about, "folder": str(folder.resolve()), "threads": threads, "device": training.device}
    gpu = training.device == "cuda"
    trainer = TorchTrainer(
        _work,
        train_loop_config={**config, **settings},
        scaling_config=train.ScalingConfig(num_workers=workers, use_gpu=gpu, resources_per_worker={"CPU": threads}),
        run_config=train.RunConfig(
            storage_path=str((folder / "ray").resolve()),
            failure_config=train.FailureConfig(max_failures=RESTARTS),
        ),
    )
    return trainer.fit().return_value or {}


def _tell(training: SupernetTraining, folder: Path, listener: Listener | None, over: threading.Event) -> None:
    """Tell the listener of every checkpoint that the workers leave, the last one included."""
    file, start, told = folder / checkpoints.FOLDER / (STEM + TRAINING), time.monotonic(), 0
    while listener:
        ended = over.wait(1.0)
        written = file.stat().st_mtime_ns if file.exists() else 0
        if written != told:
            training.restore(folder)
            listener(training.progress(time.monotonic() - start))
            told = written
        if ended:
            return


def _check(training: SupernetTraining, workers: int) -> None:
    missing = [key for key in ("space", "data") if not training.about.get(key)]
    if missing:
        raise WrongUse(f"workers need to know the {' and the '.join(missing)} by name; say so in about")
    if training.batch % workers or training.batch // workers < 2:
        raise WrongUse(f"{workers} workers can't share a batch of {training.batch} alike; set recipe.batch_size to fit")
    if training.method.state():
        raise WrongUse(f"'{training.method.name}' learns more than the weights, which one worker must; say workers=1")


def _work(config: Mapping[str, Any]) -> dict[str, str]:
    """What each worker does; a failure that the user can mend is what it returns, since Ray would try again."""
    torch.set_num_threads(config["threads"])
    try:
        training = made_again(config["about"], config["device"])
        training.run(Path(config["folder"]), config["until"], config["every_s"])
    except (WrongUse, Diverged) as error:
        return {type(error).__name__: str(error)}
    return {}


def made_again(about: Mapping[str, Any], device: str) -> WorkerTraining:
    """This worker's part of the training that `about` describes, at its beginning."""
    inputs, seed = tuple(about["inputs"]), about["seed"]
    for file in about.get("recipe_files", ()):
        load_file(file, "part of a recipe")
    space = get_space(about["space"], inputs, about["examples"])
    kinds = {key: about[key] for key in ("split", "kernel_transformations") if about.get(key)}
    return WorkerTraining(
        Supernet(space, inputs, about["outputs"], seed=seed, **kinds),
        load(about["data"], **about.get("data_settings", {})),
        canonical.from_json(about["recipe"]),
        METHODS.get(about["method"])(**about.get("method_settings", {})),
        seed,
        about,
        device,
        about["steps"],
    )
