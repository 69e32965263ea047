"""`archfront search --search-recipe`: a real joint search, what shows of it, how it goes on, what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import table_search

SMALL = f"{Path(__file__).resolve().parents[1] / 'evaluators' / 'small_space.py'}:space"
START = ["search", "--data", "digits", "--space", SMALL]
JOINT = [*START, "--study", "joint", "--epochs", 1, "--objective", "accuracy", "--objective", "params"]
RECIPE = ["--search-recipe", "lr=log_uniform(1e-4,1e-2)", "--search-recipe", "optimizer=adamw,sgd"]


def recipes(archfront: Any, numbers: range) -> list[dict[str, Any]]:
    return [archfront("show", "joint", n, "--json").json["architecture"]["recipe"] for n in numbers]


def test_networks_and_recipes_are_searched_together(archfront: Any, tmp_path: Path) -> None:
    done = archfront(*JOINT, *RECIPE, "--evaluations", 4, "--json")
    assert done.code == 0, done.error
    assert done.json["evaluations"] == {"ok": 4}
    found = recipes(archfront, range(4))
    assert len({recipe["lr"] for recipe in found}) > 1
    assert all(1e-4 <= recipe["lr"] <= 1e-2 and recipe.get("momentum") is None for recipe in found)

    shown = archfront("show", "joint", 1).out.splitlines()[-1]
    assert shown == f"  recipe: recipe/partial optimizer={found[1]['optimizer']}, lr={found[1]['lr']}"
    assert archfront("report", "joint", "--to", "report.html").code == 0
    best = archfront("front", "joint", "--json").json[0]["candidate"]
    assert f"lr={found[best]['lr']}" in Path("report.html").read_text(encoding="utf-8")

    assert archfront("export", "joint", "--candidate", best, "--to", "out", "--format", "python").code == 0
    card = json.loads(Path("out/card.json").read_text(encoding="utf-8"))
    assert card["training"]["recipe"]["lr"] == found[best]["lr"] and card["training"]["recipe"]["epochs"] == 1
    assert "ecipe" not in Path("out/model.py").read_text(encoding="utf-8")

    other = archfront(*JOINT, "--search-recipe", "lr=0.1,0.2", "--evaluations", 5)
    assert other.code == 2 and "was started with search_recipe" in other.error
    assert archfront("search", "--study", "joint", "--evaluations", 5, "--json").json["evaluations"] == {"ok": 5}


def test_latency_is_measured_once_per_network(archfront: Any, tmp_path: Path) -> None:
    file = tmp_path / "one.py"
    file.write_text(
        "from search_spaces.blocks import Block\n"
        "from search_spaces.topologies import Network, Stage\n"
        "space = Network('conv3x3', (Stage(8, (Block('pool'),), None),))\n"
    )
    words = ["search", "--data", "digits", "--space", f"{file}:space", "--study", "joint", "--epochs", 1]
    done = archfront(*words, "--search-recipe", "lr=0.001,0.01,0.1", "--controller", "exhaustive", "--evaluations", 3)
    assert done.code == 0, done.error
    measured = [archfront("show", "joint", n, "--json").json["metrics"] for n in range(3)]
    latencies = [next(m for m in metrics if m["name"] == "latency_ms@host") for metrics in measured]
    assert latencies[0] == latencies[1] == latencies[2]
    assert len({next(m["value"] for m in metrics if m["name"] == "loss") for metrics in measured}) == 3


def test_a_study_file_says_the_same(archfront: Any, tmp_path: Path) -> None:
    file = tmp_path / "joint.toml"
    file.write_text(
        f'space = "{SMALL}"\ndata = "digits"\nobjectives = ["accuracy", "params"]\n'
        "[evaluator]\nname = 'training'\nepochs = 1\n[budget]\nevaluations = 1\n"
        "[search_recipe]\nlr = 'log_uniform(1e-4,1e-2,5)'\nclip = [0, 1.0]\noptimizer = 'adamw,sgd'\n"
    )
    done = archfront("search", file, "--set", "search_recipe.optimizer=sgd,adamw", "--json")
    assert done.code == 0, done.error
    [recipe] = recipes(archfront, range(1))
    assert recipe["lr"] in (1e-4, 3.162e-4, 1e-3, 3.162e-3, 1e-2) and recipe["clip"] in (0.0, 1.0)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--search-recipe", "lr"], "say FIELD=CHOICE"),
        (["--search-recipe", "lr=0.1,0.2", "--search-recipe", "lr=1,2"], "names lr twice"),
        (["--search-recipe", "rl=0.1,0.2"], "a recipe has no field 'rl'"),
        (["--search-recipe", "epochs=3,9"], "it says what a full training is"),
        (["--search-recipe", "lr=uniform(1,0)"], "uniform(1, 0) is empty; give low < high"),
        (["--search-recipe", "lr=0.1,0.2", "--set", "evaluator.lr=0.1"], "lr is both searched and set"),
        (["--set", "search_recipe=lr"], "search_recipe: "),
        (["--set", "search_recipe.lr=true"], "search_recipe.lr: "),
        (
            ["--search-recipe", "lr=1,2", "--evaluator", "zero_cost", "--objective", "params"],
            "doesn't train by a",
        ),
    ],
)
def test_wrong_use_is_one_line_and_nothing_is_written(
    words: list[str], says: str, archfront: Any, tmp_path: Path
) -> None:
    done = archfront(*START, *words, "--evaluations", 4)
    assert done.code == 2, done.error
    assert len(done.error.splitlines()) == 1
    assert says in done.error
    assert list(tmp_path.iterdir()) == []


def test_a_table_has_no_recipe(archfront: Any, table: Path) -> None:
    words = ["search", *table_search(table), "--search-recipe", "lr=0.1,0.2", "--evaluations", 4]
    done = archfront(*words)
    assert done.code == 2 and "doesn't train by a candidate's own recipe" in done.error


def test_a_space_with_recipes_needs_an_evaluator_that_trains(archfront: Any, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "from evaluators.recipe import PartialRecipe\n"
        "from search_spaces import log_uniform, one_of\n"
        "from search_spaces.blocks import Block\n"
        "from search_spaces.topologies import Network, Stage, Trained\n"
        "network = Network('conv3x3', (Stage(one_of(8, 12), (Block('pool'),), None),))\n"
        "space = Trained(network, PartialRecipe(lr=log_uniform(1e-3, 1e-1)))\n"
    )
    words = ["search", "--data", "digits", "--space", f"{file}:space", "--evaluations", 1, "--objective", "params"]
    refused = archfront(*words, "--evaluator", "zero_cost")
    assert refused.code == 2 and "brings recipes" in refused.error and len(refused.error.splitlines()) == 1
    twice = archfront(*words, "--search-recipe", "clip=0,1")
    assert twice.code == 2 and "brings its own recipe" in twice.error
    supernet = archfront("supernet", "train", "--data", "digits", "--space", f"{file}:space", "--to", "net")
    assert supernet.code == 2 and "give the space of the networks alone" in supernet.error
    assert not Path("net").exists() and not Path("archfront.db").exists()
    done = archfront(*words, "--epochs", 1, "--json")
    assert done.code == 0 and done.json["evaluations"] == {"ok": 1}
