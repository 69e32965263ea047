"""Recipes that are searched: what the text of a choice gives, what is refused, and what a candidate is trained by."""

from pathlib import Path
from typing import Any

import pytest

from archfront.contracts import Context, Proposal, Status
from evaluators.base import attempt, create
from evaluators.datasets import DataSet, load
from evaluators.recipe import default_recipe
from evaluators.recipes.partial import PartialRecipe
from evaluators.recipes.training import Recipe
from evaluators.searched_recipe import hole, searched, with_recipe
from evaluators.training import TrainingEvaluator
from search_spaces import Space, SpaceError, from_json, integers, log_uniform, one_of, to_json, uniform
from search_spaces.parts import without_recipe
from search_spaces.table import TableSpace
from search_spaces.testing import SpaceConformance
from search_spaces.topologies import Trained
from tests.evaluators.small_space import space as networks

SPACE = with_recipe(Space(networks, "small"), {"lr": "log_uniform(1e-4,1e-2)", "optimizer": "adamw,sgd"})


class TestAJointSpace(SpaceConformance):
    space = SPACE
    samples = 500
    inputs = (1, 8, 8)
    builds = 2


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return load("digits")


@pytest.mark.parametrize(
    ("field", "text", "same"),
    [
        ("lr", "log_uniform(1e-4,1e-2)", log_uniform(1e-4, 1e-2)),
        ("lr", " log_uniform( 0.001 , 1 , steps = 4 ) ", log_uniform(0.001, 1, 4)),
        ("warmup", "uniform(0,0.5,11)", uniform(0, 0.5, 11)),
        ("warmup", "0,0.1,.5", one_of(0.0, 0.1, 0.5)),
        ("batch_size", "integers(32,96,32)", integers(32, 96, 32)),
        ("batch_size", "32, 64", one_of(32, 64)),
        ("optimizer", "adamw, sgd", one_of("adamw", "sgd")),
    ],
)
def test_choices_are_read(field: str, text: str, same: Any) -> None:
    assert hole(field, text) == same
    assert getattr(searched({field: text}), field) == same


@pytest.mark.parametrize(
    ("field", "text", "says"),
    [
        ("epochs", "3,9", "recipe.epochs: can't be searched: it says what a full training is"),
        ("rl", "1,2", "a recipe has no field 'rl'; "),
        ("lr", "log_unifrom(1e-4,1e-2)", "no range is named 'log_unifrom'; did you mean 'log_uniform'"),
        ("lr", "log_uniform(1e-2,1e-4)", "log_uniform(0.01, 0.0001) is empty; give low < high"),
        ("lr", "log_uniform(1e-2)", "takes a low and a high end, and steps, not '1e-2'"),
        ("lr", "log_uniform(1e-4,1e-2,2.5)", "takes steps, an integer from 2 to 200, not 2.5"),
        ("lr", "log_uniform(1e-4,high)", "'high' is no number; say lr=log_uniform(1e-4,1e-2)"),
        ("lr", "uniform(-1,1)", "must be a number from 0 to inf, not -1.0"),
        ("lr", "integers(1,3)", "searched along a range of real numbers"),
        ("lr", "0.1", "'0.1' leaves nothing to search"),
        ("lr", "0.1,0.10", "lists a value twice"),
        ("lr", "nan,1", "must be a number from 0 to inf, not nan"),
        ("lr", "__import__('os').getcwd()", "no range is named '__import__'"),
        ("lr", "0.1,(0.2", "'0.1,(0.2' is no choice; say lr=log_uniform(1e-4,1e-2)"),
        ("lr", "uniform(0,uniform(1,2))", "'uniform(1' is no number"),
        ("batch_size", "uniform(16,64)", "takes whole numbers; say batch_size=32,64"),
        ("batch_size", "integers(16,64,0)", "give low <= high and step >= 1"),
        ("batch_size", "0,32", "must be an integer of 1 or more, not 0"),
        ("optimizer", "adam,sgd", "no optimizer is named 'adam'; did you mean 'adamw'"),
        ("optimizer", "uniform(0,1)", "takes no numbers; say optimizer=adamw,sgd"),
    ],
)
def test_wrong_choices_are_refused_in_one_line(field: str, text: str, says: str) -> None:
    with pytest.raises(SpaceError) as error:
        searched({field: text})
    assert says in str(error.value) and "\n" not in str(error.value)


def test_only_networks_get_a_recipe() -> None:
    with pytest.raises(SpaceError, match="can't be trained"):
        with_recipe(TableSpace("t", ["a"], [(0,), (1,)]), {"lr": "0.1,0.2"})
    with pytest.raises(SpaceError, match="brings its own recipe"):
        with_recipe(SPACE, {"lr": "0.1,0.2"})
    network = SPACE.sample(0).network
    with pytest.raises(SpaceError, match=r"trained\.recipe: takes the fields that are to be searched.*not a Recipe"):
        Trained(network, one_of(Recipe(), PartialRecipe()))
    with pytest.raises(SpaceError, match=r"trained\.network: a Trained can't hold another"):
        Trained(SPACE.sample(0), PartialRecipe())
    with pytest.raises(SpaceError, match="takes a recipe"):
        Trained(network, network)


def test_rules_of_the_networks_stay() -> None:
    ruled = Space(networks, "small").where(lambda network: len(network.stages[0].blocks) == 1, "one block")
    joint = with_recipe(ruled, {"lr": "0.1,0.2"})
    assert joint.size() == 2 * (ruled.size() or 0)
    assert all(len(joint.sample(seed).network.stages[0].blocks) == 1 for seed in range(30))


def test_momenta_of_adamw_are_one_candidate() -> None:
    network = SPACE.sample(0).network
    digests = {
        (optimizer, momentum): SPACE.digest(Trained(network, PartialRecipe(optimizer, momentum=momentum)))
        for optimizer in ("adamw", "sgd")
        for momentum in (0.5, 0.9)
    }
    assert digests["adamw", 0.5] == digests["adamw", 0.9] and len(set(digests.values())) == 3


def test_json_both_ways() -> None:
    architecture = SPACE.sample(5)
    assert from_json(to_json(architecture)) == architecture
    assert (
        without_recipe(architecture) is architecture.network
        and without_recipe(architecture.network) is architecture.network
    )
    assert SPACE.digest(architecture) != SPACE.digest(architecture.network)


def test_a_candidate_is_trained_by_its_own_recipe(digits: DataSet) -> None:
    evaluator = create("training", {"epochs": 3, "clip": 0.5})
    assert isinstance(evaluator, TrainingEvaluator)
    network = SPACE.sample(0).network
    own = PartialRecipe(optimizer="sgd", lr=0.02, batch_size=128)
    expected = default_recipe(digits, epochs=3, clip=0.5, optimizer="sgd", lr=0.02, batch_size=128)
    assert evaluator.recipe_of(Trained(network, own), digits) == expected
    assert evaluator.recipe_of(network, digits) == default_recipe(digits, epochs=3, clip=0.5)
    # The batch size of one candidate doesn't move what a full training is.
    usual = create("training")
    assert isinstance(usual, TrainingEvaluator)
    large = usual.recipe_of(Trained(network, PartialRecipe(batch_size=1024)), digits)
    assert large.batch_size == 1024 and large.epochs == usual.recipe(digits).epochs


def test_the_recipe_alone_decides_the_weights(tmp_path: Path, digits: DataSet) -> None:
    """A network trained by a recipe of its own ends as one trained by an evaluator with these settings."""
    context = Context(tmp_path, inputs=digits.inputs, outputs=digits.outputs, data=digits)
    network = SPACE.sample(0).network
    own: dict[str, Any] = {"optimizer": "sgd", "lr": 0.05, "label_smoothing": 0.0}
    joint = attempt(create("training", {"epochs": 1}), Proposal(Trained(network, PartialRecipe(**own)), "d"), context)
    alone = attempt(create("training", {"epochs": 1, **own}), Proposal(network, "d"), context)
    other = attempt(create("training", {"epochs": 1}), Proposal(network, "d"), context)
    assert joint.status is alone.status is other.status is Status.OK
    assert joint.values == alone.values != other.values


def test_what_a_network_costs_is_the_same_with_a_recipe(tmp_path: Path) -> None:
    context = Context(tmp_path, inputs=(1, 8, 8), outputs=10)
    architecture = SPACE.sample(2)
    both = [attempt(create("cost"), Proposal(a, "d"), context).values for a in (architecture, architecture.network)]
    assert both[0] == both[1] and both[0]["params"] > 0
