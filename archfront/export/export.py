"""Exporting: write every format to a folder aside, verify each, and only then put the folder in its place."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from archfront.contracts import WrongUse
from archfront.export.card import CARD, MANIFEST, write_card, write_manifest
from archfront.export.errors import ExportRefused
from archfront.export.formats import FORMATS, Format
from archfront.export.subject import Subject
from archfront.export.timing import timed_again
from archfront.export.verify import Check, raw_sample, sample, verify
from search_spaces.errors import SpaceError


@dataclass(frozen=True)
class ExportResult:
    """What was written, and how near each format came to the searched network."""

    folder: Path
    files: tuple[str, ...]
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    card: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values, without the card, which lies in the folder."""
        return {
            "folder": str(self.folder),
            "files": list(self.files),
            "checks": [asdict(check) for check in self.checks],
            "notes": list(self.notes),
        }


def export_model(
    subject: Subject,
    formats: Sequence[str],
    to: Path,
    examples: torch.Tensor | None = None,
    notes: Sequence[str] = (),
) -> ExportResult:
    """Export a network to the folder `to`, in each of `formats`, with its card and manifest.

    Each format's files are run and compared with the searched network on at least 128 of `examples` (prepared, as
    the network takes them), or on random values where there are fewer. Raises `ExportRefused`, and leaves nothing
    behind, when a format can't be written or isn't the same network; `WrongUse` for an unknown format or a folder
    that holds other things. An earlier export in `to` is replaced.
    """
    writers = _writers(formats)
    check_free(to)
    with aside(to) as folder:
        given = sample(subject, examples)
        checks = []
        for writer in writers:
            writer.write(subject, folder)
            checks.append(verify(writer, folder, raw_sample(subject) if writer.raw else given))
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)
        notes = [*notes, *timed_again(subject, folder)]
        card = write_card(subject, writers, checks, folder, notes)
        write_manifest(folder)
        files = tuple(sorted(file.name for file in folder.iterdir()))
    return ExportResult(to, files, tuple(checks), tuple(notes), card)


def _writers(formats: Sequence[str]) -> list[Format]:
    if not formats:
        raise WrongUse(f"say at least one format to export to: {', '.join(FORMATS.names())}")
    try:
        return [FORMATS.get(name.strip())() for name in dict.fromkeys(formats)]
    except SpaceError as error:
        raise WrongUse(str(error)) from None


def check_free(to: Path) -> None:
    """Raise `WrongUse` when `to` holds anything but an earlier export."""
    if not to.exists():
        return
    if not to.is_dir():
        raise WrongUse(f"{to} is a file; give a folder with --to")
    there = {file.name for file in to.iterdir()}
    if there and there != _exported(to):
        raise WrongUse(f"{to} holds other files; give an empty or new folder with --to")


def _exported(folder: Path) -> set[str]:
    """The files that an earlier export left in `folder`, as it says itself."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        listed = (folder / MANIFEST).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return set()
    known = isinstance(card, dict) and "archfront_export" in card
    return {MANIFEST, *(line.partition("  ")[2] for line in listed)} if known else set()


@contextmanager
def aside(to: Path) -> Iterator[Path]:
    """A folder beside `to` that takes its place in the end, or vanishes with all that was made for it."""
    made = [parent for parent in to.absolute().parents if not parent.exists()]
    try:
        to.absolute().parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{to.name}.", dir=to.absolute().parent))
    except OSError as error:
        raise WrongUse(f"{to} can't be written ({error.strerror}); give another folder with --to") from None
    try:
        yield folder
        folder.chmod(0o755)
        if to.exists():
            earlier = folder.with_name(folder.name + ".earlier")
            to.rename(earlier)
            folder.rename(to)
            shutil.rmtree(earlier)
        else:
            folder.rename(to)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        for parent in made:
            if not any(parent.iterdir()):
                parent.rmdir()
        raise


__all__ = ["ExportRefused", "ExportResult", "aside", "check_free", "export_model"]
