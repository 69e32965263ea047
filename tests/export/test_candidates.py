"""From a real small search to a verified export of its winner, and what is said when that can't be."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from archfront.contracts import Objective, WrongUse
from archfront.export import ExportRefused, export_candidate
from archfront.plan import Plan
from archfront.run import Order, search
from archfront.search import Budget
from archfront.study import Database, Study, create_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Two candidates of `mobile`, trained for one epoch on digits."""
    file = tmp_path_factory.mktemp("study") / "s.db"
    plan = Plan(
        space="mobile",
        data="digits",
        evaluator_settings={"epochs": 4, "device": "cpu"},
        objectives=("accuracy", "params"),
    )
    order = Order(plan, "small", f"sqlite:///{file}", budget=Budget(evaluations=2))
    return search(order)[0]


def test_the_winner_is_exported_with_its_provenance(study: Study, tmp_path: Path) -> None:
    result = export_candidate(study, formats=["pt2"], to=tmp_path / "out")
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    best = max(study.points(), key=lambda point: point.values["accuracy"])
    assert card["digest"] == best.digest and card["study"] == "small"
    assert {m["name"]: m["value"] for m in card["metrics"]}["accuracy"] == best.values["accuracy"]
    assert card["data"]["sha256"] == study.settings["data_sha256"] and "mean=" in card["data"]["preprocessing"]
    assert card["training"]["evaluator_settings"]["epochs"] == 4
    assert len(card["classes"]) == 10
    assert result.checks[0].kind == "validation examples"
    assert result.notes[0].endswith(f"validation examples: {best.values['accuracy']:.4f}")


def test_weights_that_were_changed_or_lost(study: Study, tmp_path: Path) -> None:
    candidate = study.candidate(study.front()[0].digest)
    weights = study.folder / next(a.path for a in candidate.artifacts if a.kind == "weights")
    content = weights.read_bytes()
    try:
        tensors = load_file(weights)
        save_file({name: tensor * 2 for name, tensor in tensors.items()}, weights)
        with pytest.raises(ExportRefused, match="another sha256"):
            export_candidate(study, candidate, ["pt2"], tmp_path / "out")
        weights.unlink()
        with pytest.raises(WrongUse, match="are missing"):
            export_candidate(study, candidate, ["pt2"], tmp_path / "out")
    finally:
        weights.write_bytes(content)
    assert not list(tmp_path.iterdir())


def test_weights_of_another_training_are_refused(study: Study, tmp_path: Path) -> None:
    """Recorded with a right sha256, yet not the candidate's: the recorded accuracy isn't reached."""
    from dataclasses import replace

    from archfront.export.card import digest_of

    candidate = study.candidate(study.front()[0].digest)
    found = next(a for a in candidate.artifacts if a.kind == "weights")
    other = study.folder / "checkpoints" / "other.safetensors"
    tensors = load_file(study.folder / found.path)
    save_file({n: t.flip(0) if t.ndim == 2 else t for n, t in tensors.items()}, other)
    swapped = replace(found, path="checkpoints/other.safetensors", sha256=digest_of(other))
    with pytest.raises(ExportRefused, match="was recorded; they are not those of this candidate"):
        export_candidate(study, replace(candidate, artifacts=(swapped,)), ["pt2"], tmp_path / "out")
    outside = replace(found, path="../../elsewhere.safetensors")
    with pytest.raises(ExportRefused, match="outside the study's folder"):
        export_candidate(study, replace(candidate, artifacts=(outside,)), ["pt2"], tmp_path / "out")
    without = replace(candidate, artifacts=())
    with pytest.raises(WrongUse, match="has no trained weights"):
        export_candidate(study, without, ["pt2"], tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_without_a_front_there_is_no_winner(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'e.db'}", create=True)
    objective = [Objective.parse("accuracy")]
    empty = create_study(
        database, "empty", space="mobile", fingerprint="", settings={}, objectives=objective, constraints=[], seed=0
    )
    with pytest.raises(WrongUse, match="has no front yet"):
        export_candidate(empty, formats=["pt2"], to=tmp_path / "out")
