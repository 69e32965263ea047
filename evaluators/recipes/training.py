"""The recipe of a training from scratch."""

from dataclasses import fields, replace
from typing import Any, Literal

from evaluators.recipes._fields import check_field
from evaluators.recipes._slots import NONE, SLOTS, parts_in, plain, read
from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part


@part("recipe", "training", source="Decoupled Weight Decay Regularization")
class Recipe(Part):
    """How a network is trained from scratch.

    `lr` is the peak learning rate, which `schedule` makes that of each step of `epochs`; it rises in `warmup`, a share
    of all steps, where the schedule has no beginning of its own. `clip` bounds the gradient's norm (0: no bound).
    Weight decay spares biases and normalizations. `loss` None is the task's own. `balance` is the power of the class
    weights in it, None what suits the task. `augmentation` is done first, "auto" being what suits the data set, then
    `augmentations` in their order. `averaging` gives the weights that count in the end, `teacher` is learnt from
    beside the targets, `phases` come one after another, `learning` says which layers learn, and how fast. `precision`
    "auto" is float32 on a CPU and mixed on a GPU; "bfloat16" is mixed on either, "float32" is full.

    Slots hold a part of their family, or its name where it has no settings of its own; `augmentations`, `regularisers`
    and `phases` any number of them. All are read from texts, too: `Recipe(augmentations="shift+mixup(alpha=0.4)")`.
    """

    optimizer: Any = "adamw"
    lr: float = 5e-3
    weight_decay: float = 0.05
    momentum: float = 0.9
    label_smoothing: float = 0.1
    epochs: int = 9
    batch_size: int = 64
    warmup: float = 0.1
    clip: float = 1.0
    augmentation: Literal["auto", "none", "shift", "flip"] = "auto"
    balance: float | None = None
    schedule: Any = "cosine"
    loss: Any = None
    augmentations: Any = ()
    regularisers: Any = ()
    averaging: Any = None
    teacher: Any = None
    phases: Any = ()
    learning: Any = "all"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    def __post_init__(self) -> None:
        for name in SLOTS:
            found = read(name, getattr(self, name))
            empty = Recipe.__dataclass_fields__[name].default
            object.__setattr__(self, name, empty if found is None or found == NONE else found)
        super().__post_init__()

    def validate(self) -> None:
        for name in FIELDS:
            if name not in SLOTS:
                check_field(name, getattr(self, name))
        shares = [phase.share for phase in self.parts("phases")]
        if sum(shares) > 1 + 1e-9:
            raise SpaceError(
                f"the phases take {sum(shares):g} of the training; give shares of 1 at most", "recipe.phases"
            )

    def canonical(self) -> Part:
        short = {name: plain(getattr(self, name)) for name in SLOTS}
        changed = {name: value for name, value in short.items() if value != getattr(self, name)}
        return replace(self, **changed) if changed else self

    def parts(self, slot: str) -> tuple[Any, ...]:
        """The parts in a slot, in order."""
        return parts_in(slot, getattr(self, slot))

    def one(self, slot: str) -> Any:
        """The part in a slot that holds one; None where it holds none."""
        return next(iter(self.parts(slot)), None)

    def lr_at(self, step: int, steps: int) -> float:
        """The learning rate of step number `step` (from 0) of a full training's `steps`."""
        return self.one("schedule").rate(self.lr, step, steps, self.warmup)

    def balance_of(self, task: Any) -> float:
        """The power of the class weights in a loss of a task."""
        return task.balance if self.balance is None else self.balance


FIELDS = tuple(field.name for field in fields(Recipe))
"""The names of a recipe's fields."""
