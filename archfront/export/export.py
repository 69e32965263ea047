"""Exporting: write every format to a folder aside, verify each, and only then put the folder in its place."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import torch

from archfront.contracts import WrongUse
from archfront.export.card import Written, write_card, write_manifest
from archfront.export.earlier import Earlier, check_free, earlier
from archfront.export.errors import ExportRefused
from archfront.export.formats import FORMATS, Format
from archfront.export.subject import Subject, silent
from archfront.export.timing import SUFFIXES, timed_again
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
    say: Callable[[str], None] = silent,
) -> ExportResult:
    """Export a network to the folder `to`, in each of `formats`, with its card and manifest.

    Each format's files are run and compared with the searched network on at least 128 of `examples` (prepared, as
    the network takes them), or on random values where there are fewer. Raises `ExportRefused`, and leaves nothing
    behind, when a format can't be written or isn't the same network; `WrongUse` for an unknown format or a folder
    that holds other things. Of an earlier export of this network in `to`, other formats stay. `say` is told a line
    before and after each format.
    """
    writers = _writers(formats)
    check_free(to)
    before = earlier(to, subject, [writer.name for writer in writers])
    with aside(to) as folder:
        before.copied(to, folder)
        given = sample(subject, examples)
        checks, files, remarks = [], {}, []
        for writer in writers:
            say(f"{writer.name}: converting …")
            files[writer.name] = writer.write(subject, folder)
            checks.append(verify(writer, folder, raw_sample(subject) if writer.raw else given))
            remarks += writer.remarks(subject, folder)
            say(f"{writer.name}: verified on {checks[-1].said}")
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)
        if any(name in SUFFIXES.values() for names in files.values() for name in names):
            remarks += timed_again(subject, folder, say)
        written = Written(tuple(writers), files, tuple(checks), (*notes, *remarks))
        return finished(subject, written, before, to, folder)


def finished(subject: Subject, written: Written, before: Earlier, to: Path, folder: Path) -> ExportResult:
    """Write card and manifest of what lies in `folder`, which is to become `to`; gives the result."""
    card = write_card(subject, written, before, folder)
    write_manifest(folder)
    files = tuple(sorted(file.name for file in folder.iterdir()))
    return ExportResult(to, files, written.checks, tuple(card["notes"]), card)


def _writers(formats: Sequence[str]) -> list[Format]:
    if not formats:
        raise WrongUse(f"say at least one format to export to: {', '.join(FORMATS.names())}")
    try:
        return [FORMATS.get(name.strip())() for name in dict.fromkeys(formats)]
    except SpaceError as error:
        raise WrongUse(str(error)) from None


@contextmanager
def aside(to: Path) -> Iterator[Path]:
    """A folder beside `to` that takes its place in the end, or vanishes with all that was made for it."""
    made = [parent for parent in to.absolute().parents if not parent.exists()]
    try:
        to.absolute().parent.mkdir(parents=True, exist_ok=True)
        folder = to.absolute().with_name(f".{to.name}.{token_hex(6)}")
        folder.mkdir()
    except OSError as error:
        raise WrongUse(f"{to} can't be written ({error.strerror}); give another folder with --to") from None
    try:
        yield folder
        _readable(folder)
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


def _readable(folder: Path) -> None:
    """Give all files the rights that new files have here, for what wrote them may have kept them to their owner."""
    probe = folder / ".rights"
    probe.touch()
    rights = probe.stat().st_mode & 0o777
    probe.unlink()
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(rights)


__all__ = ["ExportRefused", "ExportResult", "aside", "check_free", "export_model", "finished"]
