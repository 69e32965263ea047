"""The searcher of dilations: trains one network with full kernels, then chooses each channel's dilation by it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archfront.contracts import Context, Proposal, WrongUse
from evaluators.candidate_training import Training, seed_of, threads_set, training_device
from evaluators.datasets import DataSet
from evaluators.inherited_weights import BATCH, IMAGES, recalibration_batches
from evaluators.recipes.training import Recipe
from search_spaces.building import build
from search_spaces.errors import SpaceError
from search_spaces.parts import without_recipe
from search_spaces.space import SearchSpace
from search_spaces.weight_sharing.dilations import Pair, chosen, covering


def search_dilations(
    space: SearchSpace,
    architecture: Any,
    data: DataSet,
    recipe: Recipe,
    seed: int = 0,
    threads: int = 1,
    device: str = "auto",
) -> tuple[Any, dict[str, list[Pair]]]:
    """The architecture with the dilations chosen as in "Inception Convolution with Efficient Dilation Search".

    `architecture` says all else; its dilations count for nothing. Returned with it are the dilations by the path of
    each convolution. Raises `WrongUse` where the space leaves no dilations open, `Diverged` where training does.
    """
    network = without_recipe(architecture)
    context = Context(Path("."), seed, threads, data.inputs, data.outputs, data)
    proposal = Proposal(network, space.digest(architecture))
    model = build(network, data.inputs, data.outputs, seed_of(context, proposal, "weights"))
    try:
        kernels = covering(space, architecture, model, seed_of(context, proposal, "kernels"))
    except SpaceError as error:
        raise WrongUse(str(error)) from None
    place = training_device(device)
    with threads_set(threads):
        training = Training(model, recipe, data, place, proposal, context)
        training.run(recipe.epochs)
        found = chosen(space, architecture, model, kernels, recalibration_batches(data, IMAGES, BATCH, place))
    return found, {path: _at(found, path) for path, _ in kernels}


def _at(tree: Any, path: str) -> list[Pair]:
    for name in filter(None, path.split(".")):
        tree = tree[int(name)] if isinstance(tree, tuple) else getattr(tree, name)
    dilations: Sequence[Pair] = tree.dilations
    return list(dilations)
