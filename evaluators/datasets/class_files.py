"""A folder with one sub-folder per class, or one file per class, perhaps below train, val and test folders."""

from pathlib import Path

from archfront.contracts import WrongUse

SPLITS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}
Files = list[tuple[Path, int]]


def split_folders(root: Path) -> dict[str, Path]:
    """The folders of the splits that are there, or the folder itself as the training split."""
    found = {
        split: next((root / name for name in names if (root / name).is_dir()), None) for split, names in SPLITS.items()
    }
    if found["train"] is None:
        return {"train": root}
    return {split: folder for split, folder in found.items() if folder is not None}


def class_files(root: Path, suffixes: tuple[str, ...], what: str) -> tuple[tuple[str, ...], dict[str, Files]]:
    """The classes, and each split's files with their class: those of `suffixes` in the sub-folders of the classes.

    `what` says what the files are. Raises `WrongUse`, one line, where there are fewer than two classes, or no files.
    """
    folders = split_folders(root)
    classes = tuple(sorted(path.name for path in _folders(folders["train"])))
    if len(classes) < 2:
        found = f"one class only ({classes[0]})" if classes else "no sub-folders"
        raise WrongUse(f"{root} has {found}; it needs a sub-folder of {what} for each of at least two classes")
    files = {split: _files(folder, classes, suffixes) for split, folder in folders.items()}
    labels = {label for _, label in files["train"]}
    empty = [folders["train"] / name for label, name in enumerate(classes) if label not in labels]
    empty += [folders[split] for split, members in files.items() if not members]
    if empty:
        raise WrongUse(f"{empty[0]} holds no {what} ({', '.join(suffixes)})")
    return classes, files


def read_text(file: Path) -> str:
    """The text of a file; raises `WrongUse`, one line, where it is none."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WrongUse(f"{file} isn't UTF-8 (byte {error.start:,}); convert it, as by iconv -t UTF-8") from None
    except OSError as error:
        raise WrongUse(f"{file} can't be read: {error.strerror}") from None


def named(paths: list[Path]) -> str:
    """The first three of some files."""
    shown = ", ".join(f"{path.parent.name}/{path.name}" for path in paths[:3])
    return shown + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _folders(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]


def _files(root: Path, classes: tuple[str, ...], suffixes: tuple[str, ...]) -> Files:
    unknown = sorted(path.name for path in _folders(root) if path.name not in classes)
    if unknown:
        raise WrongUse(f"{root} has classes that the training folder has not: {', '.join(unknown[:5])}")
    return [
        (path, label)
        for label, name in enumerate(classes)
        for path in sorted((root / name).rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.suffix.lower() in suffixes
    ]
