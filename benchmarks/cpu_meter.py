"""The CPU-seconds that a piece of work uses in this process and in every process that it starts, Ray's included.

What a process used passes to its parent when that waits for it, so the sum over the processes that there are, each
with what it took over from its children, is exact. Descendants whose own parents end become children of this process
(Linux: it is their "subreaper"), so that servers which put themselves in the background aren't lost. Only where a
parent doesn't care for its children (it ignores SIGCHLD), what they used passes to nobody; so each process is also
read once a second, and the larger of the two counts stands.
"""

import ctypes
import resource
import sys
import threading
import time

import psutil

SET_SUBREAPER, GET_SUBREAPER = 36, 37
"""`PR_SET_CHILD_SUBREAPER` and `PR_GET_CHILD_SUBREAPER` of Linux's `prctl`."""
EVERY_S = 1.0


class CpuMeter:
    """As a context, counts the CPU-seconds of this process since it began, and of those that it starts meanwhile.

    What counting itself takes is left out.
    """

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._seen: dict[psutil.Process, float] = {}
        self._most = 0.0
        self._counting = 0.0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="cpu-meter", daemon=True)
        self._before = _waited_for()
        self._before_subreaper = False

    def __enter__(self) -> "CpuMeter":
        self._before_subreaper = _subreaper(True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        _subreaper(self._before_subreaper)

    @property
    def seconds(self) -> float:
        """CPU-seconds so far, user's and system's."""
        with self._lock:
            self._read()
            return time.process_time() - self._counting + max(sum(self._seen.values()), self._most)

    def _watch(self) -> None:
        while not self._ended.wait(self._every_s):
            with self._lock:
                self._read()

    def _read(self) -> None:
        started = time.thread_time()
        # Parents come before their children here: a child that ends meanwhile is missed rather than counted twice.
        inherited = _waited_for() - self._before
        for process in psutil.Process().children(recursive=True):
            try:
                times = process.cpu_times()
            except psutil.Error:  # it ended; what was read last stands
                continue
            # A process is known by its id and the time of its start, so ids that are used again are told apart.
            self._seen[process] = times.user + times.system
            inherited += times.user + times.system + times.children_user + times.children_system
        self._most = max(self._most, inherited)
        self._counting += time.thread_time() - started


def _waited_for() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _subreaper(wanted: bool) -> bool:
    """Take orphaned descendants in, or no longer; whether they were before."""
    if sys.platform != "linux":
        return False
    system, known = ctypes.CDLL(None), ctypes.c_int()
    system.prctl(GET_SUBREAPER, ctypes.byref(known), 0, 0, 0)
    system.prctl(SET_SUBREAPER, int(wanted), 0, 0, 0)
    return bool(known.value)
