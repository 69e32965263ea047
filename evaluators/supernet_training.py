"""Training a supernet: the loop around its method, checkpoints that resume it exactly, and what it will cost."""

import copy
import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import isfinite
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from archfront.contracts import WrongUse
from evaluators import checkpoints
from evaluators.augmentation import Augmenting
from evaluators.averaged_weights import AveragedWeights
from evaluators.base import Diverged
from evaluators.datasets import DataSet, Feed, laid_out
from evaluators.optimization import Pace, optimizer_for
from evaluators.recipe import check_recipe, loss_of
from evaluators.recipes.training import Recipe
from hardware_profiles import quiet
from search_spaces import canonical
from search_spaces.weight_sharing import Supernet, recalibrate
from search_spaces.weight_sharing.earlier_keys import respelled
from search_spaces.weight_sharing.methods import Batch, Method
from search_spaces.weight_sharing.supernet import GREW

STEM, TRAINING, FROZEN = "supernet", ".training.safetensors", ".teacher.safetensors"
"""A supernet's files: weights, everything that its training goes on from, and the frozen teacher, if any."""
LOOK = 256
"""Training pictures on which progress is told."""


@dataclass(frozen=True)
class TrainingProgress:
    """How a training stands: losses are of the smallest, the largest and a random network on the same pictures."""

    step: int
    steps: int
    seconds: float
    smallest: float
    largest: float
    random: float


Listener = Callable[[TrainingProgress], None]


class SupernetTraining:
    """One training of a supernet by a method on the training pictures of a data set.

    Everything random in a step is drawn from (seed, step), so a training that was killed and goes on from its last
    checkpoint ends with the very weights and the loss curve of one that never stopped; on a CPU, for a given number
    of threads. `about` is kept with the weights: how to make the supernet again. `steps` is for trainings that
    don't end with an epoch; by default the recipe's epochs count.
    """

    def __init__(
        self,
        supernet: Supernet,
        dataset: DataSet,
        recipe: Recipe,
        method: Method,
        seed: int = 0,
        about: Mapping[str, Any] | None = None,
        device: str = "cpu",
        steps: int | None = None,
    ) -> None:
        check_recipe(recipe, dataset)
        _check_shared(recipe)
        # Channels last is the layout that convolutions are fastest in; slices of weights have whatever they have.
        self.supernet = supernet.to(device)
        self.dataset, self.recipe, self.method, self.seed, self.device = dataset, recipe, method, seed, device
        self.augmenting, self.pace = Augmenting(recipe, dataset), Pace(recipe)
        # Its networks have always learnt without label smoothing, whatever the recipe says for one alone.
        self.loss = loss_of(dataset.task, recipe, smoothed=False)
        self.supernet.regularise(*(part.apply for part in recipe.parts("regularisers")))
        self._load_data()
        self.steps = steps or max(1, recipe.epochs * self.batches)
        given = {
            **(about or {}),
            "identity": canonical.IDENTITY,
            "fingerprint": supernet.space.fingerprint(),
            "inputs": supernet.inputs,
            "outputs": supernet.outputs,
            "examples": dataset.train.size,
            "method": method.name,
            "recipe": canonical.to_json(recipe),
            "data_sha256": dataset.sha256,
            "train_sha256": train_digest(dataset),
            "seed": seed,
            "steps": self.steps,
        }
        self.about: dict[str, Any] = json.loads(json.dumps(given))
        method.prepare(self.supernet)
        self.optimizer = self._new_optimizer()
        self._grown = len(self.supernet.grown)
        self.averaged = AveragedWeights.of(recipe, self.supernet)
        self.frozen: Supernet | None = None
        self.done = 0
        self.history: list[tuple[float, float]] = []
        """Of each step, the loss of its first network and the mean of all."""

    def _new_optimizer(self) -> torch.optim.Optimizer:
        return optimizer_for(self.supernet, self.recipe)

    def _renew(self) -> None:
        """Let the optimizer and the averages know all weights after the supernet grew; what they kept of others stays.

        Tensors that became larger are new to both.
        """
        kept, self._grown = self.optimizer.state, len(self.supernet.grown)
        self.optimizer = self._new_optimizer()
        for parameter in self.supernet.parameters():
            if parameter in kept:
                self.optimizer.state[parameter] = kept[parameter]
        if self.averaged is not None:
            self.averaged.renew(self.supernet)

    def _load_data(self) -> None:
        size = self.dataset.train.size
        order = torch.randperm(size, generator=self._generator("held out"))
        kept = round(size * self.method.held_out)
        self._held, self._taught = order[:kept], order[kept:].sort().values
        self.feed = Feed(self.dataset, self.dataset.train, self.device)
        self.batch = min(self.recipe.batch_size, len(self._taught))
        if self.batch < 2:
            raise WrongUse(f"{size} training examples are too few to train a supernet")
        self.batches = len(self._taught) // self.batch
        self._orders: dict[tuple[str, int], Tensor] = {}

    def _seed(self, purpose: str) -> int:
        return int.from_bytes(sha256(f"{self.seed}/supernet/{purpose}".encode()).digest()[:7], "big")

    def _generator(self, purpose: str) -> torch.Generator:
        return torch.Generator().manual_seed(self._seed(purpose))

    def run(
        self,
        folder: Path,
        until: int | None = None,
        every_s: float = 60.0,
        listener: Listener | None = None,
    ) -> None:
        """Train up to step `until` (all), from the checkpoint in `folder` where there is one, leaving one there.

        A checkpoint is written every `every_s` seconds, then the listener is told. Raises `WrongUse` for a folder
        that has another training, `Diverged` for a loss that isn't finite.
        """
        self.restore(folder)
        last = start = time.monotonic()
        if listener and self.done == 0:
            listener(self.progress(0.0))
        devices = [torch.cuda.current_device()] if self.device == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            while self.done < (self.steps if until is None else min(until, self.steps)):
                self.step(folder)
                if time.monotonic() - last >= every_s:
                    self.save(folder)
                    if listener:
                        listener(self.progress(time.monotonic() - start))
                    last = time.monotonic()
        self.save(folder)
        if listener:
            listener(self.progress(time.monotonic() - start))

    def step(self, folder: Path) -> None:
        """The next step."""
        at = self.done / self.steps
        if self.method.frozen_from is not None and self.frozen is None and at >= self.method.frozen_from:
            self._freeze(folder)
        with quiet.training_step(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=GREW)
            losses = self.stepped(self.done, self.supernet, self.method, self.optimizer, self.frozen)
        if len(self.supernet.grown) > self._grown:
            self._renew()
        if not all(map(isfinite, losses)):
            raise Diverged(
                f"the supernet's loss is no longer finite in step {self.done + 1}; lower lr={self.recipe.lr:g}"
            )
        if self.averaged is not None:
            self.averaged.follow(self.supernet, self.done)
        self.history.append((losses[0], sum(losses) / len(losses)))
        self.done += 1

    def stepped(
        self,
        number: int,
        supernet: Supernet,
        method: Method,
        optimizer: torch.optim.Optimizer,
        frozen: Supernet | None,
    ) -> list[float]:
        """Step `number` of this training, for any copy of its supernet, method and optimizer."""
        torch.manual_seed(self._seed(f"step {number}"))
        self.pace.set(optimizer, number, self.steps)
        supernet.train()
        rng, progress = Random(self._seed(f"networks {number}")), number / self.steps
        return method.step(supernet, self.batch_of(number), optimizer, rng, progress, self.recipe.clip, frozen)

    def batch_of(self, number: int) -> Batch:
        """The pictures of step `number`: every epoch has its own order; the few left over are others in the next."""
        held, parts = None, self._parts(number)
        # What a file holds is read ahead of time.
        coming = [] if self.feed.in_memory else [*parts.values(), *self._parts(number + 1).values()]
        if "held" in parts:
            held = self._augmented(parts["held"], number, "held", coming[1:])
        return self._augmented(parts["taught"], number, "taught", coming[len(parts) :], held)

    def _parts(self, number: int) -> dict[str, Tensor]:
        """Which pictures step `number` takes, held out ones (if there are any) and others."""
        pools = {"held": self._held, "taught": self._taught}
        return {
            purpose: self._chosen(pool, min(self.batch, len(pool)), number, purpose)
            for purpose, pool in pools.items()
            if len(pool)
        }

    def _chosen(self, pool: Tensor, size: int, number: int, purpose: str) -> Tensor:
        epoch, place = divmod(number, len(pool) // size)
        if (purpose, epoch) not in self._orders:
            order = torch.randperm(len(pool), generator=self._generator(f"{purpose} {epoch}"))
            self._orders = {key: value for key, value in self._orders.items() if epoch - 1 <= key[1] <= epoch + 1}
            self._orders[purpose, epoch] = order
        return pool[self._orders[purpose, epoch][place * size : (place + 1) * size]]

    def _augmented(
        self, chosen: Tensor, number: int, purpose: str, then: Sequence[Tensor] = (), held: Batch | None = None
    ) -> Batch:
        generator = self._generator(f"{purpose} pictures {number}")
        inputs, targets = self.augmenting(*self.feed.take(chosen, then), generator)
        return Batch(laid_out(inputs), targets, held, self.loss, self.dataset.task.distance)

    def progress(self, seconds: float) -> TrainingProgress:
        """How the training stands; nothing of it changes by asking."""
        inputs, targets = self.feed.take(self._taught[:LOOK])
        before, training = self.supernet.architecture, self.supernet.training
        losses = []
        for architecture in (self.supernet.smallest(), self.supernet.largest(), self.supernet.space.sample(self.seed)):
            self.supernet.activate(architecture)
            with quiet.training_step(), torch.no_grad(), recalibrate(self.supernet, [inputs]):
                self.supernet.eval()
                losses.append(float(self.dataset.task.loss(self.supernet(inputs), targets)))
        self.supernet.activate(before)
        self.supernet.train(training)
        return TrainingProgress(self.done, self.steps, seconds, *losses)

    def save(self, folder: Path) -> None:
        """Leave the weights, and all that the training goes on from, in `folder`, each file whole or not at all.

        Where weights are averaged, those are the ones that others find there.
        """
        about = {**self.about, "done": self.done}
        if self.supernet.grown:
            about["grown"] = [canonical.to_json(architecture) for architecture in self.supernet.grown]
        tensors = {f"weights/{name}": value for name, value in self.supernet.state_dict().items()}
        tensors |= {f"optimizer/{name}": value for name, value in checkpoints.optimizer_tensors(self.optimizer).items()}
        tensors |= {f"method/{name}": value for name, value in self.method.state().items()}
        counting = self.supernet.state_dict() if self.averaged is None else self.averaged.tensors
        if self.averaged is not None:
            tensors |= {f"averaged/{name}": value for name, value in counting.items()}
        tensors["history"] = torch.tensor(self.history, dtype=torch.float64).reshape(-1, 2)
        checkpoints.save(folder, STEM, tensors, about, TRAINING)
        checkpoints.save(folder, STEM, counting, about)

    def restore(self, folder: Path) -> None:
        """Go on from the checkpoint in `folder`, if there is one; raises `WrongUse` when it is of another training."""
        path = folder / checkpoints.FOLDER / (STEM + TRAINING)
        if not path.exists():
            return
        try:
            tensors, about = checkpoints.load(path)
        except OSError as error:
            raise WrongUse(f"{error}; remove it to train from the start") from None
        earlier = int(about.get("identity", 1))
        if earlier < canonical.IDENTITY:
            # Whether the space is the same then shows in the tensors' names and shapes.
            same = {key: self.about[key] for key in ("identity", "fingerprint")}
            about = {**about, **same, "recipe": canonical.to_json(canonical.from_json(about.get("recipe")))}
        for key, wanted in self.about.items():
            if about.get(key) != wanted:
                raise WrongUse(
                    f"{folder} has a supernet that was trained with {key} = {about.get(key)!r}, not {wanted!r}; "
                    "go on with the same settings, or train in another folder"
                )
        if about.get("grown"):
            self.supernet.grow_as(map(canonical.from_json, about["grown"]))
            self._renew()
        try:
            self._take_over(_grouped(respelled(tensors, earlier)), int(about["done"]))
            if self.method.frozen_from is not None and self.done / self.steps > self.method.frozen_from:
                frozen, _ = checkpoints.load(path.with_name(STEM + FROZEN))
                self.frozen = self._copied(respelled(frozen, earlier))
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise WrongUse(f"{folder} has a supernet of another space ({reason}); train in another folder") from None

    def _take_over(self, tensors: dict[str, dict[str, Tensor]], done: int) -> None:
        self.supernet.load_state_dict(tensors["weights"])
        if self.averaged is not None:
            self.averaged.take_over(tensors["averaged"])
        checkpoints.load_optimizer(self.optimizer, tensors.get("optimizer", {}))
        self.method.restore(tensors.get("method", {}))
        self.history = [(first, mean) for first, mean in tensors["history"][""].tolist()]
        self.done = done

    def _freeze(self, folder: Path) -> None:
        checkpoints.save(folder, STEM, self.supernet.state_dict(), self.about, FROZEN)
        self.frozen = self._copied(self.supernet.state_dict())

    def _copied(self, weights: dict[str, Tensor]) -> Supernet:
        frozen = copy.deepcopy(self.supernet)
        frozen.load_state_dict(weights)
        return frozen.requires_grad_(False)


def _check_shared(recipe: Recipe) -> None:
    """Raise `WrongUse` for what makes no sense where many networks learn at once."""
    named = {name: getattr(recipe, name) for name in ("teacher", "phases", "learning", "precision")}
    for name, value in named.items():
        if value and value not in ("all", "auto", "float32"):  # Supernets are trained in float32.
            raise WrongUse(f"a supernet is trained without recipe.{name}; leave it out, or train a network alone by it")


def train_digest(data: DataSet) -> str:
    """Which examples a data set trains on: a supernet must not be judged by any of them."""
    digest = sha256(data.train.targets[:].numpy().tobytes())
    if not isinstance(data.train.inputs, Tensor):  # What is too large for memory is known by its hash and the split.
        return sha256(f"{data.sha256} {digest.hexdigest()}".encode()).hexdigest()
    digest.update(data.train.inputs.contiguous().numpy().data)
    return digest.hexdigest()


def _grouped(tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        group, _, name = key.partition("/")
        found.setdefault(group, {})[name] = tensor
    return found


def load_supernet(folder: Path) -> tuple[Supernet, dict[str, Any]]:
    """The supernet that was trained in `folder`, with what is known about it; raises `WrongUse` where there is none."""
    from search_spaces.errors import SpaceError
    from search_spaces.spaces import get_space

    path = folder / checkpoints.FOLDER / (STEM + checkpoints.SUFFIX)
    if not path.exists():
        raise WrongUse(f"{folder} has no trained supernet; train one with: archfront supernet train --to {folder}")
    try:
        weights, about = checkpoints.load(path)
        space = get_space(about["space"], tuple(about["inputs"]), int(about["examples"]))
    except (OSError, KeyError, SpaceError) as error:
        raise WrongUse(f"the supernet in {folder} can't be made again: {error}") from None
    earlier, other = int(about.get("identity", 1)), False
    if earlier == canonical.IDENTITY:
        other = space.fingerprint() != about["fingerprint"]
    settings = {key: about[key] for key in ("split", "kernel_transformations") if about.get(key)}
    supernet = Supernet(space, tuple(about["inputs"]), int(about["outputs"]), seed=int(about["seed"]), **settings)
    supernet.grow_as(map(canonical.from_json, about.get("grown", ())))
    try:
        # An earlier supernet may lack tensors that only a fuller look at its space shows; none of its own are others.
        strict = earlier == canonical.IDENTITY
        other = other or bool(supernet.load_state_dict(respelled(weights, earlier), strict=strict).unexpected_keys)
    except RuntimeError:
        other = True
    if other:
        raise WrongUse(f"the space '{about['space']}' isn't the one that the supernet in {folder} was trained on")
    return supernet, about
