"""The settings of trainings as Ray Tune's trials, and what both sides of them say to each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archfront.contracts import WrongUse
from archfront.plan import Experiment
from controllers.base import Controller
from search_spaces.errors import near

EPOCHS, SCORE = "epochs", "score"
"""What a trial reports to Tune's scheduler: the epochs trained so far, and the objective after them."""
USED: dict[str, tuple[str, ...]] = {
    "none": (),
    "asha": ("grace_epochs", "reduction"),
    "median": ("grace_epochs", "min_samples"),
    "pbt": ("grace_epochs", "population", "interval", "mutate"),
}
"""The schedulers, each with the settings that it takes."""
SPREAD = 5.0
"""How far the default ranges of `mutate` reach: from the recipe's own value divided by this to its multiple."""


@dataclass(frozen=True)
class Tuning:
    """The launcher's settings.

    Args:
        scheduler: asha, median, pbt, or none.
        grace_epochs: no training is stopped, or given other hyper-parameters, before so many epochs.
        reduction: of asha: one in so many goes on from a rung, and trains so many times as long.
        min_samples: of median: so many others must have come as far before one is stopped.
        population: of pbt: so many trainings are under way at once, taking turns where there are fewer workers.
        interval: of pbt: epochs between two looks at the population.
        mutate: of pbt: fields of the recipe and where they may lie, written as for --search-recipe; by default the
            learning rate and the weight decay, from a fifth of the study's own to five times as much.
    """

    scheduler: str = "asha"
    grace_epochs: int = 1
    reduction: float = 4
    min_samples: int = 3
    population: int = 4
    interval: int = 1
    mutate: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Tuning":
        """The settings, checked; raises `WrongUse` in one line."""
        found = cls(**settings)
        if found.scheduler not in USED:
            raise WrongUse(f"launcher.scheduler: there is no '{found.scheduler}'; {near(str(found.scheduler), USED)}")
        for key in settings:
            if key != "scheduler" and key not in USED[found.scheduler]:
                takers = ", ".join(name for name, keys in USED.items() if key in keys)
                raise WrongUse(f"launcher.{key} is a setting of the scheduler {takers}, not of '{found.scheduler}'")
        found._check_numbers()
        return found

    def _check_numbers(self) -> None:
        for name, least in (("grace_epochs", 1), ("min_samples", 1), ("population", 2), ("interval", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise WrongUse(f"launcher.{name}={value!r} must be an integer of {least} or more")
        if not isinstance(self.reduction, int | float) or not self.reduction > 1:
            raise WrongUse(f"launcher.reduction={self.reduction!r} must be a number above 1; 3 and 4 are usual")
        if not isinstance(self.mutate, Mapping):
            raise WrongUse(
                "launcher.mutate takes fields of the recipe: --set launcher.mutate.lr='log_uniform(1e-3,1e-1)'"
            )

    def check(self, experiment: Experiment, controller: Controller) -> None:
        """Raise `WrongUse` where these settings and this search don't go together; nothing is written before."""
        epochs = experiment.main.epochs(experiment.context)
        if epochs is None:
            name = experiment.plan.evaluator
            raise WrongUse(
                f"ray-tune schedules trainings, and the evaluator '{name}' has no epochs; say --launcher ray"
            )
        if self.scheduler == "none":
            return
        if controller.multi_fidelity:
            raise WrongUse(
                "this controller says itself how long a candidate is trained, so Tune must not; "
                "say --set launcher.scheduler=none, or take another --controller"
            )
        if self.objective(experiment) is None:
            metrics = ", ".join(experiment.main.metrics())
            raise WrongUse(
                f"no objective is measured by the training ({metrics}), so '{self.scheduler}' has nothing to compare; "
                "add --objective accuracy, or say --set launcher.scheduler=none"
            )
        for name in ("grace_epochs", "interval"):
            if name in USED[self.scheduler] and getattr(self, name) >= epochs:
                raise WrongUse(f"launcher.{name}={getattr(self, name)} must be below the {epochs} epochs of a training")
        if self.scheduler == "pbt":
            self.ranges(experiment)

    @staticmethod
    def objective(experiment: Experiment) -> str | None:
        """The first objective that the training measures, as the study writes it."""
        measured = experiment.main.metrics()
        return next((str(one) for one in experiment.plan.parsed_objectives if one.metric in measured), None)

    def ranges(self, experiment: Experiment) -> dict[str, list[Any]]:
        """The values that each hyper-parameter of a population may take, in order."""
        from evaluators.recipes._slots import SLOTS
        from evaluators.recipes.partial import PartialRecipe
        from evaluators.searched_recipe import searched
        from search_spaces.parts import fields_of

        main: Any = experiment.main
        if not main.trains_by_recipe or not hasattr(main, "recipe_of"):
            raise WrongUse(f"pbt changes the recipe, by which '{experiment.plan.evaluator}' doesn't train; say asha")
        settings = experiment.plan.evaluator_settings
        if settings.get("seeds", 1) != 1 or settings.get("inherit", "") == "parent":
            raise WrongUse("pbt trains each candidate once and from scratch; leave evaluator.seeds and inherit out")
        own = getattr(getattr(experiment.space, "tree", None), "recipe", None)
        taken = {name for name in fields_of(PartialRecipe) if getattr(own, name, None) is not None}
        recipe = main.recipe(experiment.data)
        wanted = dict(self.mutate) or {
            name: f"log_uniform({value / SPREAD!r},{value * SPREAD!r})"
            for name in ("lr", "weight_decay")
            if (value := getattr(recipe, name)) > 0 and name not in taken
        }
        for name in wanted:
            if name in taken:
                raise WrongUse(f"{name} is part of the candidates (searched with them), so pbt can't change it")
            if name == "optimizer":
                raise WrongUse("launcher.mutate: the optimizer can't change within a training, its state would be lost")
            if name.partition(".")[0] in SLOTS:
                raise WrongUse(f"launcher.mutate takes numbers, as lr; {name} can't change within a training")
        if not wanted:
            raise WrongUse("pbt has nothing to change: lr and weight_decay are searched; say --set launcher.mutate.…")
        holes = searched(wanted)
        return {name: list(getattr(holes, name).options) for name in wanted}


__all__ = ["EPOCHS", "SCORE", "USED", "Tuning"]
