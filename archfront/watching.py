"""What a search is doing at this moment, for whoever watches it: its stage, and each worker's activity."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NOTICES = "activities"
"""The folder, below a study's, in which workers of other processes say what they are doing."""


STARTING = "starting"


@dataclass(frozen=True)
class Activity:
    """What one worker does: what its evaluator is `doing`, with which candidate, since how many seconds.

    `detail` is what the evaluator says itself, such as "epoch 3 of 9".
    """

    worker: str
    doing: str
    candidate: int
    seconds: float
    detail: str = ""

    def __str__(self) -> str:
        detail = f", {self.detail}" if self.detail else ""
        return f"{self.worker}: {self.doing} candidate {self.candidate}{detail}, {self.seconds:.0f} s"


def _nobody() -> Sequence[Activity]:
    return ()


@dataclass(kw_only=True)
class Watched:
    """What can be seen of a search from another thread while it works.

    `stage` is what the search itself does when it does more than wait for workers, since `stage_since`; `about` are
    lines on what is searched and how, `found` those on what was found out about the data. `stopping` says that Ctrl-C
    was pressed. `watch` gives what each worker does.
    """

    stage: str = ""
    stage_since: float = field(default_factory=time.monotonic)
    about: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    stopping: bool = False
    began: float = field(default_factory=time.monotonic)
    watch: Callable[[], Sequence[Activity]] = _nobody

    @property
    def activities(self) -> Sequence[Activity]:
        """What each worker does that isn't idle."""
        return self.watch()

    def enter(self, stage: str) -> None:
        """Say what the search itself does from now on; nothing (""): it waits for workers."""
        self.stage, self.stage_since = stage, time.monotonic()


class Notice:
    """Says what a worker of another process is doing, by a small file that the search's process reads.

    `worker` writes by calling it; a launcher reads by `read`. Nothing depends on it: where it can't be written or
    read, the activity is shown without it.
    """

    def __init__(self, folder: str | Path, job: int, evaluator: str) -> None:
        self._path = Path(folder) / NOTICES / f"{job}-{evaluator}.txt"

    def __call__(self, text: str) -> None:
        """Say it, in place of what was said before."""
        draft = self._path.with_suffix(f".{os.getpid()}")
        try:
            self._path.parent.mkdir(exist_ok=True)
            draft.write_text(text, encoding="utf-8")
            os.replace(draft, self._path)
        except OSError:
            return  # a full disk or a folder that isn't shared must not fail an evaluation for want of a word

    def read(self) -> str:
        """What was said last; where nothing was yet, the worker is only starting."""
        try:
            return self._path.read_text(encoding="utf-8")[:200]
        except OSError:
            return STARTING

    def remove(self) -> None:
        """Take the file away, when the job is done."""
        self._path.unlink(missing_ok=True)


__all__ = ["NOTICES", "Activity", "Notice", "Watched"]
