"""Quiet on this host: no training step of ours runs while a latency is taken, and one latency is taken at a time.

Two files are locked with `flock`, which the kernel releases when their holder dies, even by kill -9:

- the *room* is held shared by every running training step and exclusively by the one running measurement;
- the *turnstile* is passed by both on their way in. A measurement keeps it closed from the moment it arrives, so
  that new training steps wait and those under way run out; it can't be starved by trainers that take turns.

The files lie in `archfront-<uid>` below the folder for temporary files, so they hold for all processes of one user
that agree on that folder (`TMPDIR`). A training step that finds nobody measuring pays about 5 µs
(`benchmarks/quiet_overhead.py`), so that training loops can wrap every batch.
"""

import fcntl
import os
import tempfile
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from archfront.contracts import WrongUse


def training_step() -> AbstractContextManager[None]:
    """Around each batch of a training loop: waits while a latency is being taken. Nests; any thread or process."""
    return _TRAINING


def measurement() -> AbstractContextManager[None]:
    """Around a latency measurement: waits for running steps and measurements to end, and holds up new ones. Nests."""
    return _MEASURING


def runtime_folder() -> Path:
    """The user's own folder for locks and sockets, made when missing; raises `WrongUse` when another user owns it."""
    folder = Path(tempfile.gettempdir()) / f"archfront-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise WrongUse(f"{folder} belongs to another user; remove it or point TMPDIR to a folder of your own")
    return folder


class _Locks:
    """One thread's own open files: `flock` belongs to the open file, so threads that shared one would share locks."""

    def __init__(self) -> None:
        folder = runtime_folder()
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self.turnstile = os.open(folder / "turnstile.lock", flags, 0o600)
        self.room = os.open(folder / "room.lock", flags, 0o600)
        self.steps = 0
        self.measurements = 0

    def close(self) -> None:
        os.close(self.turnstile)
        os.close(self.room)

    def __del__(self) -> None:
        if hasattr(self, "room"):
            self.close()


class _Thread(threading.local):
    locks: _Locks | None = None


_THREAD = _Thread()


def _locks() -> _Locks:
    if _THREAD.locks is None:
        _THREAD.locks = _Locks()
    return _THREAD.locks


def _forget_after_fork() -> None:
    # A forked child holds its parent's open files and with them its locks, also after the parent was killed.
    _THREAD.__dict__.clear()


os.register_at_fork(after_in_child=_forget_after_fork)


class _TrainingStep(AbstractContextManager[None]):
    def __enter__(self) -> None:
        locks = _THREAD.locks or _locks()
        if locks.measurements:
            raise RuntimeError("a training step within a measurement would wait for itself")
        if locks.steps == 0:
            fcntl.flock(locks.turnstile, fcntl.LOCK_SH)
            try:
                fcntl.flock(locks.room, fcntl.LOCK_SH)
            finally:
                fcntl.flock(locks.turnstile, fcntl.LOCK_UN)
        locks.steps += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        locks = _locks()
        if locks.steps == 1:
            fcntl.flock(locks.room, fcntl.LOCK_UN)
        locks.steps = max(0, locks.steps - 1)


class _Measurement(AbstractContextManager[None]):
    def __enter__(self) -> None:
        locks = _locks()
        if locks.steps:
            raise RuntimeError("a measurement within a training step would wait for itself")
        if locks.measurements == 0:
            fcntl.flock(locks.turnstile, fcntl.LOCK_EX)
            try:
                fcntl.flock(locks.room, fcntl.LOCK_EX)
            except BaseException:
                fcntl.flock(locks.turnstile, fcntl.LOCK_UN)
                raise
        locks.measurements += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        locks = _locks()
        if locks.measurements == 1:
            fcntl.flock(locks.room, fcntl.LOCK_UN)
            fcntl.flock(locks.turnstile, fcntl.LOCK_UN)
        locks.measurements = max(0, locks.measurements - 1)


_TRAINING = _TrainingStep()
_MEASURING = _Measurement()
