"""A folder of pictures, one sub-folder per class."""

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL import __version__ as PILLOW

from archfront.contracts import WrongUse
from evaluators.datasets import cache, stored
from evaluators.datasets.arrays import DATASETS, Array, Arrays
from evaluators.picture_files import ERRORS, GREY, fitted, opened, upright_size

SPLITS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}
NO_PICTURES = {".txt", ".md", ".json", ".csv", ".xml", ".py", ".yaml", ".yml", ".db", ".ini", ".html"}
READING = 2
"""Counts how pictures are read; what was read otherwise is read again. 2: upright by their EXIF, 16 bits scaled, the
width first."""
SIZE = 64
"""Pictures of different sizes become squares of this many pixels, unless `size` says otherwise."""

Files = list[tuple[Path, int]]


@DATASETS.register("folder")
def folder(argument: str, size: int = 0, skip_unreadable: bool = False, memory_mb: float = stored.MEMORY_MB) -> Arrays:
    """`folder:PATH`: a sub-folder of pictures per class; or train, val and test folders that hold those.

    Pictures are turned upright by their EXIF. Those that all have one size keep it; others are scaled and
    centre-cropped to `size`×`size`. Unreadable files are an error that counts and names them, unless `skip_unreadable`
    leaves them out. What takes more than `memory_mb` when decoded is decoded once, into the cache.
    """
    root = Path(argument).expanduser()
    if not root.is_dir():
        raise WrongUse(f"no folder {argument}; give a folder with one sub-folder of pictures per class")
    roots = {split: _subfolder(root, names) for split, names in SPLITS.items()}
    train = roots["train"] or root
    others = [name for name in ("validation", "test") if roots["train"] and roots[name]]
    classes = sorted(path.name for path in train.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        found = f"one class only ({classes[0]})" if classes else "no sub-folders"
        raise WrongUse(f"{argument} has {found}; it needs a sub-folder of pictures for each of at least two classes")
    files = {"train": _files(train, classes)}
    for split in others:
        path = roots[split]
        assert path is not None
        files[split] = _files(path, classes)
    total = sum(map(len, files.values()))
    if total == 0:
        raise WrongUse(f"{argument} is empty: its sub-folders hold no pictures")
    source, contents = {"folder": str(root.resolve()), "size": size}, _contents(root, files)
    entry = cache.find(source, contents)
    unreadable: list[Path] = []
    if entry is None:
        shape = _shape([path for members in files.values() for path, _ in members], size)
        streamed = _streamed(root, files, shape, unreadable, source, contents)
        if streamed.nbytes > memory_mb * 2**20:
            entry = streamed.cached()
    if entry is not None:
        unreadable = [root / path for path in entry.about["found"]]
        problems = _unreadable(argument, unreadable, total, skip_unreadable)
        return stored.arrays_of_entry(entry, memory_mb, classes=tuple(classes), problems=problems)
    arrays = {split: _decoded(members, shape, unreadable) for split, members in files.items()}
    problems = _unreadable(argument, unreadable, total, skip_unreadable)
    return Arrays(arrays["train"], arrays.get("validation"), arrays.get("test"), tuple(classes), None, problems)


def _unreadable(argument: str, unreadable: list[Path], total: int, skip: bool) -> tuple[str, ...]:
    """The problem that some files are no pictures, if so; raises `WrongUse` where it can't be worked around."""
    if len(unreadable) == total:
        raise WrongUse(f"{argument}: none of the {total} files is a picture that can be read, as {_named(unreadable)}")
    said = f"{len(unreadable)} of {total} files can't be read as pictures: {_named(unreadable)}"
    if unreadable and not skip:
        raise WrongUse(f"{argument}: {said}; remove them, or leave them out: --set data.skip_unreadable=true")
    return (f"{said}; they are left out",) if unreadable else ()


def _contents(root: Path, files: dict[str, Files]) -> dict[str, Any]:
    """What changes when a file does: a hash of their names, labels, sizes and times, and who decodes them how."""
    digest = sha256()
    for split, members in files.items():
        for path, label in members:
            status = path.stat()
            line = f"{split} {label} {status.st_size} {status.st_mtime_ns} {path.relative_to(root)}\n"
            digest.update(line.encode(errors="surrogateescape"))
    return {"files": digest.hexdigest(), "pillow": PILLOW, "reading": READING}


def _streamed(
    root: Path,
    files: dict[str, Files],
    shape: tuple[int, int, str],
    unreadable: list[Path],
    source: dict[str, Any],
    contents: dict[str, Any],
) -> stored.Streamed:
    """The pictures, decoded a few at a time by all cores; files that can't be decoded are added to `unreadable`."""
    width, height, mode = shape
    channels = 1 if mode == "L" else 3

    def chunks(split: str) -> stored.Chunks:
        members = files[split]
        size = min(256, stored.per_chunk(width * height * channels))
        parts = iter([members[start : start + size] for start in range(0, len(members), size)])
        # Pillow lets other threads run while it decodes and scales.
        with ThreadPoolExecutor(cores := os.cpu_count() or 1) as pool:
            begun = deque(pool.submit(_decoded_part, part, shape) for part in islice(parts, 2 * cores))
            while begun:
                arrays, failed = begun.popleft().result()
                begun.extend(pool.submit(_decoded_part, part, shape) for part in islice(parts, 1))
                unreadable.extend(failed)
                yield arrays

    return stored.Streamed(
        source,
        contents,
        (height, width, channels),
        np.dtype(np.uint8),
        {split: len(members) for split, members in files.items()},
        chunks,
        f"folder:{source['folder']}",
        lambda: [str(path.relative_to(root)) for path in unreadable],
    )


def _decoded_part(files: Files, shape: tuple[int, int, str]) -> tuple[tuple[Array, Array], list[Path]]:
    unreadable: list[Path] = []
    return _decoded(files, shape, unreadable), unreadable


def _subfolder(root: Path, names: tuple[str, ...]) -> Path | None:
    return next((root / name for name in names if (root / name).is_dir()), None)


def _files(root: Path, classes: list[str]) -> Files:
    unknown = sorted(p.name for p in root.iterdir() if p.is_dir() and p.name[0] != "." and p.name not in classes)
    if unknown:
        raise WrongUse(f"{root} has classes that the training folder has not: {', '.join(unknown[:5])}")
    return [
        (path, label)
        for label, name in enumerate(classes)
        if (root / name).is_dir()
        for path in sorted((root / name).rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.suffix.lower() not in NO_PICTURES
    ]


def _shape(paths: list[Path], size: int) -> tuple[int, int, str]:
    """Width, height and mode that all pictures get, from the files' headers."""
    sizes: set[tuple[int, int]] = set()
    grey = True
    for path in paths:
        try:
            with Image.open(path) as image:
                sizes.add(upright_size(image))
                grey = grey and image.mode in GREY
        except ERRORS:
            continue
    width, height = (size, size) if size else sizes.pop() if len(sizes) == 1 else (SIZE, SIZE)
    return width, height, "L" if grey else "RGB"


def _decoded(files: Files, shape: tuple[int, int, str], unreadable: list[Path]) -> tuple[Array, Array]:
    """The pictures that can be decoded in full, and their labels; the files that can't are added to `unreadable`."""
    width, height, mode = shape
    images: list[Array] = []
    labels: list[int] = []
    for path, label in files:
        try:
            images.append(np.asarray(fitted(opened(path, mode), width, height), dtype=np.uint8))
            labels.append(label)
        except ERRORS:
            unreadable.append(path)
    empty = np.zeros((0, height, width), dtype=np.uint8)
    return np.stack(images) if images else empty, np.array(labels, dtype=np.int64)


def _named(paths: list[Path]) -> str:
    names = [f"{path.parent.name}/{path.name}" for path in paths[:3]]
    return ", ".join(names) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
