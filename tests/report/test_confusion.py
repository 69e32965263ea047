"""Confusion matrices as they are read and drawn."""

import json
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from archfront.contracts import Artifact
from archfront.report.confusion import KIND, Confusion, confusions, said, svg

MATRIX = Confusion(("cat", "dog", "<owl>"), "test", ((8, 2, 0), (3, 7, 0), (0, 1, 9)))


def left(folder: Path, value: object, name: str = "confusion.json") -> tuple[SimpleNamespace, SimpleNamespace]:
    (folder / "study").mkdir(exist_ok=True)
    (folder / "study" / name).write_text(value if isinstance(value, str) else json.dumps(value))
    return SimpleNamespace(folder=folder / "study"), SimpleNamespace(artifacts=(Artifact(KIND, name, "", 1),))


def test_mistakes_are_said_by_their_number() -> None:
    assert MATRIX.worst(2) == [("dog", "cat", 3, 0.3), ("cat", "dog", 2, 0.2)]
    assert said(MATRIX) == (
        "test data, most frequent mistakes: dog for cat 3× (30%), cat for dog 2× (20%), <owl> for dog 1× (10%)"
    )
    assert said(Confusion(("a", "b"), "test", ((1, 0), (0, 1)))) == ""


@pytest.mark.parametrize("dark", [False, True])
def test_the_picture_has_a_cell_for_each_pair(dark: bool) -> None:
    root = ElementTree.fromstring(svg(MATRIX, dark))
    cells = root.findall(".//{http://www.w3.org/2000/svg}rect")
    titles = [cell[0].text for cell in cells]
    assert len(cells) == 9 and titles[1] == "cat taken for dog: 2 (20.0%)"
    assert float(cells[0].get("fill-opacity")) > float(cells[1].get("fill-opacity"))
    assert [cell.get("class") for cell in cells[:3]] == ["right", "wrong", "none"]
    assert ("prefers-color-scheme" in svg(MATRIX, dark)) == dark
    assert "&lt;owl&gt;" in svg(MATRIX)


def test_many_classes_have_no_names() -> None:
    side = 100
    whole = Confusion(tuple(map(str, range(side))), "test", tuple((0,) * side for _ in range(side)))
    assert "<text" not in svg(whole) and svg(whole).count("<rect") == side * side


def test_files_are_read_and_broken_ones_left_out(tmp_path: Path) -> None:
    value = {"classes": ["a", "b"], "validation": [[1, 2], [3, 4]], "test": [[0, 0], [0, 1]]}
    found = confusions(*left(tmp_path, value))
    assert [one.split for one in found] == ["validation", "test"] and found[0].counts == ((1, 2), (3, 4))
    for wrong in ("{", "[]", {**value, "test": [[1]]}, {"classes": 3}):
        assert confusions(*left(tmp_path, wrong)) == []
    study, _ = left(tmp_path, value)
    (tmp_path / "outside.json").write_text(json.dumps(value))
    outside = SimpleNamespace(artifacts=(Artifact(KIND, "../outside.json", "", 1),))
    assert confusions(study, outside) == [] and confusions(study, SimpleNamespace(artifacts=())) == []
