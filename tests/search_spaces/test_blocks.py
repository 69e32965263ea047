"""Every registered part has its test file, and parts' files keep what export relies on."""

import ast
import importlib.util
from pathlib import Path

import pytest

import search_spaces
from search_spaces import FAMILIES
from search_spaces.testing import PartConformance

TESTS = Path(__file__).parents[1] / "parts"


def designs() -> list[tuple[str, str]]:
    """Family and name of every registered part of ours."""
    # Other tests register parts of their own in this process, and training recipes are not of this package.
    return [
        (name, entry.name)
        for name in FAMILIES
        for entry in FAMILIES[name]
        if entry.value.__module__.startswith("search_spaces.")
    ]


def lacks(family: str, name: str, file: Path) -> str | None:
    """What a design's test file lacks, or None."""
    if not file.is_file():
        return f"{family} '{name}' has no test file: write {file.parent.name}/{file.name} in tests/parts"
    spec = importlib.util.spec_from_file_location(f"test_of_{family}_{name}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    suites = [
        suite
        for suite in vars(module).values()
        if isinstance(suite, type)
        and issubclass(suite, PartConformance)
        and suite.__name__.startswith("Test")
        and any((part.family, part.name) == (family, name) for part, _ in suite.cases)
    ]
    if not suites:
        return f"no class Test...(PartConformance) of {file.name} has {family} '{name}' among its cases"
    own = ("reference", "test_is_faithful")
    if not any(getattr(suite, test) is not getattr(PartConformance, test) for suite in suites for test in own):
        return f"{family} '{name}' has no fidelity test: override reference() or test_is_faithful() in {file.name}"
    return None


@pytest.mark.parametrize(("family", "name"), designs())
def test_every_design_has_a_test_file_of_its_own(family, name):
    assert lacks(family, name, TESTS / family / f"test_{name}.py") is None


def test_no_test_file_is_left_of_a_design_that_is_gone():
    found = {(file.parent.name, file.stem.removeprefix("test_")) for file in TESTS.glob("*/test_*.py")}
    assert found - set(designs()) == set()


def test_a_design_without_a_test_is_noticed(tmp_path):
    file = tmp_path / "test_relu.py"
    assert "activation 'relu' has no test file" in lacks("activation", "relu", file)
    imports = (
        "from search_spaces.blocks import GELU, ReLU\nfrom search_spaces.testing import PartConformance\n"
        "class Test(PartConformance):\n"
    )
    file.write_text(f"{imports}    cases = [(GELU(), (16, 8, 8))]\n")
    assert "has activation 'relu' among its cases" in lacks("activation", "relu", file)
    file.write_text(f"{imports}    cases = [(ReLU(), (16, 8, 8))]\n")
    assert "activation 'relu' has no fidelity test" in lacks("activation", "relu", file)
    file.write_text(f"{imports}    cases = [(ReLU(), (16, 8, 8))]\n    def reference(self, *_): ...\n")
    assert lacks("activation", "relu", file) is None


NAMES = ("parts", "site", "declarations", "errors", "families", "example_networks", "torchvision_operators", "holes")
ALLOWED = {"torch", "timm", *(f"search_spaces.{name}" for name in NAMES)}
STANDARD = {
    "copy",
    "collections",
    "collections.abc",
    "dataclasses",
    "typing",
    "math",
    "functools",
    "itertools",
    "json",
    "inspect",
    "types",
}


def block_files() -> list[Path]:
    root = Path(search_spaces.__file__).parent
    found = sorted(file for folder in ("blocks", "topologies", "layers") for file in (root / folder).rglob("*.py"))
    return [file for file in found if file.parent.parent != root or file.name != "__init__.py"]


@pytest.mark.parametrize("file", block_files(), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_block_files_import_only_what_an_export_can_carry(file):
    for node in ast.walk(ast.parse(file.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            ours = name.startswith(("search_spaces.layers", "search_spaces.topologies.wired"))
            declares = file.name == "__init__.py" and name.startswith("search_spaces.")
            assert ours or declares or name in ALLOWED | STANDARD or name.partition(".")[0] in ("torch", "timm"), name


def test_no_two_block_files_define_the_same_class():
    """`from search_spaces.blocks import Name` finds the one file that has it."""
    owners: dict[str, str] = {}
    for file in block_files():
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef):
                assert node.name not in owners, f"{node.name} is in {owners[node.name]} and {file.stem}"
                owners[node.name] = file.stem
