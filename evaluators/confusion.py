"""The confusion matrix that a test leaves behind: how often each class was taken for each."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from archfront.contracts import Artifact
from evaluators import checkpoints

KIND = "confusion"
"""The kind of artifact."""
LARGEST = 300
"""Of more classes than this no matrix is kept: nobody could read it."""


def kept(
    folder: Path, stem: str, classes: tuple[str, ...], matrices: Mapping[str, Tensor | None]
) -> tuple[Artifact, ...]:
    """The matrices (classes wanted x classes found) of splits, by their names, as a JSON file below `folder`.

    Nothing where the task has none, or too many classes.
    """
    found = {split: matrix.tolist() for split, matrix in matrices.items() if matrix is not None}
    if not found or len(classes) > LARGEST:
        return ()
    path = folder / checkpoints.FOLDER / f"{stem}-confusion.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps({"classes": classes, **found}, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(draft, path)
    return (checkpoints.artifact(folder, path, KIND),)
