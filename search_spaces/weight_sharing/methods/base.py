"""What a training method is: which networks of a supernet learn from a batch, and from whom."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, ClassVar, Literal, NamedTuple

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)

import torch
from timm.layers import DropBlock2d, DropPath, PatchDropout
from torch import Tensor, nn

from search_spaces.errors import SpaceError
from search_spaces.registry import Registry
from search_spaces.weight_sharing.distillation import Divergence, kullback_leibler
from search_spaces.weight_sharing.sampling import enlarged
from search_spaces.weight_sharing.supernet import Supernet

DROPOUTS = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    DropPath,
    DropBlock2d,
    PatchDropout,
)


Loss = Callable[[Tensor, Tensor], Tensor]
"""From outputs and targets, or outputs and those of a teacher, to the mean loss."""


class Batch(NamedTuple):
    """Inputs (n, ...) and targets (n, ...); of methods that ask for it, `held_out` has another batch.

    The held-out one is of training examples that the weights never learn from. `loss` is that of the task. Where
    outputs aren't one distribution over classes, `distance` says how far they are from a teacher's, whatever
    divergence a method has.
    """

    inputs: Tensor
    targets: Tensor
    held_out: "Batch | None" = None
    loss: Loss = nn.functional.cross_entropy
    distance: Loss | None = None

    def criterion(self, outputs: Tensor) -> Tensor:
        """The loss of outputs for these inputs."""
        return self.loss(outputs, self.targets)


@dataclass(frozen=True)
class Lesson:
    """One network's turn in a step.

    It learns from the labels, from the outputs of the step's `first` network (in-place distillation), or from those
    of the `frozen` supernet's network of the same kinds and the largest sizes; `labels` is the share of the loss that
    the labels keep beside a teacher. `weight` multiplies its gradients. Of the batch it sees every `every`-th picture
    from number `first` on. `regularised` says whether dropout and stochastic depth are on.
    """

    architecture: Any
    teacher: Literal["labels", "first", "frozen"] = "labels"
    labels: float = 0.0
    weight: float = 1.0
    regularised: bool = False
    first: int = 0
    every: int = 1


class Method:
    """A way to train a supernet: `lessons` says which networks learn from a batch.

    A method's constructor takes settings that are plain JSON values, with the paper's defaults, and raises
    `SpaceError` for a wrong one. `lessons` draws from the generator that it is given and keeps no state, so that a
    training resumes exactly; a method that learns something of its own (architecture weights) keeps it in `state`
    and overrides `step`.

    Class attributes: `frozen_from` is the share of the training after which a copy of the supernet is kept as the
    teacher of `frozen` lessons (None: never); `held_out` is the share of the training pictures kept for `held_out`
    batches; `divergence` measures how far a student's outputs are from the teacher's.
    """

    name: ClassVar[str] = ""
    frozen_from: float | None = None
    held_out: float = 0.0
    divergence: Divergence = staticmethod(kullback_leibler)

    def prepare(self, supernet: Supernet) -> None:
        """Look at the supernet before the first step; raises `SpaceError` where the method doesn't suit it."""
        return None

    def lessons(self, supernet: Supernet, rng: Random, progress: float) -> Sequence[Lesson]:
        """The networks of one step, in their order; `progress` goes from 0 to 1 over the training."""
        raise NotImplementedError(f"{type(self).__name__} gives no lessons; it must override step()")

    def step(
        self,
        supernet: Supernet,
        batch: Batch,
        optimizer: torch.optim.Optimizer,
        rng: Random,
        progress: float,
        clip: float | None = None,
        frozen: Supernet | None = None,
    ) -> list[float]:
        """Train on one batch; returns the loss of each lesson."""
        optimizer.zero_grad(set_to_none=True)
        losses = teach(supernet, self.lessons(supernet, rng, progress), batch, self.divergence, frozen, progress)
        if clip:
            nn.utils.clip_grad_norm_(supernet.parameters(), clip)
        optimizer.step()
        return losses

    def state(self) -> dict[str, Tensor]:
        """What the method itself has learnt, for checkpoints."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` gave."""
        return None


METHODS: Registry[type[Method]] = Registry("training method", "search_spaces.weight_sharing.methods")
"""All methods by name."""


def teach(
    supernet: Supernet,
    lessons: Sequence[Lesson],
    batch: Batch,
    divergence: Divergence = kullback_leibler,
    frozen: Supernet | None = None,
    progress: float = 0.0,
) -> list[float]:
    """Add the gradients of all lessons to the store's; returns their losses, unweighted.

    What a network's modules add to its loss counts in; they are told the `progress` of the training.
    Gradients of weights that no lesson's network has stay None, so that the optimizer leaves them, and its state of
    them, alone.
    """
    losses: list[Tensor] = []
    taught: Tensor | None = None
    for lesson in lessons:
        inputs, targets = batch.inputs[lesson.first :: lesson.every], batch.targets[lesson.first :: lesson.every]
        supernet.activate(lesson.architecture)
        following = supernet.following
        following.tell(progress)
        with regularisation(supernet, lesson.regularised):
            outputs = supernet(inputs)
        if lesson.teacher == "labels":
            wanted = None
        elif lesson.teacher == "frozen":
            wanted = frozen_outputs(frozen, lesson.architecture, inputs)
        else:
            assert taught is not None, "the first lesson has no one to learn from"
            wanted = taught[lesson.first :: lesson.every]
        far = batch.distance or divergence
        criterion = partial(_loss, targets=targets, loss=batch.loss, wanted=wanted, far=far, share=lesson.labels)
        loss = following.with_losses(criterion(outputs), criterion)
        (loss if lesson.weight == 1 else loss * lesson.weight).backward()
        taught = outputs.detach() if taught is None else taught
        losses.append(loss.detach())
    return [float(loss) for loss in losses]


def _loss(outputs: Tensor, targets: Tensor, loss: Loss, wanted: Tensor | None, far: Loss, share: float) -> Tensor:
    """From the targets where nobody teaches; else from the teacher, and from the targets for their share."""
    if wanted is None or share == 1:
        return loss(outputs, targets)
    taught = far(outputs, wanted)
    return taught if share == 0 else (1 - share) * taught + share * loss(outputs, targets)


def frozen_outputs(frozen: Supernet | None, architecture: Any, inputs: Tensor) -> Tensor:
    """What the frozen supernet's network of the same kinds and the largest sizes says; nothing of it learns."""
    assert frozen is not None, "a frozen teacher is asked for before there is one; check frozen_from"
    frozen.activate(enlarged(frozen.space, architecture))
    with torch.no_grad():
        return frozen(inputs)


@contextmanager
def regularisation(supernet: Supernet, on: bool) -> Iterator[None]:
    """Dropout and stochastic depth of the active network off, unless `on`."""
    quieted = [] if on else [m for m in supernet.network.modules() if isinstance(m, DROPOUTS) and m.training]
    for module in quieted:
        module.eval()
    try:
        yield
    finally:
        for module in quieted:
            module.train()


def whole(name: str, value: int, low: int) -> int:
    """A setting that is an integer of `low` or more; raises `SpaceError`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise SpaceError(f"{name} is an integer of {low} or more, not {value!r}")
    return value


def share(name: str, value: float) -> float:
    """A setting that is a share from 0 to 1; raises `SpaceError`."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise SpaceError(f"{name} is a share from 0 to 1, not {value!r}")
    return float(value)
