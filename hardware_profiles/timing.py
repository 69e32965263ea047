"""The timing process: `python -m hardware_profiles.timing SETTINGS`. Pinned to its cores, it serves one line at a time.

It imports numpy and the one runtime, nothing else. Each network is loaded and timed in a fork of it, so that every
network meets the same fresh process at the price of a few milliseconds, and one that crashes takes nothing along. The
fork stays, with the network loaded, until another network is to be loaded: it waits there for the next slice.
Requests and replies are JSON, a line each, on standard input and output:

- `{"do": "load", "path", "reference", "check", "threads", "options"}` loads, checks and warms up a network, which
  needs no quiet;
- `{"do": "slice", "seconds"}` times it for so long (`sampling.take`), which does;
- `{"do": "unload"}` ends the fork, and with it what the network holds.
"""

import gc
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy

from hardware_profiles import sampling
from hardware_profiles.runtimes.base import RUNTIMES, Loaded, Runtime, Unsupported, first_line

Reply = dict[str, Any]

NOTHING: dict[str, Reply] = {"unload": {}, "slice": {"error": "failed", "reason": "no network is loaded"}}
"""The answers where there is no network."""


def main() -> None:
    """Serve requests until standard input ends."""
    settings = json.loads(sys.argv[1])
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a runtime prints must not get between the replies
    os.sched_setaffinity(0, settings["cores"])
    runtime = RUNTIMES.get(settings["runtime"])()
    runtime.warm()
    _write(channel, {"ready": os.getpid()})
    fork: Fork | None = None
    for line in sys.stdin:
        request = json.loads(line)
        if fork and request["do"] != "slice":
            fork.end()
            fork = None
        if request["do"] == "load":
            fork = Fork(Network(runtime).answer)
        _write(channel, fork.ask(request) if fork else NOTHING[request["do"]])
    if fork:
        fork.end()


def _write(channel: Any, reply: Reply) -> None:
    channel.write(json.dumps(reply) + "\n")
    channel.flush()


class Fork:
    """A forked process that answers requests until it is ended; its errors and death are answers, too.

    They are given as `{"error": kind, "reason": …}`.
    """

    def __init__(self, answer: Callable[[Any], Reply]) -> None:
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(ours_out)
            os.close(ours_in)
            _serve(answer, theirs_in, theirs_out)
        os.close(theirs_in)
        os.close(theirs_out)
        self._requests, self._replies = os.fdopen(ours_out, "w"), os.fdopen(ours_in)
        self._death: Reply | None = None

    def ask(self, request: Any) -> Reply:
        """The answer to a request; once it is dead, how it died."""
        if self._death is None:
            try:
                _write(self._requests, request)
                text = self._replies.readline()
            except BrokenPipeError:
                text = ""
            if text.endswith("\n"):
                return json.loads(text)
            self._death = self._died()
        return self._death

    def end(self) -> None:
        """End the process, whatever it does."""
        if self._death is None:
            os.kill(self.pid, signal.SIGKILL)
            self._died()

    def _died(self) -> Reply:
        self._replies.close()
        with suppress(BrokenPipeError):  # of a request that nobody read
            self._requests.close()
        _, status = os.waitpid(self.pid, 0)
        if os.WIFSIGNALED(status):
            return {"error": "crashed", "reason": f"the runtime died of {signal.Signals(os.WTERMSIG(status)).name}"}
        return {"error": "crashed", "reason": f"the runtime ended the process with {os.WEXITSTATUS(status)}"}


def _serve(answer: Callable[[Any], Reply], inlet: int, outlet: int) -> None:
    """Answer request after request, then end this process: nothing of what the other was doing goes on here."""
    try:
        with os.fdopen(inlet) as requests, os.fdopen(outlet, "w") as replies:
            for line in requests:
                _write(replies, _answered(answer, json.loads(line)))
    finally:
        os._exit(0)


def _answered(answer: Callable[[Any], Reply], request: Any) -> Reply:
    try:
        return answer(request)
    except Unsupported as error:
        return {"error": "unsupported", "reason": str(error)}
    except MemoryError as error:
        return {"error": "memory", "reason": str(error) or "out of memory"}
    except BaseException as error:
        return {"error": "failed", "reason": first_line(error)}


class Network:
    """The network of one fork, and the reference beside it."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def answer(self, request: Reply) -> Reply:
        """Load, or take a slice; times are in ns but for `seconds`, memory in bytes."""
        if request["do"] == "load":
            return self._load(request)
        return asdict(sampling.take(self._network, self._reference, self._run_ns, request["seconds"]))

    def _load(self, request: Reply) -> Reply:
        options, threads = request["options"], request["threads"]
        self._reference = _caller(self.runtime.load(Path(request["reference"]), threads, options))
        self._reference()
        before = _resident()
        loaded = self.runtime.load(Path(request["path"]), threads, options)
        difference = _difference(loaded, request.get("check"))
        self._network = _caller(loaded)
        self._network()
        memory = _peak() - before
        gc.collect()
        gc.disable()
        self._run_ns = sampling.warm_up(self._network)
        sampling.warm_up(self._reference, 0.1)
        return {
            "memory": max(0, memory),
            "shape": list(loaded.shape),
            "precision": loaded.precision,
            "difference": difference,
            "run_ns": self._run_ns,
        }


def _caller(loaded: Loaded) -> Callable[[], object]:
    drawn = numpy.random.default_rng(0)
    # Tokens 0 and 1 are in every vocabulary.
    ids = loaded.dtype == "int64"
    array = drawn.integers(0, 2, loaded.shape) if ids else drawn.standard_normal(loaded.shape).astype(loaded.dtype)
    run = loaded.run
    return lambda: run(array)


def _difference(loaded: Loaded, check: str | None) -> float | None:
    """The largest difference from the outputs that PyTorch gave, relative to their range where that exceeds 1."""
    if check is None:
        return None
    with numpy.load(check, allow_pickle=False) as arrays:
        expected, found = arrays["outputs"], loaded.run(arrays["inputs"])
    if expected.shape != found.shape:
        raise Unsupported(f"the converted network gives outputs of shape {found.shape}, not {expected.shape}")
    return float(numpy.abs(expected - found).max() / max(1.0, float(numpy.ptp(expected))))


def _resident() -> int:
    """The resident memory in bytes; the kernel's record of the peak starts anew from here."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return _peak()
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main()
