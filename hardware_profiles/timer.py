"""The timing process of a device, seen from the process that asks: started, asked, watched and ended."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from archfront.contracts import WrongUse
from hardware_profiles.device_profile import Profile
from hardware_profiles.runtimes.base import RUNTIMES, Runtime, Unsupported
from search_spaces.errors import SpaceError, near

ALLOWANCE_S = 60.0
"""What starting, loading, checking and warming up may take."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class TimingFailed(RuntimeError):
    """The timing process crashed or gave an error; the message says which."""


class TimingTimedOut(TimeoutError):
    """The timing process gave no answer in time, and was killed."""


def runtime_of(profile: Profile) -> Runtime:
    """The runtime that the profile names; raises `WrongUse` when it or one of its settings is unknown."""
    where = f"device profile '{profile.name}'"
    try:
        runtime = RUNTIMES.get(profile.runtime)()
    except SpaceError as error:
        raise WrongUse(f"{where}: {error}") from None
    if profile.precision not in runtime.precisions:
        advice = near(profile.precision, runtime.precisions)
        raise WrongUse(f"{where}: {profile.runtime} has no precision '{profile.precision}'; {advice}")
    for key in profile.options:
        if key not in runtime.options:
            raise WrongUse(f"{where}: {profile.runtime} has no option '{key}'; {near(key, runtime.options)}")
    return runtime


class Timer:
    """The timing process of one profile: started when first needed, kept, and started anew when it died.

    Not shared among threads. After a fork, the child starts its own.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.runtime = runtime_of(profile)
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._errors: Any = None

    def start(self, timeout_s: float = ALLOWANCE_S) -> None:
        """Start the process where none runs, and wait until it is ready."""
        if self._process is not None and self._owner == os.getpid() and self._process.poll() is None:
            return
        self.close()
        settings = {"runtime": self.profile.runtime, "cores": self.profile.pinned_to()}
        root = str(Path(__file__).parents[1])
        threads = str(self.profile.threads)
        environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, threads)}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 -- lives as long as the process
        # A session of its own: Ctrl-C ends the search, which ends this process when it is done.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "hardware_profiles.timing", json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            start_new_session=True,
        )
        self._owner = os.getpid()
        self._read(timeout_s)

    @property
    def pid(self) -> int | None:
        """The process's id, where one was started."""
        return self._process.pid if self._process else None

    def ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """One request's reply; raises what its error stands for, `TimingTimedOut` or `TimingFailed`.

        `timing` lists the requests. Only one that loads a network starts a process anew: another has no network.
        """
        if request["do"] == "load":
            self.start()
        if self._process is None or self._process.stdin is None:
            raise TimingFailed(f"the timing process of '{self.profile.name}' has ended")
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        reply = self._read(timeout_s)
        kind, reason = reply.get("error"), str(reply.get("reason", ""))
        if kind == "unsupported":
            raise Unsupported(f"{self.profile.runtime}: {reason}")
        if kind == "memory":
            raise MemoryError(reason)
        if kind:
            raise TimingFailed(f"{self.profile.runtime} could not time the network: {reason}")
        return reply

    def _read(self, timeout_s: float) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None
        descriptor, text, deadline = self._process.stdout.fileno(), b"", time.monotonic() + timeout_s
        try:
            while not text.endswith(b"\n"):
                left = max(0.0, deadline - time.monotonic())
                if not select.select([descriptor], [], [], left)[0]:
                    raise TimingTimedOut(f"timing on '{self.profile.name}' took longer than {timeout_s:.0f} s")
                more = os.read(descriptor, 65536)
                if not more:
                    raise self._died()
                text += more
        except BaseException:
            self.close()  # half a reply must not be taken for the next one's
            raise
        return json.loads(text)

    def _died(self) -> TimingFailed:
        assert self._process is not None
        code = self._process.wait()
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
        self.close()
        how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        return TimingFailed(f"the timing process of '{self.profile.name}' {how}: {' '.join(last) or 'no message'}")

    def close(self) -> None:
        """End the process, and with it what it forked."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout, self._errors):
            if pipe is not None:
                with suppress(BrokenPipeError):  # of a request that the process didn't live to read
                    pipe.close()

    def __enter__(self) -> "Timer":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_process", None) is not None:
            self.close()
