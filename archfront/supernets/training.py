"""Training a supernet in a folder, or going on with it."""

import inspect
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from archfront.contracts import WrongUse
from archfront.supernets.settings import SupernetSettings, keep
from evaluators.candidate_training import threads_set, training_device
from evaluators.datasets import DataSet, load
from evaluators.fitting import check_space
from evaluators.inherited_weights import about_supernet, check_data
from evaluators.recipe import default_recipe, files_in
from evaluators.recipes.training import FIELDS, Recipe
from evaluators.supernet_estimate import Estimate, estimate
from evaluators.supernet_training import Listener, SupernetTraining, load_supernet
from search_spaces.errors import near
from search_spaces.parts import without_recipe
from search_spaces.policy import Policy
from search_spaces.space import Space
from search_spaces.spaces import get_space
from search_spaces.weight_sharing import Supernet
from search_spaces.weight_sharing.few_shot import decision_to_split
from search_spaces.weight_sharing.few_shot import split as few_shot_split
from search_spaces.weight_sharing.methods import METHODS, Method

LONGER = 4
"""So many times the epochs of one network's training are a supernet's, where nothing is said."""
SHORT = 0.5
"""A supernet that is given less than such a share of these is warned of."""
POLICY = "policy.json"
"""What a differentiable method leaves in the folder, for the controller `one-shot`."""


@dataclass
class Planned:
    """A training that can begin: nothing of it is written yet. `estimate` is that of what is left of it."""

    settings: SupernetSettings
    training: SupernetTraining
    estimate: Estimate
    threads: int
    workers: int = 1

    @property
    def enough(self) -> int:
        """The steps that it is given where nothing is said of its length."""
        data = self.training.dataset
        usual = default_recipe(data, **self.settings.recipe)
        return LONGER * usual.epochs * max(1, data.train.size // usual.batch_size)

    @property
    def doubt(self) -> str:
        """One line that says that the training is too short to rank networks, and what would be enough; mostly none."""
        steps, enough = self.training.steps, self.enough
        if steps >= SHORT * enough:
            return ""
        seconds = self.estimate.seconds / max(1, steps - self.training.done) * enough
        return (
            f"{steps:,} steps are too few for a supernet to rank networks by: take {enough:,} (--steps {enough}, about "
            f"{max(1, round(seconds / 60))} minutes here), or train networks one by one with 'archfront search'"
        )

    def policy(self) -> Policy | None:
        """What a differentiable method has learnt of the architecture; None for the other methods."""
        found = getattr(self.training.method, "policy", None)
        return None if found is None else found(self.training.supernet.space)

    def run(self, folder: Path, every_s: float = 15.0, listener: Listener | None = None) -> SupernetTraining:
        """Train to the end, from the folder's checkpoint where there is one; a new one is left every `every_s`."""
        keep(folder, self.settings)
        with threads_set(self.threads):
            if self.workers == 1:
                self.training.run(folder, every_s=every_s, listener=listener)
            else:
                from evaluators.distributed_training import run_distributed

                run_distributed(self.training, folder, self.workers, None, every_s, listener, self.threads)
        policy = self.policy()
        if policy is not None:
            policy.save(folder / POLICY)
        return self.training


def plan(settings: SupernetSettings, folder: Path, device: str = "auto", threads: int = 1, workers: int = 1) -> Planned:
    """The training that the settings describe, with what is done of it in the folder; raises `WrongUse`, one line."""
    if workers > 1 and settings.start:
        raise WrongUse("a training that starts from another supernet has one worker; say --workers 1")
    if workers > 1 and find_spec("ray") is None:
        raise WrongUse("several workers need Ray; install it with: pip install 'archfront[ray]'")
    data = load(settings.data.name, **{"seed": settings.seed, **settings.data.settings})
    space = _space(settings, data)
    settings = settings.model_copy(update={"space": settings.space or space.name})
    method = _method(settings)
    if settings.split == "auto":
        settings = settings.model_copy(update={"split": decision_to_split(space)})
    network = partial(_supernet, settings, space, data)
    about = _about(settings, data)
    device = training_device(device)

    def training(epochs: int | None, steps: int | None) -> SupernetTraining:
        recipe = _recipe(settings, data, epochs)
        return SupernetTraining(network(), data, recipe, method, settings.seed, about, device, steps)

    with threads_set(threads):
        epochs = settings.epochs
        if settings.minutes is not None and epochs is None:
            epochs = max(1, round(settings.minutes * 60 / estimate(training(1, None)).seconds))
        wanted = training(epochs, settings.steps)
        wanted.restore(folder)
        if settings.steps is None:
            settings = settings.model_copy(update={"epochs": wanted.recipe.epochs})
        return Planned(settings, wanted, estimate(wanted), threads, workers)


def _supernet(settings: SupernetSettings, space: Space, data: DataSet) -> Supernet:
    """The supernet as its training begins: with random weights, or those of another one."""
    if not settings.start:
        kinds = {name: getattr(settings, name) for name in ("kernel_transformations", "split")}
        wanted = {name: value for name, value in kinds.items() if value}
        return Supernet(space, data.inputs, data.outputs, seed=settings.seed, **wanted)
    check_data(about_supernet(Path(settings.start)), settings.start, data)
    found, _ = load_supernet(Path(settings.start))
    if found.space.fingerprint() != space.fingerprint():
        raise WrongUse(
            f"the supernet in {settings.start} is of another space than '{space.name}'; say --space as there"
        )
    if found.kernel_transformations != settings.kernel_transformations:
        raise WrongUse(f"the supernet in {settings.start} has kernel_transformations={found.kernel_transformations}")
    return few_shot_split(found, settings.split) if settings.split else found


def _space(settings: SupernetSettings, data: DataSet) -> Space:
    if settings.space:
        found = get_space(settings.space, data.inputs, data.train.size)
    else:
        found = get_space(data.space, data.inputs, data.train.size)
    if not isinstance(found, Space):
        raise WrongUse(f"'{found.name}' isn't a tree of parts; only such a space has a supernet")
    check_space(found, data)
    if without_recipe(found.tree) is not found.tree:
        raise WrongUse(
            f"the space '{found.name}' brings recipes, but all networks of a supernet are trained by one; "
            "give the space of the networks alone"
        )
    return found


def _method(settings: SupernetSettings) -> Method:
    cls = METHODS.get(settings.method.name)
    known = inspect.signature(cls).parameters
    for key in settings.method.settings:
        if key not in known:
            raise WrongUse(f"the training method '{settings.method.name}' has no setting '{key}'; {near(key, known)}")
    return cls(**settings.method.settings)


def _recipe(settings: SupernetSettings, data: DataSet, epochs: int | None) -> Recipe:
    for key in settings.recipe:
        if key not in FIELDS:
            raise WrongUse(f"a recipe has no setting '{key}'; {near(key, FIELDS)}")
    usual = default_recipe(data, **settings.recipe).epochs
    return default_recipe(data, **{**settings.recipe, "epochs": epochs or LONGER * usual})


def _about(settings: SupernetSettings, data: DataSet) -> dict[str, Any]:
    """What the weights' file says of how to make the supernet again, and of what it was trained on."""
    texts = [value for value in settings.recipe.values() if isinstance(value, str)]
    files = sorted({str(Path(file).resolve()) for text in texts for file in files_in(text)})
    return {
        "space": settings.space,
        "data": settings.data.name,
        # The split is part of it: no network may be tested on what the weights were trained on.
        "data_settings": {"seed": settings.seed, **settings.data.settings},
        "method_settings": settings.method.settings,
        "kernel_transformations": settings.kernel_transformations,
        "split": settings.split,
        **({"start": settings.start} if settings.start else {}),
        **({"recipe_files": files} if files else {}),
    }
