"""The training of one candidate: deterministic, resumable from checkpoints, on a CPU or a GPU."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from hashlib import sha256
from math import ceil, isfinite
from typing import Any

import torch
from torch import Tensor, nn

from archfront.contracts import Artifact, Context, Metric, Proposal, Provenance, WrongUse
from evaluators import checkpoints, confusion
from evaluators.augmentation import Augmenting
from evaluators.averaged_weights import AveragedWeights
from evaluators.base import Diverged
from evaluators.datasets import DataSet, Feed, laid_out
from evaluators.deadline import Deadline
from evaluators.depthwise_convolution import fast_gradients
from evaluators.optimization import Pace, optimizer_for, still
from evaluators.phases import Phases
from evaluators.pointwise_convolution import sound_gradients
from evaluators.recipes.training import Recipe
from evaluators.tested import EVALUATION_BATCH, tested
from evaluators.training_loss import TrainingLoss
from hardware_profiles import quiet
from search_spaces import canonical
from search_spaces.errors import SpaceError
from search_spaces.training_protocols import Following


@dataclass
class Training:
    """One candidate's training: its model, optimizer and data on the device."""

    model: nn.Module
    recipe: Recipe
    dataset: DataSet
    device: str
    proposal: Proposal
    context: Context
    number: int = 0
    """Which of a candidate's trainings this is."""
    origin: dict[str, str] = field(default_factory=dict)
    """Where the first weights are from, when they are not random."""
    started: float = field(default_factory=time.monotonic)
    confusions: dict[str, Tensor | None] = field(default_factory=dict)
    """Of each split, what `measured` found to be taken for what."""

    def __post_init__(self) -> None:
        # Channels last is the layout that convolutions are fastest in, on CPUs (by 6 to 20 %) as on GPUs.
        self.model = self.model.to(self.device, memory_format=torch.channels_last)
        for regulariser in self.recipe.parts("regularisers"):
            regulariser.apply(self.model)
        self.augmenting = Augmenting(self.recipe, self.dataset)
        self.loss = TrainingLoss(self.recipe, self.dataset, self.device)
        self.origin = {**self.origin, **self.loss.origin}
        self.phases = Phases(self.recipe, self.model, self.dataset, seed_of(self.context, self.proposal, "phases"))
        self.optimizer = optimizer_for(self.model, self.recipe, [self.phases.beside])
        self.pace, self.still = Pace(self.recipe), still(self.model)
        self.averaged = AveragedWeights.of(self.recipe, self.model)
        self.following = Following(self.model)
        self.feed = Feed(self.dataset, self.dataset.train, self.device)
        # Batches of equal size; the few examples left over in an epoch are others in the next one.
        self.batch = min(self.recipe.batch_size, self.dataset.train.size)
        self.batches = self.dataset.train.size // self.batch
        self.mixed = mixed(self.recipe, self.device)
        self.scaler = torch.amp.GradScaler(enabled=self.mixed == torch.float16)
        self.learning = [*self.model.parameters(), *self.phases.beside.parameters()]

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree in for this training to go on from it."""
        return {
            "digest": self.proposal.digest,
            "seed": self.context.seed,
            "recipe": canonical.to_json(self.recipe),
            "data": self.dataset.sha256,
            **self.origin,
        }

    def run(self, epochs: int) -> float:
        """Train up to `epochs` epochs in all, from the context's checkpoint where there is one of fewer.

        Gives the epochs done, which are fewer where the context's `until` comes first: any number where the training
        was to be the whole one, whose schedule then is a shorter one, else whole ones. Raises `TimeoutError` where
        there is no time for one epoch, or step, of it.
        """
        done = 0
        if self.context.checkpoint is not None:
            done = checkpoints.restore(
                self.context.checkpoint,
                self.model,
                self.optimizer,
                self.identity,
                self.averaged.take_over if self.averaged else None,
                self.phases.beside,
            )
        if done > epochs:
            raise SpaceError(f"the checkpoint is trained for {done} epochs already, the proposal asks for {epochs}")
        whole = max(1, self.recipe.epochs * self.batches)
        tested = (self.dataset.validation.size + self.dataset.test.size) / self.batch
        self.deadline = Deadline(self.context.until, whole, epochs >= self.recipe.epochs, tested)
        devices = [torch.cuda.current_device()] if self.device == "cuda" else []
        reached = float(done)
        with torch.random.fork_rng(devices=devices), self.gradients():
            for epoch in range(done, epochs):
                self.context.say(f"epoch {epoch + 1} of {min(epochs, ceil(self.deadline.total / self.batches))}")
                steps = self._epoch(epoch)
                reached += steps / self.batches
                if steps < self.batches or not (self.deadline.whole or self.deadline.fits(self.batches)):
                    break
        self.following.tell(1.0 if self.deadline.whole else reached / max(1, self.recipe.epochs))
        return reached

    @contextmanager
    def gradients(self) -> Iterator[None]:
        """Around training steps: gradients of convolutions that are right, and fast, on this device."""
        with fast_gradients(self.model), sound_gradients(self.model):
            yield

    def _epoch(self, epoch: int) -> int:
        """The steps of one epoch, as far as they fit; gives their number."""
        seed = seed_of(self.context, self.proposal, f"epoch {epoch}")
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(self.dataset.train.size, generator=generator)
        examples = self.feed.in_order(order[: self.batches * self.batch], self.batch)
        total = torch.zeros((), device=self.device)
        done = 0
        self.model.train()
        for module in self.still:
            module.eval()
        for number in range(self.batches):
            step, steps = epoch * self.batches + number, self.deadline.total
            if step >= steps:
                break
            if self.deadline.hopeless(self.batches):
                raise TimeoutError(f"the time that was left didn't suffice for epoch {epoch + 1}")
            with quiet.training_step():
                self.pace.set(self.optimizer, step, steps)
                self.following.tell(step / steps)
                loss = self._step(*next(examples), step, steps, generator)
            total += loss
            done += 1
            self.deadline.took(step)
            self._check_time(epoch)
            # Reading the loss waits for a GPU, so there it is read once an epoch.
            if self.device == "cpu" and not isfinite(total.item()):
                break
        if not isfinite(total.item()):
            raise Diverged(f"the training loss is no longer finite in epoch {epoch + 1}; lower lr={self.recipe.lr:g}")
        return done

    def _step(self, inputs: Tensor, targets: Tensor, step: int, steps: int, generator: torch.Generator) -> Tensor:
        loss = self._loss(inputs, targets, step, steps, generator)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        if self.recipe.clip:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.learning, self.recipe.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.averaged is not None:
            self.averaged.follow(self.model, step)
        return loss.detach()

    def _loss(self, inputs: Tensor, targets: Tensor, step: int, steps: int, generator: torch.Generator) -> Tensor:
        """The loss of a batch, as the recipe and the phase that the step belongs to make it."""
        phase, beside, progress = self.phases.at(step, steps)
        if phase is None or not phase.own_loss:
            inputs, targets = self.augmenting(inputs, targets, generator)
        if phase is not None:
            inputs, targets = phase.batch(inputs, targets, progress, generator)
        with torch.autocast(self.device, dtype=self.mixed or torch.bfloat16, enabled=self.mixed is not None):
            batch = laid_out(inputs)
            if phase is not None and phase.own_loss:
                return phase.loss(self.model, beside, batch, targets)
            criterion = self.loss.criterion(batch, targets)
            outputs = self.model(batch)
        return self.following.with_losses(criterion(outputs), criterion)

    def _check_time(self, epoch: int) -> None:
        limit = self.context.timeout_s
        if limit is not None and time.monotonic() - self.started > limit:
            raise TimeoutError(f"training took longer than {limit:g} s and was stopped in epoch {epoch + 1}")

    def measured(self, epochs: float) -> tuple[Metric, ...]:
        """The task's measures of the trained network on validation and on test data."""
        recipe = sha256(str(canonical.to_json(self.recipe)).encode()).hexdigest()[:8]
        provenance = Provenance(
            device="" if self.device == "cpu" else torch.cuda.get_device_name(),
            runtime="torch",
            runtime_version=str(torch.__version__),
            precision="float32" if self.mixed is None else f"mixed {str(self.mixed).removeprefix('torch.')}",
            input_shape=self.dataset.inputs,
            protocol=f"epochs={round(epochs, 2):g} recipe={recipe} data={self.dataset.sha256[:8]} "
            + f"seed={self.context.seed}"
            + "".join(f" {key}={value[:8]}" for key, value in self.origin.items()),
        )
        found = []
        with self.averaged.in_place(self.model) if self.averaged else nullcontext():
            for prefix, split in (("", self.dataset.validation), ("test_", self.dataset.test)):
                batches = Feed(self.dataset, split, self.device).batches(EVALUATION_BATCH)
                tally = tested(self.model, batches, self.dataset.task)
                found += tally.metrics(provenance, prefix)
                self.confusions["test" if prefix else "validation"] = tally.confusion
        if not all(isfinite(metric.value) for metric in found):
            raise Diverged("the validation loss isn't finite; lower the learning rate")
        return tuple(found)

    def saved(self, epochs: int) -> tuple[Artifact, ...]:
        """The weights as an artifact; below the full number of epochs the optimizer's state, too, to go on from.

        Where weights are averaged, the averaged ones are the artifact, and those that are trained lie with the state.
        """
        folder, stem = self.context.folder, f"{self.proposal.digest}-{epochs}{suffix(self.number)}"
        about = {**self.identity, "epochs": epochs, "architecture": canonical.to_json(self.proposal.architecture)}
        about["classes"] = list(self.dataset.classes)
        found: list[Artifact] = []
        weights = self.model.state_dict() if self.averaged is None else self.averaged.tensors
        if epochs < self.recipe.epochs:
            trained = {} if self.averaged is None else self.model.state_dict()
            state = checkpoints.training_tensors(self.optimizer, trained, self.phases.beside)
            path = checkpoints.save(folder, stem, state, self.identity, checkpoints.OPTIMIZER)
            found.append(checkpoints.artifact(folder, path, "optimizer"))
        path = checkpoints.save(folder, stem, weights, about)
        found += confusion.kept(folder, stem, self.dataset.classes, self.confusions)
        return (checkpoints.artifact(folder, path, "weights"), *found)


def seed_of(context: Context, proposal: Proposal, purpose: str) -> int:
    """A seed for one purpose, from the study's seed and the candidate's digest."""
    return int.from_bytes(sha256(f"{context.seed}/{proposal.digest}/{purpose}".encode()).digest()[:7], "big")


def training_device(device: str) -> str:
    """What `device` stands for here: "cpu" or "cuda"; raises `WrongUse` where there is none."""
    if device not in ("auto", "cpu", "cuda"):
        raise WrongUse(f"device '{device}' is none to train on; say auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise WrongUse("there is no CUDA device to train on; say device=cpu or device=auto")
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def mixed(recipe: Recipe, device: str) -> torch.dtype | None:
    """The type that a recipe wants products computed in on a device, the sums being float32; None is float32 in all."""
    if recipe.precision == "bfloat16":
        return torch.bfloat16
    if recipe.precision == "float32" or device == "cpu":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def suffix(number: int) -> str:
    """What the names of the files of a candidate's training number `number` end in."""
    return f"-run{number}" if number else ""


@contextmanager
def threads_set(count: int) -> Iterator[None]:
    """Let torch use `count` threads; afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, count))
    try:
        yield
    finally:
        torch.set_num_threads(before)
