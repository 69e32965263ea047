"""What a search is about, in the few lines that are said before it begins."""

from collections.abc import Mapping
from typing import Any

from archfront.contracts import plural
from archfront.plan import Experiment

NOT_SAID = ("epochs", "batch_size")
"""Fields of a recipe that its line begins with anyway."""


def about(experiment: Experiment, workers: int, launcher: str) -> list[str]:
    """The data set, the space, the recipe, what is sought and by how many workers: a line each, as far as there is."""
    plan = experiment.plan
    said = []
    if experiment.data is not None:
        from evaluators.datasets import describe

        said.append(f"data {describe(experiment.data).splitlines()[0]}")
    size = experiment.space.size()
    count = "" if size is None else f": {size:,} architectures" if size < 10**9 else f": {size:.1e} architectures"
    said.append(f"space {plan.space or experiment.space.name}{count}")
    recipe = recipe_of(experiment)
    if recipe is not None:
        said.append(f"training {training(recipe, experiment.data.train.size)}")
    limits = f", with {', '.join(plan.constraints)}" if plan.constraints else ""
    at_work = f"{workers} workers" if workers > 1 else "1 worker"
    said.append(f"seeking {', '.join(plan.objectives)}{limits}; {at_work} ({launcher})")
    return said


def found(experiment: Experiment) -> list[str]:
    """What was found out about the data set that a user should know; nothing where there is none."""
    if experiment.data is None:
        return []
    from evaluators.datasets import found_out

    return list(found_out(experiment.data))


def recipe_of(experiment: Experiment) -> Any:
    """The recipe that candidates are trained by; None where nothing is trained."""
    recipe = getattr(experiment.main, "recipe", None)
    return recipe(experiment.data) if recipe is not None and experiment.data is not None else None


def training(recipe: Any, examples: int) -> str:
    """A recipe in one line: its length, then the fields that are not at their default."""
    steps = max(1, examples // recipe.batch_size)
    batch = min(recipe.batch_size, examples)
    words = [f"{plural(recipe.epochs, 'epoch')} of {plural(steps, 'step')} of {plural(batch, 'example')}"]
    words.append(f"{_named(recipe.optimizer)}, lr {recipe.lr:g}")
    for name, field in type(recipe).__dataclass_fields__.items():
        value = getattr(recipe, name)
        if name not in (*NOT_SAID, "optimizer", "lr") and value != field.default:
            words.append(f"{name} {_named(value)}")
    return ", ".join(words)


def _named(value: Any) -> str:
    if isinstance(value, tuple):
        return "+".join(map(_named, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_named(item)}" for key, item in value.items())
    return str(getattr(value, "name", None) or value) if not isinstance(value, float) else f"{value:g}"


__all__ = ["about", "found", "recipe_of", "training"]
