"""Exports made on demand, kept for as long as the server runs."""

import shutil
import tempfile
import threading
from pathlib import Path

from archfront.contracts import WrongUse
from archfront.study import Candidate, Study
from search_spaces.errors import SpaceError


class Exports:
    """Archives of exported candidates in a temporary folder; one export at a time, since each needs much memory."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="archfront-dashboard-")
        self._lock = threading.Lock()

    def archive(self, study: Study, candidate: Candidate) -> Path:
        """The .zip of the candidate's export; raises `WrongUse` with the reason where it can't be exported."""
        name = f"{study.id}-{candidate.digest}"
        archive = Path(self._folder.name) / f"{name}.zip"
        with self._lock:
            if not archive.exists():
                folder = Path(self._folder.name) / name
                shutil.rmtree(folder, ignore_errors=True)
                _export(study, candidate, folder)
                made = shutil.make_archive(str(archive.with_suffix("")) + ".part", "zip", folder)
                Path(made).replace(archive)
                shutil.rmtree(folder)
        return archive


def _export(study: Study, candidate: Candidate, folder: Path) -> None:
    from archfront.export import ExportRefused, export_candidate

    try:
        export_candidate(study, candidate, None, folder)
    except (ExportRefused, SpaceError) as error:
        raise WrongUse(str(error)) from None
