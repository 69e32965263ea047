"""The studies of one database, opened read-only, with what was read of them kept at hand."""

import threading
from collections import OrderedDict
from collections.abc import Sequence

from archfront.report.results import Results, axes_of
from archfront.study import Database, Study, studies_in

KEPT = 32
"""So many studies' columns are kept; the least recently used go first."""


class Library:
    """Access to the database at `url`. Holds no transaction open, so a search never waits for it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._lock = threading.Lock()
        self._database = Database(url, read_only=True)
        self._inode = self._inode_now()
        self._results: OrderedDict[tuple[int, tuple[str, ...]], Results] = OrderedDict()

    def _inode_now(self) -> int | None:
        file = self._database.file
        return file.stat().st_ino if file is not None and file.exists() else None

    @property
    def database(self) -> Database:
        """The database; opened anew when its file was replaced by another one."""
        with self._lock:
            inode = self._inode_now()
            if inode != self._inode:
                old, self._database = self._database, Database(self.url, read_only=True)
                old.engine.dispose()
                self._inode = self._inode_now()
                self._results.clear()
            return self._database

    def studies(self) -> list[Study]:
        """All studies, the one changed last first."""
        return sorted(studies_in(self.database), key=lambda study: -study.last_change())

    def study(self, name: str) -> Study:
        """The study called `name`; raises `WrongUse` where there is none."""
        return Study(self.database, name)

    def results(self, study: Study, metrics: Sequence[str] = ()) -> Results:
        """The study's objectives and some more metrics as columns, up to date."""
        names = tuple(dict.fromkeys([*(o.metric for o in study.objectives), *metrics]))
        with self._lock:
            found = self._results.pop((study.id, names), None) or Results(study, names)
            self._results[study.id, names] = found
            while len(self._results) > KEPT:
                self._results.popitem(last=False)
        return found.refresh()

    def shown(self, study: Study) -> Results:
        """The columns of the study's usual picture."""
        return self.results(study, [axis.metric for axis in axes_of(study)])
