"""Finishing a study: new candidates with lineage on the same front, exports, and a search that goes on."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch

from archfront.contracts import Evaluation, Proposal, Status, WrongUse
from archfront.export import ExportRefused, export_candidate
from archfront.export.onnx_network import OnnxNetwork
from archfront.finish import Outcome, finish
from archfront.finishing import finishers
from archfront.run import search
from archfront.study import FINISHED, Candidate, Study, StudyWriter
from archfront.study.lineage import lineage, told
from archfront.supernets.ranking import truth_in
from dashboard.api import parents_of
from dashboard.candidate import panel
from evaluators import checkpoints
from evaluators.datasets import Feed
from evaluators.tested import tested as tally_of
from search_spaces.building import build
from search_spaces.canonical import from_json
from tests.finishing.conftest import order_of
from tests.finishing.trained import DIGITS

Opened = Callable[[], Study]
CARDS = ("card.json", "card.md", "manifest.sha256")

OWN = '''
from archfront.finishing import Finisher, Product
from search_spaces.parts import part

@part("finisher", "shrunken_for_tests", source="none")
class Shrunken(Finisher):
    """All weights by a factor."""

    factor: float = 0.5

    def finish(self, given):
        state = {name: tensor * self.factor for name, tensor in given.state.items()}
        return Product(given.architecture, state, f"weights by {self.factor}")
'''


def made(study: Study, outcomes: list[Outcome]) -> list[Candidate]:
    """The candidates of outcomes that all made one."""
    assert all(outcome.number is not None for outcome in outcomes), outcomes
    return [study.candidate(str(outcome.number)) for outcome in outcomes]


def test_two_in_a_row_make_two_candidates_with_lineage(studied: Opened, tmp_path: Path) -> None:
    study = studied()
    before = {point.number for point in study.points()}
    trained = study.candidate("0")
    pruned, quantized = made(study, finish(study, finishers(["block_drop,static_int8"], epochs=2), [trained]))
    assert {point.number for point in study.points()} == before | {pruned.number, quantized.number}
    assert [row.origin for row in (*pruned.rows, *quantized.rows)] == [FINISHED, FINISHED]
    assert pruned.rows[-1].parents == (trained.digest,) and quantized.rows[-1].parents == (pruned.digest,)
    steps = ['{"part":"finisher/block_drop","epochs":2}', '{"part":"finisher/static_int8"}']
    assert pruned.architecture["steps"] == steps[:1] and quantized.architecture["steps"] == steps
    assert quantized.architecture["of"] == pruned.architecture["of"] == trained.digest
    line = f"candidate 0, block_drop(epochs=2): candidate {pruned.number}, static_int8: candidate {quantized.number}"
    assert told(lineage(study, quantized)) == line and lineage(study, trained) == []
    assert "dropped block" in pruned.rows[-1].reason and "in 8 bits" in quantized.rows[-1].reason
    for candidate, precision, runtime in ((pruned, "float32", "torch"), (quantized, "int8", "onnxruntime")):
        how = {metric.name: metric.provenance for metric in candidate.metrics}
        assert how["accuracy"].precision == how["latency_ms@quick"].precision == precision
        assert how["test_accuracy"].runtime == runtime and {"params", "macs"} < candidate.values.keys()
    assert pruned.values["params"] < trained.values["params"] == pytest.approx(trained.values["params"])
    _check_recorded(study, pruned, quantized)
    _check_shown(study, pruned, quantized)
    _check_exports(study, pruned, quantized, tmp_path)
    kinds = [event[2] for event in study.events() if event[1] == "finish"]
    assert len(kinds) == 2 and f"candidate {quantized.number}" in kinds[1]


def _check_recorded(study: Study, pruned: Candidate, quantized: Candidate) -> None:
    """What is recorded is what the files give."""
    files = {artifact.kind: study.folder / artifact.path for artifact in quantized.artifacts}
    assert set(files) == {"weights", "confusion", "onnx"}
    network = build(from_json(pruned.architecture), DIGITS.inputs, DIGITS.outputs, seed=0)
    [weights] = [study.folder / artifact.path for artifact in pruned.artifacts if artifact.kind == "weights"]
    network.load_state_dict(checkpoints.load(weights)[0])
    for candidate, model in ((pruned, network), (quantized, OnnxNetwork(files["onnx"]))):
        for prefix, split in (("", DIGITS.validation), ("test_", DIGITS.test)):
            tally = tally_of(model, Feed(DIGITS, split).batches(100), DIGITS.task)
            assert candidate.values[f"{prefix}accuracy"] == pytest.approx(float(tally.confusion.trace()) / split.size)
    float_weights, _ = checkpoints.load(files["weights"])
    assert all(torch.equal(float_weights[name], tensor) for name, tensor in checkpoints.load(weights)[0].items())
    left = [path.name for path in (study.folder / "checkpoints").iterdir() if pruned.digest in path.name]
    names = {weights.name, weights.name.replace(".safetensors", "-confusion.json")}
    assert set(left) == names, "what healing left on its way is gone"


def _check_shown(study: Study, pruned: Candidate, quantized: Candidate) -> None:
    """The dashboard's page tells the steps, and compares networks with networks."""
    [parent] = parents_of(study, pruned)
    assert parent.number == 0 and parent.changes
    assert all(path.startswith("stages.") and ".blocks." in path for path, _, _ in parent.changes)
    assert parents_of(study, quantized)[0].changes == []
    page = str(panel(study, quantized))
    assert f"/candidate/{pruned.number}" in page or f"candidate {pruned.number}" in page
    assert "static_int8" in page and "trained: " in page


def _check_exports(study: Study, pruned: Candidate, quantized: Candidate, folder: Path) -> None:
    result = export_candidate(study, pruned, ["onnx"], folder / "pruned", DIGITS)
    assert [check.format for check in result.checks] == ["onnx"]
    result = export_candidate(study, quantized, None, folder / "quantized", DIGITS)
    assert set(result.files) == {*CARDS, "model.onnx", "pipeline.onnx", "predict.py"}
    assert [check.format for check in result.checks] == ["pipeline"]
    assert f"examples: {quantized.values['accuracy']:.4f}" in result.notes[0]
    assert result.card["training"]["finished_by"] == "block_drop(epochs=2), then static_int8"
    [file] = [study.folder / artifact.path for artifact in quantized.artifacts if artifact.kind == "onnx"]
    exported, recorded = onnx.load(folder / "quantized" / "model.onnx"), onnx.load(file)
    assert exported.graph == recorded.graph
    said = {item.key: item.value for item in exported.metadata_props}
    assert said["precision"] == "int8" and json.loads(said["classes"]) == list(DIGITS.classes)
    with pytest.raises(WrongUse, match="can't be exported as pt2; say --format onnx,pipeline"):
        export_candidate(study, quantized, ["pt2", "onnx"], folder / "other", DIGITS)
    better = replace(quantized, metrics=tuple(replace(m, value=min(1.0, m.value + 0.02)) for m in quantized.metrics))
    with pytest.raises(ExportRefused, match=r"but .* was recorded"):
        export_candidate(study, better, None, folder / "other", DIGITS)
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(ExportRefused, match="is not what was recorded"):
        export_candidate(study, quantized, None, folder / "other", DIGITS)
    assert not (folder / "other").exists()


def test_the_front_is_finished_where_nothing_is_named_and_nothing_is_done_twice(studied: Opened) -> None:
    study = studied()
    front = [point.number for point in study.front()]
    steps = finishers(["width_prune(share=0.5)"], epochs=1)
    first = finish(study, steps)
    assert [outcome.of for outcome in first] == front
    rows = len(study.rows())
    again = finish(study, steps, [study.candidate(str(number)) for number in front])
    assert [outcome.number for outcome in again] == [outcome.number for outcome in first]
    assert all(outcome.said == "it was there already" for outcome in again) and len(study.rows()) == rows
    finished = study.candidate(str(first[0].number))
    [further] = made(study, finish(study, finishers(["width_prune(share=0.25)"], epochs=1), [finished]))
    assert (
        len(further.architecture["steps"]) == 2 and further.architecture["of"] == study.candidate(str(front[0])).digest
    )


def test_a_search_goes_on_as_if_nothing_had_been_finished(studied: Opened, finished_search: Path) -> None:
    study = studied()
    finish(study, finishers(["block_drop"], epochs=1), [study.candidate("0"), study.candidate("1")])
    [four, five] = [row.number for row in study.rows() if row.origin == FINISHED]
    _, progress = search(order_of(finished_search, 6, study.database.url))
    assert progress.done == 6 and progress.done_here == 2
    rows = {row.number: row for row in study.rows()}
    assert sorted(rows) == list(range(8)) and [four, five] == [4, 5]
    resumed = [rows[number].digest for number in (0, 1, 2, 3, 6, 7)]
    assert {point.number for point in progress.front} <= {0, 1, 2, 3, 6, 7}
    assert {4, 5} < {point.number for point in study.points()}
    uninterrupted = studied()
    search(order_of(finished_search, 6, uninterrupted.database.url))
    assert [row.digest for row in uninterrupted.rows()] == resumed


def test_what_was_finished_is_no_ground_truth(studied: Opened) -> None:
    study = studied()
    [pruned] = made(study, finish(study, finishers(["block_drop"], epochs=1), [study.candidate("2")]))
    assert pruned.digest not in truth_in(study).architectures and len(truth_in(study).architectures) == 4


def test_what_was_finished_need_not_be_in_a_space_that_has_grown(
    studied: Opened, finished_search: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check candidate by candidate, which other fingerprints lead to, leaves it out."""
    study = studied()
    made(study, finish(study, finishers(["width_prune(share=0.5)"], epochs=1), [study.candidate("2")]))
    monkeypatch.setattr("search_spaces.space.Space.fingerprint", lambda space: "0" * 32)
    _, progress = search(order_of(finished_search, 4, study.database.url))
    assert progress.done == 4


def test_an_interruption_between_the_two_writes_leaves_a_study_that_can_be_searched(
    studied: Opened, finished_search: Path
) -> None:
    study = studied()
    with StudyWriter(study) as writer:
        architecture = study.candidate("0").architecture
        text = '{"part":"network/finished","network":%s,"steps":["{\\"part\\":\\"finisher/x\\"}"]}'
        proposal = Proposal(None, "f" * 32, None, (study.candidate("0").digest,), FINISHED)
        writer.ask([(proposal, text % json.dumps(architecture))])
    _, progress = search(order_of(finished_search, 5, study.database.url))
    assert progress.done == 5
    assert sorted(row.told_at is None for row in study.rows() if row.origin != FINISHED) == [False] * 5


def test_probes_and_constraints_hold_for_what_was_finished(finished_search: Path, tmp_path: Path) -> None:
    wanted = {"objectives": ("accuracy", "calibration_error"), "constraints": ("params>=2k",)}
    study, _ = search(order_of(finished_search, 1, f"sqlite:///{tmp_path / 'probed.db'}", **wanted))
    outcomes = finish(study, finishers(["width_prune(share=0.25)", "static_int8"], epochs=1))
    narrow, quantized = made(study, outcomes)
    for candidate in (narrow, quantized):
        assert {"calibration_error", "test_scaled_calibration_error"} < candidate.values.keys()
    assert {narrow.number, quantized.number} < {point.number for point in study.points()}
    [small] = made(study, finish(study, finishers(["width_prune(share=0.8,multiple=1,epochs=0)"]), [narrow]))
    assert small.rows[-1].status == Status.INFEASIBLE and "breaks params>=2000" in small.rows[-1].reason
    assert small.number not in {point.number for point in study.points()}


def test_a_users_own_finisher(studied: Opened, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(OWN)
    study = studied()
    [shrunken] = made(study, finish(study, finishers([f"{file}:Shrunken(factor=0.25)"]), [study.candidate("1")]))
    assert shrunken.architecture["steps"] == ['{"part":"finisher/shrunken_for_tests","factor":0.25}']
    [before], [after] = (
        [checkpoints.load(study.folder / a.path)[0] for a in one.artifacts if a.kind == "weights"]
        for one in (study.candidate("1"), shrunken)
    )
    assert all(torch.allclose(after[name].float(), before[name].float() * 0.25, atol=1) for name in after)
    assert torch.allclose(after["stem.0.weight"], before["stem.0.weight"] * 0.25)
    # By its name, too, once it is known.
    assert finishers(["shrunken_for_tests(factor=0.5)"])[0].factor == 0.5  # type: ignore[attr-defined]


def test_where_a_finisher_cannot_work_the_others_go_on(studied: Opened) -> None:
    study = studied()
    depths = {n: len(study.candidate(str(n)).architecture["stages"][0]["blocks"]) for n in range(4)}
    assert set(depths.values()) == {2, 3}, "the search found both"
    deep, flat = (next(n for n in depths if depths[n] == depth) for depth in (3, 2))
    steps = finishers(["block_drop(blocks=2)", "static_int8"], epochs=1)
    outcomes = finish(study, steps, [study.candidate(str(flat)), study.candidate(str(deep))])
    assert [(outcome.of, outcome.number is None) for outcome in outcomes[:2]] == [(flat, True), (deep, False)]
    assert outcomes[0].wrong and "no stage has a chain of more than 2" in outcomes[0].said and len(outcomes) == 3
    quantized = study.candidate(str(outcomes[2].number))
    [refused] = finish(study, finishers(["block_drop"]), [quantized])
    assert refused.wrong and f"finish candidate {outcomes[1].number}" in refused.said
    assert any("nothing (block_drop" in detail for _, kind, detail in study.events() if kind == "finish")


def test_a_study_that_is_being_searched_is_left_alone(studied: Opened) -> None:
    study = studied()
    with StudyWriter(study), pytest.raises(WrongUse, match="is being searched"):
        finish(study, finishers(["block_drop"]))
    with StudyWriter(study) as writer:
        proposal = Proposal(None, "e" * 32, origin="random")
        [row] = writer.ask([(proposal, "{}")])
        writer.tell(row, Evaluation(proposal, Status.DIVERGED, "no"))
    [refused] = finish(study, finishers(["block_drop"]), [study.candidate("e" * 32)])
    assert refused.wrong


@pytest.mark.parametrize(
    ("specs", "epochs", "cause"),
    [
        ([""], None, "say what to finish with"),
        (["block_drops"], None, "did you mean 'block_drop'"),
        (["block_drop(block=2)"], None, "did you mean 'blocks'"),
        (["block_drop(blocks=0)"], None, "must be an integer of 1 or more"),
        (["width_prune(share)"], None, "is no setting"),
        (["width_prune(share=0.1,share=0.2)"], None, "sets share twice"),
        (["static_int8,block_drop"], None, "let it come last"),
        (["static_int8"], 3, "--epochs 3: none of static_int8 trains"),
        (["block_drop"], -1, "say 0 or more"),
        (["nowhere.py:Mine"], None, "no file nowhere.py"),
    ],
)
def test_wrong_finishers(specs: list[str], epochs: int | None, cause: str) -> None:
    with pytest.raises(WrongUse) as caught:
        finishers(specs, epochs)
    assert cause in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_finisher_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.py"
    file.write_text("class Other:\n    pass\n")
    with pytest.raises(WrongUse, match="is no finisher"):
        finishers([f"{file}:Other"])
