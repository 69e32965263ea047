"""One network cut out of a supernet: its weights, statistics, architecture and accuracy, verified, as files."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from archfront.contracts import Context, Metric, Proposal, WrongUse
from archfront.export.errors import ExportRefused
from archfront.export.export import aside, export_model
from archfront.export.subject import Subject
from archfront.study import Study
from evaluators.datasets import DataSet, load
from evaluators.inherited_weights import InheritedWeights, about_supernet
from evaluators.supernet import SupernetEvaluator
from search_spaces import canonical
from search_spaces.building import build
from search_spaces.errors import SpaceError
from search_spaces.registry import load_file as load_file_of_parts

WEIGHTS, ARCHITECTURE, ABOUT, EXPORT = "model.safetensors", "architecture.json", "network.json", "export"
_OWN = frozenset({WEIGHTS, ARCHITECTURE, ABOUT, EXPORT})
ALIKE = 1e-5
"""By how much the outputs may differ from the supernet's, relative to the largest: rounding only."""
TESTED = 256
"""Pictures that the outputs are compared on."""


@dataclass(frozen=True)
class Extracted:
    """What was written, how accurate the network is, and the largest difference from the supernet's outputs."""

    folder: Path
    files: tuple[str, ...]
    metrics: tuple[Metric, ...]
    difference: float
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "folder": str(self.folder),
            "files": list(self.files),
            "metrics": {metric.name: metric.value for metric in self.metrics},
            "largest_difference": self.difference,
            "notes": list(self.notes),
        }


def data_of(about: dict[str, Any]) -> DataSet:
    """The data that a supernet was trained on, split as it was then."""
    return load(about["data"], **about["data_settings"])


def candidate_of(study: Study, name: str) -> Any:
    """The architecture of a study's candidate."""
    if ".py:" in study.space:
        load_file_of_parts(study.space.rpartition(":")[0], "space")
    return canonical.from_json(study.candidate(name).architecture)


def architecture_in(file: Path, about: dict[str, Any]) -> Any:
    """The architecture in a JSON file; raises `WrongUse` where there is none."""
    if ".py:" in about["space"]:
        load_file_of_parts(about["space"].rpartition(":")[0], "space")
    try:
        return canonical.from_json(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise WrongUse(f"{file} can't be read: {error.strerror}") from None
    except (ValueError, SpaceError) as error:
        raise WrongUse(f"{file} holds no architecture: {error}") from None


def extract(folder: Path, architecture: Any, to: Path, formats: tuple[str, ...] = ()) -> Extracted:
    """Cut one network out of the supernet in `folder` into the folder `to`; with `formats`, export it there, too.

    Raises `WrongUse`, with nothing written, for a folder that holds other things; `SpaceError` for an architecture
    that isn't in the supernet's space; `ExportRefused` where the written network isn't the supernet's.
    """
    there = {file.name for file in to.iterdir()} if to.is_dir() else {""} if to.exists() else set()
    if there and not (ABOUT in there and there <= _OWN):
        raise WrongUse(f"{to} holds other things; give an empty or new folder with --to")
    about = about_supernet(folder)
    data = data_of(about)
    evaluator = SupernetEvaluator(str(folder), device="cpu")
    context = Context(folder, 0, torch.get_num_threads(), data.inputs, data.outputs, data)
    metrics = evaluator.evaluate(Proposal(architecture, canonical.digest(architecture)), context).metrics
    images = data.prepared(data.validation.inputs[:TESTED])
    with evaluator.source.active(architecture) as supernet:
        wanted = supernet(images)
        state = {name: value.clone() for name, value in supernet.extract(architecture).state_dict().items()}
    notes: list[str] = []
    with aside(to) as draft:
        _write(draft, architecture, state, _said(evaluator.source, architecture, metrics))
        difference = _difference(draft, data, images, wanted)
        if formats:
            subject = _subject(architecture, state, data, about, metrics)
            exported = export_model(subject, formats, draft / EXPORT, images)
            notes = [*map(str, exported.checks), *exported.notes]
        files = sorted(path.relative_to(draft).as_posix() for path in draft.rglob("*") if path.is_file())
    return Extracted(to, tuple(files), metrics, difference, tuple(notes))


def _said(source: InheritedWeights, architecture: Any, metrics: tuple[Metric, ...]) -> dict[str, Any]:
    """What the folder says of the network, for whoever finds it."""
    kept = ("space", "data", "data_settings", "data_sha256", "inputs", "outputs", "method", "steps", "done", "seed")
    return {
        "digest": canonical.digest(architecture),
        "outline": canonical.outline(architecture),
        "supernet_sha256": source.sha256,
        "supernet": {key: source.about[key] for key in kept},
        "metrics": [asdict(metric) for metric in metrics],
    }


def _write(to: Path, architecture: Any, state: dict[str, Tensor], about: dict[str, Any]) -> None:
    save_file({name: value.contiguous().clone() for name, value in state.items()}, to / WEIGHTS)
    text = json.dumps(canonical.to_json(architecture), indent=2)
    (to / ARCHITECTURE).write_text(text + "\n", encoding="utf-8")
    (to / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _difference(folder: Path, data: DataSet, images: Tensor, wanted: Tensor) -> float:
    """By how much the network, made anew from the files alone, differs from the supernet; raises where it is more
    than rounding."""
    architecture = canonical.from_json(json.loads((folder / ARCHITECTURE).read_text(encoding="utf-8")))
    network = build(architecture, data.inputs, data.outputs, seed=1)
    network.load_state_dict(load_file(folder / WEIGHTS))
    with torch.no_grad():
        found = network.eval()(images)
    difference = float((found - wanted).abs().max())
    if not difference <= ALIKE * max(1.0, float(wanted.abs().max())):
        raise ExportRefused(f"the network as written is not the supernet's: its outputs differ by {difference:.3g}")
    return difference


def _subject(
    architecture: Any, state: dict[str, Tensor], data: DataSet, about: dict[str, Any], metrics: tuple[Metric, ...]
) -> Subject:
    return Subject(
        architecture=architecture,
        state=state,
        inputs=data.inputs,
        outputs=data.outputs,
        space=about["space"],
        metrics=metrics,
        training={key: about[key] for key in ("method", "method_settings", "recipe", "steps", "seed")},
        classes=data.classes,
        data={"data": about["data"], "sha256": data.sha256},
        data_set=data,
    )


__all__ = ["Extracted", "architecture_in", "candidate_of", "data_of", "extract"]
