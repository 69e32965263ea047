"""What README and CONTRIBUTING show works as pasted."""

import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from archfront.commands import app, run

REPOSITORY = Path(__file__).resolve().parents[2]


def commands(document: str) -> list[list[str]]:
    """The lines of fenced blocks that start with `archfront`, as words; `&&` ends a command."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", (REPOSITORY / document).read_text(), flags=re.M | re.S)
    lines = "".join(text for language, text in blocks if not language).replace("\\\n", " ").splitlines()
    single = [part.strip() for line in lines for part in line.split("&&")]
    return [shlex.split(line, comments=True)[1:] for line in single if line.startswith("archfront ")]


EXAMPLES = [words for words in commands("CONTRIBUTING.md") if "examples/" in " ".join(words)]


def test_contributing_shows_every_example() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    assert [file.name for file in (REPOSITORY / "examples").glob("own_*") if file.name not in text] == []
    assert len(EXAMPLES) == 6


@pytest.mark.parametrize("words", EXAMPLES, ids=[" ".join(words[1:3]) for words in EXAMPLES])
def test_examples_run(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    small = ["--evaluations", "2", "--db", str(tmp_path / "study.db")]
    if "--evaluator" not in words:
        small += ["--epochs", "1"]
    if "--space" not in words:
        small += ["--space", "examples/own_part.py:attentive"]
    assert run([*words, *small]) == 0
    assert (tmp_path / "study.db").exists()


DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/controllers.md",
    "docs/export.md",
    "docs/finishing.md",
    "docs/launchers.md",
    "docs/recipes.md",
    "docs/supernets.md",
    "docs/wiring.md",
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_in_documents_exist(document: str) -> None:
    program: Any = typer.main.get_command(app)
    found = commands(document)
    assert found
    for words in found:
        # Parses and checks the options, but runs nothing.
        command = program.commands[words[0]]
        if hasattr(command, "commands"):
            command, words = command.commands[words[1]], words[1:]
        command.make_context(words[0], list(words[1:]))


def test_the_space_of_networks_and_recipes_in_the_documents_is_one(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "recipes.md").read_text()
    code, own = re.findall(r"^```python\n(.*?)^```$", text, flags=re.M | re.S)
    assert 'part("loss", "squared"' in own
    file = tmp_path / "joint.py"
    file.write_text(code)
    space = runpy.run_path(str(file))["space"].space()
    assert space.size() == 2 * 2 * (33 + 3 * 33)
    assert {space.sample(seed).recipe.optimizer for seed in range(20)} == {"adamw", "sgd"}


def test_the_controller_in_the_documents_is_the_example() -> None:
    example = (REPOSITORY / "examples" / "own_controller.py").read_text()
    assert f"```python\n{example}```" in (REPOSITORY / "docs" / "controllers.md").read_text()
    assert len(example.splitlines()) <= 32


def test_every_training_method_is_documented() -> None:
    from search_spaces.weight_sharing.methods import METHODS

    text = (REPOSITORY / "docs" / "supernets.md").read_text()
    assert [entry.name for entry in METHODS if f"`{entry.name}`" not in text or entry.source not in text] == []


def test_python_in_readme(tmp_path: Path) -> None:
    [block] = re.findall(r"^```python\n(.*?)^```", (REPOSITORY / "README.md").read_text(), flags=re.M | re.S)
    (tmp_path / "readme.py").write_text(block)
    names = runpy.run_path(str(tmp_path / "readme.py"))
    import torch

    assert names["model"](torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_example_study_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    database = str(tmp_path / "s.db")
    assert run(["search", "examples/study.toml", "--evaluations", "1", "--epochs", "1", "--db", database]) == 0
