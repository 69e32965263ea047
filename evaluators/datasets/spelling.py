"""A data set that is named by its path alone: which source reads it."""

import os
from collections.abc import Container
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from archfront.contracts import WrongUse

PICTURES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"))
FILES = {".npz": "npz", ".csv": "csv", ".tsv": "csv", ".parquet": "csv", ".txt": "text"}
"""The sources of single files, by their ending."""
SPELLINGS = "folder:PATH (pictures), npz:FILE, csv:FILE, text:PATH, audio:PATH, masks:PATH"
LOOKED_AT = 1000
"""So many entries of a folder are looked at to find out what it holds."""


def spelled(spec: str, known: Container[str]) -> str:
    """`spec` with its source before a colon where it is a path alone: `photos/` as `folder:photos/`.

    A name of the sources `known` stays what it is; `./digits` is a folder of such a name. Raises `WrongUse`, one line
    with the spellings that there are, where a path is given that no source can be told from.
    """
    path = Path(spec).expanduser()
    if not spec or ".py:" in spec or spec.partition(":")[0] in known:
        return spec
    if path.is_dir():
        return f"{_of_folder(path, spec)}:{spec}"
    ending = path.suffix.lower()
    if ending == ".npz" and _holds_recordings(path):
        return f"audio:{spec}"
    if ending in FILES:
        return f"{FILES[ending]}:{spec}"
    if ending == ".wav" or ending in PICTURES:
        what, source = ("recording", "audio") if ending == ".wav" else ("picture", "folder")
        raise WrongUse(f"data '{spec}' is one {what}; give the folder that has those of each class: {source}:FOLDER")
    if path.exists() or (os.sep in spec and ":" not in spec):
        missing = "can't be told what it holds" if path.exists() else "is no file or folder"
        raise WrongUse(f"data '{spec}' {missing}; say what it is: {SPELLINGS}")
    return spec


def _of_folder(root: Path, spec: str) -> str:
    """The source for a folder, by the files that it holds most of."""
    names = {path.name for path in root.iterdir()}
    inner = {path.name for path in (root / "train").iterdir()} if "train" in names else set()
    if any({"images", "masks"} <= held for held in (names, inner)):
        return "masks"
    counts = {"folder": 0, "audio": 0, "text": 0}
    seen = 0
    for _, _, files in os.walk(root):
        for name in files:
            ending = Path(name).suffix.lower()
            kind = "folder" if ending in PICTURES else {".wav": "audio", ".txt": "text"}.get(ending)
            if kind:
                counts[kind] += 1
            seen += 1
        if seen >= LOOKED_AT:
            break
    if not any(counts.values()):
        raise WrongUse(f"data '{spec}' holds no pictures, .wav or .txt files; say what it is: {SPELLINGS}")
    return max(counts, key=lambda kind: counts[kind])


def _holds_recordings(file: Path) -> bool:
    """Whether an archive has the arrays of recordings of several lengths."""
    try:
        with ZipFile(file) as archive:
            return {"samples.npy", "offsets.npy"} <= set(archive.namelist())
    except (OSError, BadZipFile):
        return False  # whoever reads it says what is wrong with it
