"""Recipes as texts, and searched jointly: what is read, refused, proposed by controllers, and stored."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from archfront.commands import run
from archfront.contracts import Context, Evaluation, Metric, Objective, Proposal, Status, WrongUse
from archfront.study import Database, Study
from controllers.base import CONTROLLERS as REGISTERED
from controllers.base import create as create_controller
from evaluators import checkpoints
from evaluators.base import attempt, create
from evaluators.datasets import DataSet, Split, load
from evaluators.recipe import check_recipe, files_in
from evaluators.recipes._slots import SLOTS
from evaluators.recipes.augmentation.mixup import Mixup
from evaluators.recipes.optimizer.adamw import AdamW
from evaluators.recipes.optimizer.lion import Lion
from evaluators.recipes.partial import PartialRecipe
from evaluators.recipes.training import Recipe
from evaluators.searched_recipe import searched, with_recipe
from evaluators.supernet_training import SupernetTraining
from search_spaces import Space, SpaceError, from_json, one_of, to_json, uniform
from search_spaces.families import FAMILIES
from search_spaces.parts import has_holes
from search_spaces.spaces import get_space
from search_spaces.testing import SpaceConformance
from search_spaces.topologies import Trained
from search_spaces.weight_sharing import METHODS, Supernet
from tests.evaluators.recipes.given import PICTURES, TOKENS
from tests.evaluators.small_space import space as networks

OWN = Path(__file__).parent / "own_members.py"
ALL = {
    "optimizer": "adamw,sgd,lion(rate=0.1),muon",
    "optimizer.muon.momentum": "uniform(0.9,0.95,3)",
    "schedule": "cosine,one_cycle,warmup_stable_decay",
    "loss": "none,cross_entropy,focal(gamma=1|2)",
    "augmentations": "none,mixup(alpha=uniform(0.1,1,4)),shift+cutmix",
    "regularisers": "none,stochastic_depth+dropout",
    "averaging": "none,ema",
    "learning": "all,layer_wise",
    "phases": "none,progressive_resolution(share=0.5)",
    "balance": "0,0.5",
    "lr": "log_uniform(1e-3,1e-2,5)",
}
SPACE = with_recipe(Space(networks, "small"), ALL)


class TestAJointSpace(SpaceConformance):
    space = SPACE
    samples = 300
    inputs = (1, 8, 8)
    builds = 2


@pytest.fixture(scope="module")
def digits() -> DataSet:
    whole = load("digits")
    few = [Split(split.inputs[:128], split.targets[:128]) for split in (whole.train, whole.validation, whole.test)]
    return replace(whole, train=few[0], validation=few[1], test=few[2])


def test_texts_become_parts() -> None:
    recipe = Recipe(optimizer="lion", augmentations="shift+mixup(alpha=0.4)+cutmix", averaging="none", loss=None)
    assert recipe.optimizer == "lion" and recipe.augmentations == ("shift", Mixup(0.4), "cutmix")
    assert recipe.averaging is None and recipe == Recipe(optimizer="lion", augmentations=recipe.augmentations)
    assert recipe.one("optimizer") == Lion() and [part.name for part in recipe.parts("augmentations")][1] == "mixup"
    assert from_json(to_json(recipe)) == recipe and from_json(to_json(recipe, whole=True)) == recipe
    assert Recipe(augmentations=("shift", Mixup())).augmentations == ("shift", Mixup())


def test_what_is_at_its_defaults_is_written_as_before() -> None:
    assert to_json(Recipe(optimizer="sgd", lr=0.1)) == {"part": "recipe/training", "optimizer": "sgd", "lr": 0.1}
    assert to_json(PartialRecipe(optimizer="adamw")) == {"part": "recipe/partial", "optimizer": "adamw"}
    assert SPACE.digest(Recipe(optimizer=AdamW())) == SPACE.digest(Recipe())
    assert SPACE.digest(PartialRecipe(optimizer=Lion())) == SPACE.digest(PartialRecipe(optimizer="lion"))
    assert SPACE.digest(PartialRecipe(optimizer=Lion(0.3))) != SPACE.digest(PartialRecipe(optimizer="lion"))


def test_only_an_optimizer_with_momentum_has_different_momenta() -> None:
    for optimizer, alike in (("adamw", True), ("lion", True), ("sgd", False), (None, False)):
        digests = {SPACE.digest(PartialRecipe(optimizer=optimizer, momentum=m)) for m in (0.5, 0.9)}
        assert (len(digests) == 1) == alike


def test_choices_are_read() -> None:
    found = searched({"augmentations": "none,mixup,shift+cutmix(alpha=0.5)", "averaging": "none,ema(decay=0.9)"})
    assert [len(option) for option in found.augmentations.options] == [0, 1, 2]  # type: ignore[attr-defined]
    assert found.averaging.options[0] == "none"
    assert searched({"augmentations": "mixup(alpha=uniform(0.1,1))"}).augmentations == (Mixup(uniform(0.1, 1)),)
    dotted = searched({"augmentations": "mixup+shift", "augmentations.mixup.alpha": "uniform(0.1,1)"})
    assert dotted.augmentations == (Mixup(uniform(0.1, 1)), "shift")
    assert searched({"optimizer": "lion", "optimizer.lion.rate": "0.1,0.3"}).optimizer == Lion(one_of(0.1, 0.3))


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"optimizer": "adamw,lions"}, "no optimizer is named 'lions'; did you mean 'lion'"),
        ({"augmentations": "mixup+"}, "recipe.augmentations"),
        ({"augmentations": "mixup"}, "'mixup' leaves nothing to search; say augmentations=none,mixup,shift+cutmix"),
        ({"augmentations": "mixup,mixup"}, "lists a value twice"),
        ({"augmentations": "uniform(0,1)"}, "takes no numbers; say augmentations=none,mixup"),
        ({"augmentations": "none,mixup(alpha=0)"}, "mixup.alpha: must be above 0, not 0"),
        ({"augmentations": "none,mixup(beta=1)"}, "mixup has no setting 'beta'; "),
        ({"augmentations": "none,mixup(alpha=__import__('os').getcwd())"}, "no range is named '__import__'"),
        ({"optimizer.lion.rate": "0.1,0.3"}, "say which optimizer there may be, too: optimizer=lion"),
        ({"optimizer": "adamw,sgd", "optimizer.lion.rate": "0.1,0.3"}, "optimizer never holds a part 'lion'"),
        ({"optimizer": "lion", "optimizer.lion.rate": "0.1"}, "leaves nothing to search"),
        ({"optimizer": "lion", "optimizer.lion.speed": "1,2"}, "lion has no setting 'speed'"),
        ({"optimizer": "lion", "optimizer.lion": "1,2"}, "say SLOT.PART.FIELD"),
        ({"schedule": "missing.py:Mine,cosine"}, "no file missing.py"),
    ],
)
def test_wrong_choices_are_refused_in_one_line(wanted: dict[str, str], says: str) -> None:
    with pytest.raises(SpaceError) as error:
        searched(wanted)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_what_is_read_names_no_file_to_run() -> None:
    for value in ("a.py:B", f"{OWN}:SignDescent"):
        with pytest.raises(SpaceError, match="only registered parts are read"):
            from_json({"part": "recipe/training", "optimizer": value})


CONTROLLERS = ("random", "pareto-evolution", "nsga2", "model-based", "optuna:tpe", "local-search", "map-elites", "ppo")


@pytest.mark.parametrize("name", CONTROLLERS)
def test_controllers_search_recipes_jointly(name: str) -> None:
    controller = create_controller(name, SPACE, (Objective("loss", "min"), Objective("params", "min")), (), 0, {})
    seen: set[str] = set()
    for number in range(24):
        (proposal,) = controller.ask(1)
        assert proposal.architecture in SPACE and not has_holes(proposal.architecture)
        recipe = proposal.architecture.recipe.over(Recipe())
        seen |= {f"{slot}={part.name}" for slot in ("optimizer", "schedule", "loss") for part in recipe.parts(slot)}
        value = 1.0 + (recipe.optimizer != "muon") + recipe.lr
        metrics = (Metric("loss", value), Metric("params", float(number)))
        controller.tell([Evaluation(replace(proposal, number=number), metrics=metrics)])
    assert len(seen) >= 6


OTHERS = sorted({entry.name for entry in REGISTERED} - {*CONTROLLERS, "given", "one-shot", "optuna:cmaes"})
"""All but those that need a file, or a package of their own."""


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_controller_takes_recipes_too(name: str) -> None:
    networks = {"layer-tying": "tied", "path-level": "paths"}.get(name)
    space = with_recipe(get_space(networks, (1, 8, 8), 1000), ALL) if networks else SPACE
    controller = create_controller(name, space, (Objective("loss", "min"),), (), 0, {})
    controller.set_epochs(9)
    for number in range(8):
        (proposal,) = controller.ask(1)
        assert proposal.architecture in space and not has_holes(proposal.architecture.recipe)
        controller.tell([Evaluation(replace(proposal, number=number), metrics=(Metric("loss", 1.0 / (1 + number)),))])


def test_each_sampled_recipe_trains(tmp_path: Path, digits: DataSet) -> None:
    check_recipe(SPACE.tree.recipe, digits)  # type: ignore[attr-defined]
    context = Context(tmp_path, inputs=digits.inputs, outputs=digits.outputs, data=digits)
    evaluator = create("training", {"epochs": 1, "device": "cpu"})
    for seed in range(5):
        architecture = SPACE.sample(seed)
        found = attempt(evaluator, Proposal(architecture, f"d{seed}"), context)
        assert found.status is Status.OK, found.reason


def test_a_users_own_members_are_one_file(tmp_path: Path, digits: DataSet) -> None:
    settings = {
        "optimizer": f"{OWN}:SignDescent(rate=0.05)",
        "augmentations": f"shift+{OWN}:Dimmed(least=0.2)",
        "loss": f"{OWN}:Squared",
    }
    recipe = Recipe(**settings)
    assert [part.name for slot in settings for part in recipe.parts(slot)] == [
        *("sign_descent", "shift", "dimmed", "squared")
    ]
    assert recipe.one("optimizer").rate == 0.05 and recipe.parts("augmentations")[1].least == 0.2
    context = Context(tmp_path, inputs=digits.inputs, outputs=digits.outputs, data=digits)
    network = networks.sample(1)
    values = [
        attempt(create("training", {"epochs": 1, "device": "cpu", **some}), Proposal(network, "d"), context).values
        for some in ({}, settings, *({name: text} for name, text in settings.items()))
    ]
    assert len({tuple(value.items()) for value in values}) == 5  # each of them matters
    others = ("sgd", "none", "focal")
    choices = zip(settings.items(), others, strict=True)
    joint = searched({name: f"{text},{other}" for (name, text), other in choices})
    assert len(Space(Trained(networks, joint)).decisions) == len(Space(networks).decisions) + 3
    with pytest.raises(SpaceError, match="is no loss; derive it from Loss, and decorate it with @part"):
        Recipe(loss=f"{OWN}:Undecorated")
    with pytest.raises(SpaceError, match="is no optimizer"):
        Recipe(optimizer=f"{OWN}:Squared")


def test_a_search_from_the_command_line_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    order = [
        *("search", "--data", "digits", "--study", "s", "--evaluations", "1", "--objective", "accuracy"),
        *("--set", "evaluator.augmentations=shift+mixup(alpha=0.4)", "--set", "evaluator.averaging=ema"),
        *("--search-recipe", f"optimizer=lion,{OWN}:SignDescent"),
        *("--search-recipe", f"loss=cross_entropy,{OWN}:Squared"),
        *("--epochs", "1", "--db", "sqlite:///s.db"),
    ]
    assert run(order) == 0
    assert run(["search", "--study", "s", "--evaluations", "2", "--db", "sqlite:///s.db"]) == 0
    study = Study(Database("sqlite:///s.db"), "s")
    assert [row.status for row in study.rows()] == ["ok"] * 2
    assert study.settings["recipe"]["augmentations"] == ["shift", {"part": "augmentation/mixup", "alpha": 0.4}]
    capsys.readouterr()
    for wrong, says in (
        ("evaluator.augmentations=spec_augment", "is for spectrograms, and this data set holds pictures"),
        ("evaluator.optimizer=uniform(1,2)", "no optimizer is named 'uniform'"),
        ("evaluator.augmentations=mixup(alpha=uniform(0.1,1))", "search one with --search-recipe"),
    ):
        command = ["search", "--data", "digits", "--study", "w", "--evaluations", "2", "--db", "sqlite:///s.db"]
        assert run([*command, "--set", wrong]) == 2
        said = capsys.readouterr().err
        assert says in said and said.strip().count("\n") == 0


def test_a_searched_part_that_the_data_cant_take_is_refused() -> None:
    for data, wanted in ((TOKENS, {"augmentations": "none,mixup"}), (PICTURES, {"augmentations": "none,spec_augment"})):
        with pytest.raises(WrongUse, match="can't be used to train made up"):
            check_recipe(searched(wanted), data)


def supernet_training(digits: DataSet, recipe: Recipe, steps: int = 6) -> SupernetTraining:
    supernet = Supernet(Space(networks), digits.inputs, digits.outputs, seed=1)
    return SupernetTraining(supernet, digits, recipe, METHODS.get("sandwich")(), seed=3, steps=steps)


DEPTH = Recipe(epochs=1, regularisers="stochastic_depth(p=0.5)+dropout")
TOGETHER = (
    Recipe(epochs=1, optimizer="lion", schedule="one_cycle", augmentations="mixup+random_erasing"),
    Recipe(epochs=1, optimizer="muon", averaging="ema", loss="focal", augmentations="cutmix"),
    replace(DEPTH, optimizer="lamb", balance=1.0),
)
ALONE = (
    {"optimizer": "lamb"},
    {"loss": "focal"},
    {"augmentations": "mixup"},
    {"balance": 1.0},
    {"schedule": "one_cycle"},
)


@pytest.mark.parametrize("recipe", TOGETHER, ids=("lion", "muon", "lamb"))
def test_a_supernets_training_resumes_exactly_by_any_recipe(tmp_path: Path, digits: DataSet, recipe: Recipe) -> None:
    whole = supernet_training(digits, recipe)
    whole.run(tmp_path / "whole")
    supernet_training(digits, recipe).run(tmp_path / "part", until=3)
    resumed = supernet_training(digits, recipe)
    resumed.run(tmp_path / "part")
    assert resumed.done == 6 and resumed.history == whole.history
    left, right = whole.supernet.state_dict(), resumed.supernet.state_dict()
    assert left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)
    files = [(tmp_path / run / "checkpoints" / "supernet.safetensors") for run in ("whole", "part")]
    assert files[0].read_bytes() == files[1].read_bytes()
    kept, _ = checkpoints.load(files[0])
    assert kept.keys() == left.keys()
    assert all(torch.equal(kept[key], left[key]) for key in left) != bool(recipe.averaging)


def test_each_part_matters_in_a_supernets_training(tmp_path: Path, digits: DataSet) -> None:
    digits = replace(digits, task=replace(digits.task, frequencies=tuple(range(10, 110, 10))))
    seen = []
    for number, fields in enumerate(({}, *ALONE)):
        training = supernet_training(digits, Recipe(epochs=1, **fields))  # type: ignore[arg-type]
        training.run(tmp_path / str(number), until=2)
        seen.append(tuple(training.history))
    assert len(set(seen)) == len(seen)


def test_a_supernet_drops_branches_on_regularised_lessons_alone(digits: DataSet) -> None:
    from search_spaces.weight_sharing.methods.base import regularisation

    training = supernet_training(digits, DEPTH)
    supernet = training.supernet
    supernet.activate(supernet.largest())
    inputs = torch.randn(64, *digits.inputs)
    supernet.train()
    with torch.no_grad():
        outputs = {}
        for on in (True, False):
            with regularisation(supernet, on):
                torch.manual_seed(0)
                first = supernet(inputs)
                torch.manual_seed(1)
                outputs[on] = torch.equal(first, supernet(inputs))
        assert outputs == {True: False, False: True}
        network = supernet.extract(supernet.largest())
    kinds = [type(module).__name__ for module in network.modules()]
    assert "DropPath" not in kinds and any(type(m).__name__ == "DropPath" for m in supernet.network.modules())


@pytest.mark.parametrize("slot", ["teacher", "phases", "learning", "precision"])
def test_what_makes_no_sense_for_a_supernet_is_refused(digits: DataSet, slot: str) -> None:
    value = {
        "teacher": "distillation(network=x)",
        "phases": "progressive_resolution",
        "learning": "layer_wise",
        "precision": "bfloat16",
    }[slot]
    with pytest.raises(WrongUse, match=f"a supernet is trained without recipe.{slot}"):
        supernet_training(digits, Recipe(epochs=1, **{slot: value}))


def test_files_of_own_parts_are_found_in_settings() -> None:
    """So that an export can load them before it reads a recipe that holds their parts."""
    assert files_in("shift+a/b.py:Dimmed(least=0.2)+c.py:Other") == ["a/b.py", "c.py"]
    assert files_in("adamw,sgd") == files_in("0.5") == []


def test_every_family_lists_its_members(capsys: Any) -> None:
    expected = {
        "optimizer": {"adamw", "sgd", "lamb", "lion", "muon"},
        "schedule": {"cosine", "one_cycle", "warmup_stable_decay"},
        "learning": {"all", "layer_wise", "last_layers"},
    }
    for family, names in expected.items():
        assert names <= set(FAMILIES[family].names())
        assert run(["blocks", "--family", family, "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)
        assert names <= {row["name"] for row in rows} and all(row["source"] != "-" and row["about"] for row in rows)
    assert run(["blocks"]) == 0 and run(["blocks", "mixup"]) == 0
    assert "mixup: Beyond Empirical Risk Minimization" in capsys.readouterr().out


def test_what_the_documents_name_is_there_with_its_source() -> None:
    """New members needn't be told there: `archfront blocks` lists them all."""
    text = (Path(__file__).parents[3] / "docs" / "recipes.md").read_text()
    known = {entry.name: entry for family in SLOTS.values() for entry in FAMILIES[family]}
    told = [name for name in re.findall(r"^\| `(\w+)` \|", text, flags=re.M) if name in known]
    assert len(told) > 20
    for name in told:
        assert known[name].source in text, name
