"""From a study's candidate to what is exported: its architecture, its weights (checked), its data."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from archfront.contracts import WrongUse
from archfront.export.card import digest_of
from archfront.export.earlier import check_free
from archfront.export.errors import ExportRefused
from archfront.export.export import ExportResult, export_model
from archfront.export.files import FILE, export_file, tested_again
from archfront.export.formats import FORMATS
from archfront.export.subject import Subject, silent
from archfront.study import Candidate, Study
from evaluators.recipe import files_in, own_recipe
from search_spaces.building import build
from search_spaces.canonical import from_json, to_json
from search_spaces.registry import load_file as load_file_of_parts
from search_spaces.specs import spelled
from search_spaces.topologies import Finished

if TYPE_CHECKING:
    from evaluators.datasets import DataSet

TESTED = 2000
"""At most so many validation examples are tested again to see that the first measure is the recorded one."""
TRAINING_SETTINGS = ("evaluator", "evaluator_settings", "recipe", "controller", "controller_settings", "threads")


def export_candidate(
    study: Study,
    candidate: Candidate | None = None,
    formats: Sequence[str] | None = None,
    to: Path = Path("export"),
    data: "DataSet | None" = None,
    say: Callable[[str], None] = silent,
) -> ExportResult:
    """Export a candidate of a study (None: the best of its front in the first objective) to the folder `to`.

    Each of `formats` (None: all) is verified on the study's validation examples, where the data set can still be
    loaded or is given. Raises `WrongUse` when there is nothing to export, `ExportRefused` when the weights aren't
    those that were recorded, when they aren't as good as was recorded, or when a format isn't the same network.
    `say` is told a line on what is being done, every few seconds.
    """
    check_free(to)
    candidate = candidate or _winner(study)
    weights = artifact_file(study, candidate)
    notes: list[str] = []
    if data is None:
        data = _data(study, notes)
    subject = subject_of(study, candidate, weights, data)
    if any(artifact.kind == FILE for artifact in candidate.artifacts):
        return export_file(subject, artifact_file(study, candidate, FILE), formats, to, data, notes, say)
    examples = None
    if data is not None:
        say("testing the stored weights on validation examples …")
        examples = data.prepared(data.validation.inputs[:TESTED])
        notes += _check_measures(subject, data)
    if formats is None:
        formats = [entry.name for entry in FORMATS if data is not None or not entry.value.raw]
    return export_model(subject, formats, to, examples, notes, say)


def subject_of(study: Study, candidate: Candidate, weights: Path, data: "DataSet | None") -> Subject:
    """The candidate with its weights and all that its card says."""
    settings = study.settings
    inputs = data.inputs if data is not None else tuple(settings.get("inputs") or ())
    outputs = data.outputs if data is not None else int(settings.get("outputs") or 0)
    if not inputs or outputs < 1:
        raise WrongUse(f"the study '{study.name}' doesn't say what its networks take; give the data set")
    if ".py:" in study.space:
        load_file_of_parts(study.space.rpartition(":")[0], "space")
    for text in (*(settings.get("evaluator_settings") or {}).values(), *(settings.get("search_recipe") or {}).values()):
        for file in files_in(text) if isinstance(text, str) else ():
            load_file_of_parts(file, "part of a recipe")
    architecture = from_json(candidate.architecture)
    training = {key: settings[key] for key in TRAINING_SETTINGS if settings.get(key)}
    if training.get("recipe"):
        training["recipe"] = to_json(own_recipe(architecture, from_json(training["recipe"])))
    training |= {"epochs": candidate.rows[-1].fidelity or "all of the recipe", "seed": study.seed}
    if isinstance(architecture, Finished):
        training["finished_by"] = ", then ".join(map(spelled, architecture.steps))
    return Subject(
        architecture=architecture,
        state=state_in(weights, architecture, inputs, outputs),
        inputs=inputs,
        outputs=outputs,
        study=study.name,
        number=candidate.number,
        space=study.space,
        metrics=candidate.metrics,
        training=training,
        classes=data.classes if data is not None else (),
        data=_described(settings, data),
        data_set=data,
    )


def _winner(study: Study) -> Candidate:
    front = study.front()
    if not front:
        raise WrongUse(f"the study '{study.name}' has no front yet; name a candidate, or search on")
    return study.candidate(front[0].digest)


def artifact_file(study: Study, candidate: Candidate, kind: str = "weights") -> Path:
    """The file of the candidate's weights, or of another kind of artifact that it has, there and unchanged."""
    found = [artifact for artifact in candidate.artifacts if artifact.kind == kind]
    if not found:
        evaluator = study.settings.get("evaluator") or "its evaluator"
        raise WrongUse(
            f"candidate {candidate.number} of '{study.name}' has no trained weights ({evaluator} left none, its "
            f"status is {candidate.rows[-1].status}); take a candidate that is ok of a study that trains "
            "(--evaluator training)"
        )
    file = study.folder / found[-1].path
    if not file.resolve().is_relative_to(study.folder.resolve()):
        raise ExportRefused(f"the {kind} of candidate {candidate.number} lie outside the study's folder: {file}")
    if not file.is_file():
        raise WrongUse(f"the {kind} of candidate {candidate.number} are missing: {file}; put the study's folder back")
    if digest_of(file) != found[-1].sha256:
        raise ExportRefused(f"{file} is not what was recorded (another sha256): it was changed after the search")
    return file


def state_in(file: Path, architecture: Any, inputs: tuple[int, ...], outputs: int) -> dict[str, torch.Tensor]:
    """The tensors of the model, and no others that the file may hold."""
    try:
        tensors = load_file(file)
    except (SafetensorError, OSError) as error:
        raise ExportRefused(f"{file} can't be read as safetensors: {error}") from None
    shape: Any = tuple(inputs)
    expected = build(architecture, shape, outputs, seed=0).state_dict()
    missing = [name for name in expected if name not in tensors]
    if missing:
        raise ExportRefused(f"{file} lacks {len(missing)} tensors of this network, as {missing[0]}")
    return {name: tensors[name] for name in expected}


def _data(study: Study, notes: list[str]) -> "DataSet | None":
    """The study's data set, as it was; None, with the reason among the notes, when it can't be had."""
    spec = study.settings.get("data")
    if not spec:
        return None
    from evaluators.datasets import load

    try:
        found = load(spec, **{"seed": study.seed, **(study.settings.get("data_settings") or {})})
    except WrongUse as error:
        notes.append(f"checked without the data set, which could not be loaded: {error}")
        return None
    if found.sha256 != study.settings.get("data_sha256", found.sha256):
        notes.append(f"checked without the data set, which has changed since the search: {spec}")
        return None
    return found


def _described(settings: dict[str, Any], data: "DataSet | None") -> dict[str, Any]:
    known: dict[str, Any] = {"data": settings.get("data"), "sha256": settings.get("data_sha256")}
    if settings.get("data_found"):
        known["found out"] = "; ".join(settings["data_found"])
    if data is not None:
        known |= {
            "data": settings.get("data") or data.name,
            "sha256": data.sha256,
            "train": data.train.size,
            "validation": data.validation.size,
            "test": data.test.size,
            "preprocessing": data.preparation.describe(),
        }
    return {key: value for key, value in known.items() if value is not None}


def _check_measures(subject: Subject, data: "DataSet") -> list[str]:
    """Test the network on validation data again: one reloaded wrongly shows here, whatever its formats agree on."""
    return tested_again(subject, subject.model, data, TESTED)
