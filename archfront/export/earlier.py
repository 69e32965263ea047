"""An export that lies in a folder already: what of it stays when further formats of the same network come."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archfront.contracts import WrongUse
from archfront.export.card import CARD, MANIFEST
from archfront.export.subject import Subject
from archfront.export.verify import Check


@dataclass(frozen=True)
class Earlier:
    """Formats of the same network that an earlier export left, and what their card said about them."""

    files: dict[str, list[str]] = field(default_factory=dict)
    """The names of each format's files."""
    checks: tuple[Check, ...] = ()
    usage: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def copied(self, source: Path, to: Path) -> None:
        """Copy the files, which lie in `source`, to the folder `to`."""
        for name in {name for names in self.files.values() for name in names}:
            shutil.copyfile(source / name, to / name)


def check_free(to: Path) -> None:
    """Raise `WrongUse` when `to` holds anything but an earlier export."""
    if not to.exists():
        return
    if not to.is_dir():
        raise WrongUse(f"{to} is a file; give a folder with --to")
    there = {file.name for file in to.iterdir()}
    if there and there != _listed(to):
        raise WrongUse(f"{to} holds other files; give an empty or new folder with --to")


def earlier(to: Path, subject: Subject, formats: Iterable[str]) -> Earlier:
    """What of the export in `to` stays when `formats` are written there.

    Formats of the same network with the same weights stay. Those of another network would be lost, or lie among files
    that aren't theirs: unless all of them are written anew, that raises `WrongUse`.
    """
    card = _card(to)
    names = set(formats)
    others = [name for name in card.get("usage", {}) if name not in names]
    if not others:
        return Earlier()
    same = card.get("digest") == subject.digest and card.get("weights_sha256") == subject.weights_sha256
    if not same or "formats" not in card:
        raise WrongUse(
            f"{to} holds {card['title']} as {', '.join(others)}, which this export would remove; give another folder "
            "with --to, or these formats as well with --format"
        )
    return Earlier(
        {name: card["formats"][name] for name in others},
        tuple(Check(**check) for check in card["checks"] if check["format"] in others),
        {name: card["usage"][name] for name in others},
        tuple(card["notes"]),
    )


def _listed(folder: Path) -> set[str]:
    """The files that an earlier export left in `folder`, as it says itself."""
    try:
        listed = (folder / MANIFEST).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return set()
    return {MANIFEST, *(line.partition("  ")[2] for line in listed)} if _card(folder) else set()


def _card(folder: Path) -> dict[str, Any]:
    """The card of the export in `folder`; empty where there is none."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return card if isinstance(card, dict) and "archfront_export" in card else {}
