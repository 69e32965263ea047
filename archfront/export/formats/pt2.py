"""torch.export: the deployed form as an ExportedProgram (`.pt2`), for torch and what is lowered from it."""

import warnings
from pathlib import Path

import numpy as np
import torch

from archfront.export.errors import ExportRefused
from archfront.export.formats import FORMATS, Format, batches
from archfront.export.preprocessing import properties
from archfront.export.subject import Subject
from search_spaces.example_inputs import no_inputs

FILE = "model.pt2"


@FORMATS.register("pt2")
class Pt2(Format):
    """The deployed form as an ExportedProgram with a batch of any size."""

    name = "pt2"
    packages = ("torch",)

    def write(self, subject: Subject, folder: Path) -> list[str]:
        # Traced with a batch of 2: torch.export takes a 1 for a constant.
        example = no_inputs(subject.model, subject.inputs, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                program = torch.export.export(
                    subject.deployed, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},)
                )
            except Exception as error:
                line = " ".join(str(error).split())[:300]
                raise ExportRefused(f"pt2: torch.export can't trace this network: {line}") from error
            torch.export.save(program, folder / FILE, extra_files=dict(properties(subject)))
        return [FILE]

    def run(self, folder: Path, inputs: np.ndarray) -> np.ndarray:
        network = torch.export.load(folder / FILE).module()
        with torch.no_grad():
            return np.concatenate([network(torch.from_numpy(batch)).numpy() for batch in batches(inputs)])

    def usage(self, subject: Subject) -> str:
        return f'import torch\nnetwork = torch.export.load("{FILE}").module()\noutputs = network(inputs)'
