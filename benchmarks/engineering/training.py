"""The engineer's training loop: plain torch and timm, as long as a share of the budget lasts, by one cosine each."""

import time
from dataclasses import dataclass, field

import search_spaces.torchvision_operators  # isort: skip  # noqa: F401 -- before timm
import numpy as np
import torch
from timm.data import Mixup
from timm.data.random_erasing import RandomErasing
from timm.loss import SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.engineering.networks import Fit, network
from evaluators.datasets import DataSet, Split
from hardware_profiles.quiet import training_step

THOUSANDTHS = 1000
"""The schedule counts thousandths of a training's time, since how many steps that are isn't known before."""
TIMED = 32
"""Pictures of a batch that both precisions are timed on."""
TOGETHER = 256
"""Pictures of a batch in evaluations."""
PLAIN = 0.85
"""From here on, a training's batches are no longer mixed, so that it ends on pictures as they are."""


@dataclass(frozen=True)
class Recipe:
    """What is tuned: `strength` scales all augmentations, 1 being strong; `mixup` is mixup's and CutMix's alpha."""

    lr: float = 6e-3
    weight_decay: float = 0.05
    smoothing: float = 0.1
    strength: float = 0.25
    mixup: float = 0.0


@dataclass
class Arm:
    """A network under training: what it is, its weights, and what its last training came to."""

    name: str
    fit: Fit
    model: nn.Module
    half: bool = False
    accuracy: float = 0.0
    loss: float = float("inf")
    latency_ms: float = float("nan")
    seconds: float = 0.0
    epochs: float = 0.0
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.name} ({self.fit})"


class Course:
    """Trainings on one data set; every draw comes from `seed`."""

    def __init__(self, data: DataSet, seed: int) -> None:
        self.data, self.seed = data, seed
        size = data.train.size
        self.batch_size = 64 if size >= 4000 else 32 if size >= 500 else 16
        self.batch_size = max(2, min(self.batch_size, size // 4) // 2 * 2)  # mixup pairs pictures
        self.generator = torch.Generator().manual_seed(seed)
        np.random.seed(seed)  # timm's mixup draws from it

    def arm(self, name: str, fit: Fit) -> Arm:
        """A new network; in bfloat16 where its steps are faster so."""
        arm = Arm(name, fit, network(name, self.data.inputs, self.data.outputs, fit, self.seed))
        arm.half = self._step_seconds(arm, True) < self._step_seconds(arm, False)
        arm.model = network(name, self.data.inputs, self.data.outputs, fit, self.seed)
        return arm

    def _step_seconds(self, arm: Arm, half: bool) -> float:
        """CPU-seconds of the second of two forward and backward passes."""
        inputs = arm.fit.prepared(self._pictures(torch.arange(TIMED) % self.data.train.size))
        arm.model.train()
        for _ in range(2):
            started = time.process_time()
            with torch.autocast("cpu", torch.bfloat16, enabled=half), training_step():
                loss = arm.model(inputs).float().square().mean()
            loss.backward()
        return time.process_time() - started

    def train(self, arm: Arm, recipe: Recipe, cpu_seconds: float, validated: int | None = None) -> Arm:
        """Train on for so many CPU-seconds, validation on the first `validated` examples (None: all) included."""
        started = time.process_time()
        data, model = self.data, arm.model
        lr = recipe.lr * (self.batch_size / 64) ** 0.5
        optimizer = create_optimizer_v2(model, opt="adamw", lr=lr, weight_decay=recipe.weight_decay, fused=True)
        schedule = CosineLRScheduler(
            optimizer, THOUSANDTHS, lr_min=lr / 100, warmup_t=100, warmup_lr_init=lr / 20, t_in_epochs=False
        )
        augmentation = Augmentation(recipe.strength, data.augmentation == "flip", self.generator)
        mixing = self._mixing(recipe)
        steps, per_step, progress = 0, 0.0, 0.0
        while progress < 1:
            for chosen in torch.randperm(data.train.size, generator=self.generator).split(self.batch_size):
                if len(chosen) % 2 or len(chosen) < 2:
                    continue
                # Validation takes about a third of what training on as many pictures does.
                end = cpu_seconds - 0.35 * per_step * self._count(validated) / self.batch_size
                progress = min(1.0, (time.process_time() - started) / max(end, 1e-3)) if steps else 0.0
                if progress >= 1:
                    break
                schedule.step_update(min(THOUSANDTHS - 1, int(THOUSANDTHS * progress)))
                inputs = augmentation(arm.fit, self._pictures(chosen))
                targets = data.train.targets[chosen].long()
                with training_step():
                    self._step(arm, optimizer, mixing[progress >= PLAIN], inputs, targets)
                steps += 1
                per_step = (time.process_time() - started) / steps
        arm.epochs += steps * self.batch_size / data.train.size
        arm.accuracy, arm.loss = self.evaluated(arm, data.validation, validated)
        arm.seconds += time.process_time() - started
        return arm

    def _count(self, validated: int | None) -> int:
        return min(self.data.validation.size, validated or self.data.validation.size)

    def _mixing(self, recipe: Recipe) -> tuple[Mixup, Mixup]:
        """What mixes batches and makes soft targets of classes: at first, and at last."""
        common = {"label_smoothing": recipe.smoothing, "num_classes": self.data.outputs}
        plain = Mixup(mixup_alpha=1.0, prob=0.0, **common)
        if recipe.mixup < 0.01:
            return plain, plain
        return Mixup(mixup_alpha=recipe.mixup, cutmix_alpha=recipe.mixup, **common), plain

    def _step(self, arm: Arm, optimizer: torch.optim.Optimizer, mixing: Mixup, inputs: Tensor, targets: Tensor) -> None:
        arm.model.train()
        inputs, targets = mixing(inputs, targets)
        with torch.autocast("cpu", torch.bfloat16, enabled=arm.half):
            outputs = arm.model(inputs.contiguous(memory_format=torch.channels_last))
        loss = SoftTargetCrossEntropy()(outputs.float(), targets)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(arm.model.parameters(), 2.0)
        optimizer.step()

    @torch.inference_mode()
    def evaluated(self, arm: Arm, split: Split, count: int | None = None) -> tuple[float, float]:
        """Accuracy and cross-entropy on the first `count` examples of a split; what isn't finite is infinite."""
        arm.model.eval()
        correct = total = loss = 0.0
        for place in torch.arange(min(split.size, count or split.size)).split(TOGETHER):
            inputs, targets = arm.fit.prepared(self.data.prepared(split.inputs[place])), split.targets[place].long()
            with torch.autocast("cpu", torch.bfloat16, enabled=arm.half), training_step():
                outputs = arm.model(inputs.contiguous(memory_format=torch.channels_last)).float()
            correct += float((outputs.argmax(1) == targets).sum())
            loss += float(functional.cross_entropy(outputs, targets, reduction="sum"))
            total += len(place)
        return correct / total, loss / total if np.isfinite(loss) else float("inf")

    def _pictures(self, chosen: Tensor) -> Tensor:
        return self.data.prepared(self.data.train.inputs[chosen]).contiguous(memory_format=torch.channels_last)


class Augmentation:
    """Pictures turned, scaled, moved, mirrored where that keeps their class, made brighter and erased in part.

    All of a batch at once: one interpolation moves a picture and brings it to the size that its network takes.
    """

    def __init__(self, strength: float, mirror: bool, generator: torch.Generator) -> None:
        self.strength, self.mirror, self.generator = strength, mirror, generator
        self.erasing = RandomErasing(probability=0.5 * strength, max_area=0.2, mode="const", device="cpu")

    def __call__(self, fit: Fit, x: Tensor) -> Tensor:
        if fit.shrink > 1:
            x = functional.avg_pool2d(x, fit.shrink)
        side = [s * fit.enlarge for s in x.shape[2:]]
        places = functional.affine_grid(self._moves(len(x)), [*x.shape[:2], *side], align_corners=False)
        x = functional.grid_sample(x, places, mode="bilinear", padding_mode="border", align_corners=False)
        contrast = 1 + 0.4 * self.strength * self._even(len(x)).view(-1, 1, 1, 1)
        brightness = 0.4 * self.strength * self._even(len(x)).view(-1, 1, 1, 1)
        return self.erasing(x * contrast + brightness)

    def _moves(self, count: int) -> Tensor:
        """An affine map each (count, 2, 3): turns up to 15°, sizes up to a quarter, shifts up to an eighth."""
        angle = 0.26 * self.strength * self._even(count)
        scale = torch.exp(0.22 * self.strength * self._even(count))
        flip = self._even(count).sign() if self.mirror else torch.ones(count)
        shift = 0.25 * self.strength
        cosine, sine = scale * angle.cos(), scale * angle.sin()
        rows = [cosine * flip, -sine, shift * self._even(count), sine * flip, cosine, shift * self._even(count)]
        return torch.stack(rows, 1).view(count, 2, 3)

    def _even(self, count: int) -> Tensor:
        """Numbers from -1 to 1."""
        return 2 * torch.rand(count, generator=self.generator) - 1
