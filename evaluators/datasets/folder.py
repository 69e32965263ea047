"""A folder of pictures, one sub-folder per class."""

from pathlib import Path

import numpy as np
from PIL import Image

from archfront.contracts import WrongUse
from evaluators.datasets.arrays import DATASETS, Array, Arrays

SPLITS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}
NO_PICTURES = {".txt", ".md", ".json", ".csv", ".xml", ".py", ".yaml", ".yml", ".db", ".ini", ".html"}
GREY = {"1", "L", "I;16"}
ERRORS = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""What Pillow raises for files that are no pictures, or broken ones."""
SIZE = 64
"""Pictures of different sizes become squares of this many pixels, unless `size` says otherwise."""

Files = list[tuple[Path, int]]


@DATASETS.register("folder")
def folder(argument: str, size: int = 0, skip_unreadable: bool = False) -> Arrays:
    """`folder:PATH`: a sub-folder of pictures per class; or train, val and test folders that hold those.

    Pictures that all have one size keep it; others are scaled and centre-cropped to `size`×`size`. Unreadable files
    are an error that counts and names them, unless `skip_unreadable` leaves them out.
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
    shape = _shape([path for members in files.values() for path, _ in members], size)
    unreadable: list[Path] = []
    arrays = {split: _decoded(members, shape, unreadable) for split, members in files.items()}
    if len(unreadable) == total:
        raise WrongUse(f"{argument}: none of the {total} files is a picture that can be read, as {_named(unreadable)}")
    said = f"{len(unreadable)} of {total} files can't be read as pictures: {_named(unreadable)}"
    if unreadable and not skip_unreadable:
        raise WrongUse(f"{argument}: {said}; remove them, or leave them out: --set data.skip_unreadable=true")
    problems = (f"{said}; they are left out",) if unreadable else ()
    return Arrays(arrays["train"], arrays.get("validation"), arrays.get("test"), tuple(classes), None, problems)


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
                sizes.add(image.size)
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
            with Image.open(path) as image:
                images.append(np.asarray(fitted(image.convert(mode), width, height), dtype=np.uint8))
            labels.append(label)
        except ERRORS:
            unreadable.append(path)
    empty = np.zeros((0, height, width), dtype=np.uint8)
    return np.stack(images) if images else empty, np.array(labels, dtype=np.int64)


def fitted(image: Image.Image, width: int, height: int) -> Image.Image:
    """The picture scaled until it covers width × height, and cropped in the middle."""
    if image.size == (width, height):
        return image
    scale = max(width / image.width, height / image.height)
    scaled = image.resize((max(width, round(image.width * scale)), max(height, round(image.height * scale))))
    left, top = (scaled.width - width) // 2, (scaled.height - height) // 2
    return scaled.crop((left, top, left + width, top + height))


def _named(paths: list[Path]) -> str:
    names = [f"{path.parent.name}/{path.name}" for path in paths[:3]]
    return ", ".join(names) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
