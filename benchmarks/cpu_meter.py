"""The CPU-seconds that a piece of work uses in this process and in every process that it starts, Ray's included.

Two counts are kept of the other processes, and the larger one stands. The kernel's own (`RUSAGE_CHILDREN`) is exact,
but knows only processes whose parents waited for them. The other reads the times of all descendants several times a
second, and misses what a process did after it was last read. Descendants whose parents end stay below this process
(Linux: it becomes their "subreaper"), so that servers which put themselves in the background are counted, too.
"""

import ctypes
import resource
import sys
import threading
import time

import psutil

SUBREAPER = 36
"""`PR_SET_CHILD_SUBREAPER` of Linux's `prctl`."""
EVERY_S = 0.5


class CpuMeter:
    """As a context, counts the CPU-seconds of this process since it began, and of those that it starts meanwhile."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._seen: dict[psutil.Process, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="cpu-meter", daemon=True)
        self._before = _waited_for()

    def __enter__(self) -> "CpuMeter":
        if sys.platform == "linux":
            ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, 1, 0, 0, 0)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        """CPU-seconds so far, user's and system's."""
        self._read()
        return time.process_time() + max(sum(self._seen.values()), _waited_for() - self._before)

    def _watch(self) -> None:
        while not self._ended.wait(self._every_s):
            self._read()

    def _read(self) -> None:
        # A process is known by its id and the time of its start, so ids that are used again are told apart.
        for process in {*self._seen, *psutil.Process().children(recursive=True)}:
            try:
                times = process.cpu_times()
            except psutil.Error:  # it ended; what was read last stands
                continue
            self._seen[process] = max(self._seen.get(process, 0.0), times.user + times.system)


def _waited_for() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
