"""Pictures with masks: a class for each pixel."""

from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from archfront.contracts import WrongUse
from evaluators.datasets.archive import archive_of, names_of, pair_of
from evaluators.datasets.arrays import DATASETS, Array, Arrays
from evaluators.datasets.class_files import SPLITS, read_text, split_folders
from evaluators.datasets.pictures import label_problems
from evaluators.picture_files import ERRORS, fitted
from evaluators.tasks import IGNORED, DensePrediction, MultiLabel

MOST = 254
"""Values above it in masks that name no classes are taken for a mark of unlabelled pixels that wasn't said."""
NUMBERED = ("1", "L", "P", "I", "I;16")
"""Modes of Pillow whose pixels are one number."""
Pair = tuple[Array, Array]


@DATASETS.register("masks")
def masks(
    argument: str,
    ignore: int = -1,
    size: int = 0,
    labels: Literal["pixels", "occurrence"] = "pixels",
    least: float = 0.0,
) -> Arrays:
    """`masks:FOLDER`: images/ and masks/ with files of equal stems, maybe below train, val and test; or an .npz file.

    Masks are PNG files whose pixels are numbers of classes (grey values, or those of a palette), `ignore` the number of
    unlabelled ones; a classes.txt beside has a name in each line, from number 0 on. The archive has x_train,
    (n, height, width[, channels]), y_train, (n, height, width), the other splits, maybe class_names. With `size`
    pictures and masks are scaled and cropped to squares. With `labels=occurrence` the task is which classes occur in a
    picture, in place of where: those that more than the share `least` of its pixels are of.
    """
    if labels not in ("pixels", "occurrence"):
        raise WrongUse(f"labels can't be '{labels}'; they are pixels or occurrence")
    if not 0 <= least < 1:
        raise WrongUse(f"least={least:g} must be a share of a picture's pixels, as 0.01")
    root = Path(argument).expanduser()
    if root.is_dir():
        splits = {split: _folder(folder, size) for split, folder in split_folders(root).items()}
        file = root / "classes.txt"
        names = tuple(line.strip() for line in read_text(file).splitlines() if line.strip()) if file.is_file() else ()
    else:
        splits, names = _archive(argument)
    numbers = _numbers(argument, splits, names, ignore)
    classes = tuple(names[number] if names else str(number) for number in numbers)
    # A table from the numbers in the masks to those of the classes; what it doesn't have is unlabelled.
    table = np.full(max(int(mask.max()) for _, mask in splits.values()) + 1, IGNORED, dtype=np.int16)
    for place, number in enumerate(numbers):
        if number < len(table):
            table[number] = place
    pairs = {split: (images, table[held]) for split, (images, held) in splits.items()}
    if labels == "pixels":
        return Arrays(
            pairs["train"],
            pairs.get("validation"),
            pairs.get("test"),
            task=DensePrediction(len(classes), classes),
            space="dense",
        )
    found = {split: (images, occurrence(held, len(classes), least)) for split, (images, held) in pairs.items()}
    problems = label_problems(found["train"][1], classes)
    task = MultiLabel(len(classes), classes)
    return Arrays(found["train"], found.get("validation"), found.get("test"), task=task, problems=problems)


def occurrence(held: Array, classes: int, least: float = 0.0) -> Array:
    """Which classes cover more than the share `least` of a mask (n, height, width): 0 or 1, uint8 (n, classes)."""
    return np.stack([(held == number).mean((1, 2)) > least for number in range(classes)], 1).astype(np.uint8)


def _numbers(name: str, splits: dict[str, Pair], names: tuple[str, ...], ignore: int) -> list[int]:
    """The numbers of the classes, without the ignored one."""
    for split, (images, held) in splits.items():
        if held.shape != images.shape[:3]:
            raise WrongUse(
                f"{name}: {split} masks are {held.shape}, their pictures {images.shape[:3]}; a mask needs the size of "
                "its picture"
            )
        if not np.issubdtype(held.dtype, np.integer) or held.size == 0 or held.min() < 0:
            raise WrongUse(f"{name}: {split} masks hold {held.dtype}; they need numbers of classes, from 0 on")
    used = sorted({int(value) for _, held in splits.values() for value in np.unique(held)} - {ignore})
    if names:
        beyond = [value for value in used if value >= len(names)]
        if beyond:
            raise WrongUse(
                f"{name}: masks hold {beyond[0]}, but the {len(names)} classes are numbered 0 to {len(names) - 1}; "
                f"if it marks unlabelled pixels, say --set data.ignore={beyond[0]}"
            )
        numbers = [number for number in range(len(names)) if number != ignore]
    else:
        beyond = [value for value in used if value > MOST]
        if beyond:
            raise WrongUse(
                f"{name}: masks hold {beyond[0]}, as unlabelled pixels often do; say --set data.ignore={beyond[0]}"
            )
        numbers = [number for number in range(max(used, default=0) + 1) if number != ignore]
    if len(numbers) < 2:
        raise WrongUse(f"{name}: masks of one class only; a segmentation needs at least two")
    return numbers


def _archive(argument: str) -> tuple[dict[str, Pair], tuple[str, ...]]:
    arrays = archive_of(argument)
    splits = {split: pair_of(arrays, names) for split, names in SPLITS.items()}
    splits["train"] = splits["train"] or pair_of(arrays, ("",))
    if splits["train"] is None:
        raise WrongUse(f"{argument} has no x_train and y_train; it holds {', '.join(sorted(arrays)) or 'nothing'}")
    return {split: pair for split, pair in splits.items() if pair is not None}, names_of(arrays)


def _folder(root: Path, size: int) -> Pair:
    """The pictures and masks of one split: (n, height, width[, 3]) and (n, height, width)."""
    for name in ("images", "masks"):
        if not (root / name).is_dir():
            raise WrongUse(f"{root} has no folder '{name}'; it needs images/ and masks/ with files of equal names")
    images, held = (_stems(root / name) for name in ("images", "masks"))
    alone = sorted(images.keys() ^ held.keys())
    if alone or not images:
        said = f"{len(alone)} pictures or masks are without the other, as {alone[0]}" if alone else "no pictures"
        raise WrongUse(f"{root}: {said}; images/ and masks/ need files of equal names")
    pairs = [_decoded(path, held[stem], size) for stem, path in sorted(images.items())]
    sizes = sorted({picture.size for picture, _ in pairs})
    if len(sizes) > 1:
        raise WrongUse(f"{root}: pictures of {len(sizes)} sizes, as {sizes[0]} and {sizes[1]}; say --set data.size=96")
    grey = all(picture.mode == "L" for picture, _ in pairs)
    pixels = np.stack([np.asarray(picture.convert("L" if grey else "RGB")) for picture, _ in pairs])
    return pixels, np.stack([mask for _, mask in pairs])


def _stems(root: Path) -> dict[str, Path]:
    return {path.stem: path for path in root.iterdir() if path.is_file() and not path.name.startswith(".")}


def _decoded(image: Path, mask: Path, size: int) -> tuple[Image.Image, Array]:
    """A picture ("L" or "RGB") and its mask, both scaled and cropped to `size` where one is said."""
    try:
        with Image.open(image) as opened:
            picture = opened.convert("L" if opened.mode in ("1", "L", "I;16") else "RGB")
        with Image.open(mask) as opened:
            opened.load()
            numbers = opened.copy()
    except ERRORS as error:
        raise WrongUse(f"{image.name} or its mask can't be read: {' '.join(str(error).split())[:100]}") from None
    if numbers.mode not in NUMBERED:
        raise WrongUse(
            f"{mask} is of mode {numbers.mode}; a mask holds one number a pixel, the class (grey or palette)"
        )
    if numbers.size != picture.size:
        raise WrongUse(f"{mask} is {numbers.size}, its picture {picture.size}; a mask needs the size of its picture")
    if size:
        scale = max(size / picture.width, size / picture.height)
        sides = max(size, round(picture.width * scale)), max(size, round(picture.height * scale))
        numbers = fitted(numbers.resize(sides, Image.Resampling.NEAREST), size, size)
        picture = fitted(picture, size, size)
    found = np.asarray(numbers)
    return picture, found.astype(np.uint8) if found.dtype == bool else found
